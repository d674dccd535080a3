"""The first screen: how many are at risk, whether the warnings can be trusted, what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.episodes import TIERS
from streams.report.chart import NOTHING

if TYPE_CHECKING:
    from models.episodes import Thresholds
    from models.report import Report
    from models.trust import Trust, Verdict
    from streams.report.words import Words

#: Shares that differ by less are as good as equal to a reader.
_SAME = 0.005
#: Of leavers, the share warned about below which the threshold is too high to be of much use.
_RARE = 0.1


@dataclass(frozen=True)
class Card:
    """One answer: `big` is the number or verdict to be seen first, `lines` are plain sentences.

    `tone` is good, fair, bad or plain. `chart` names the picture beside it, `parts` (tier, number) a bar of
    tiers, highest first.
    """

    title: str
    big: str
    lines: tuple[str, ...]
    tone: str = "plain"
    under: str = ""
    chart: str = ""
    parts: tuple[tuple[str, int], ...] = ()


def cards(report: Report, say: Words) -> tuple[Card, ...]:
    """The three questions that everybody has."""
    return _risk(report, say), _trust(report, say), _change(report, say)


def _risk(report: Report, say: Words) -> Card:
    now, config = report.now, report.config
    if now is None:
        return Card(say("risk.title"), NOTHING, (say("risk.none"),))
    share = say.of_100(now.share_at_risk)
    expected = f"{round(now.forecast * now.judged):,}"
    means: tuple[str, ...] = ()
    if report.thresholds:
        means = (say("risk.means", least=_threshold(report.thresholds), horizon=config.horizon_days),)
    return Card(
        say("risk.title"),
        f"{now.at_risk:,}",
        (
            say(
                "risk.expected",
                expected=expected,
                of_100=say.of_100(now.forecast),
                horizon=config.horizon_days,
            ),
            *means,
        ),
        under=say("risk.big", judged=f"{now.judged:,}", of_100=share),
        parts=tuple((tier, n) for tier, n in zip(TIERS[:0:-1], now.tiers[:0:-1], strict=True) if n),
    )


def _threshold(thresholds: Thresholds) -> str:
    """Where warnings begin, of a hundred."""
    return f"{100 * thresholds.medium:.3g}"


_TONES: dict[Verdict, str] = {
    "early": "plain",
    "useless": "bad",
    "bold": "fair",
    "timid": "good",
    "good": "good",
}


def _trust(report: Report, say: Words) -> Card:
    found = report.trust
    verdict = found.verdict if found else "early"
    lines = [say(f"trust.{verdict}", horizon=report.config.horizon_days)]
    if found and found.calls.called:
        # Of a few warnings, so many of a hundred would say too much.
        lines += [_so_far(found, say)] if verdict == "early" else _outcomes(report, found, say)
    title, short = say("trust.title"), say(f"trust.{verdict}.short")
    chart = "" if verdict == "early" else "warnings"
    return Card(title, short, tuple(lines), _TONES[verdict], chart=chart)


def _so_far(found: Trust, say: Words) -> str:
    return say("trust.so_far", called=f"{found.calls.called:,}", found=f"{found.calls.true_positives:,}")


def _outcomes(report: Report, found: Trust, say: Words) -> list[str]:
    assert found.precision is not None, "there are warnings"
    assert found.warned is not None, "there are warnings"
    assert report.warned_from is not None, "there are warnings"
    said = say.of_100(found.warned.forecast)
    lines = [
        say("trust.outcome", n=say.of_100(found.precision.value), said=said),
        say("trust.base_rate", n=say.of_100(found.base_rate.value)),
    ]
    if found.recall:
        lines.append(say("trust.recall", n=say.of_100(found.recall.value)))
        if found.recall.value < _RARE:
            tenth = next(calls for share, calls in report.capacities if share == 0.1)
            warned = say.of_100(found.calls.selection_rate)
            lines.append(say("trust.rare", warned=warned, reached=say.of_100(tenth.recall)))
    first, last = map(say.date, report.warned_from)
    return [*lines, say("trust.span", first=first, last=last)]


def _change(report: Report, say: Words) -> Card:
    lines: list[str] = []
    big = NOTHING
    if report.now and report.before:
        now, before = report.now.share_at_risk, report.before.share_at_risk
        way = "same" if abs(now - before) < _SAME else "up" if now > before else "down"
        big = say(f"change.{way}.short")
        shown = {"now": say.of_100(now), "before": say.of_100(before), "date": say.date(report.before.ts)}
        lines.append(say(f"change.{way}", **shown))
    else:
        lines.append(say("change.first"))
    if report.hold:
        lines.append(say("change.held", date=say.date(report.hold.since)))
    if not report.labels:
        return Card(say("change.title"), big, (*lines, say("change.early")))
    lines += _news(report, say)
    return Card(say("change.title"), big, tuple(lines), "fair" if report.recent_drifts else "plain")


def _news(report: Report, say: Words) -> list[str]:
    recent = report.recent_drifts
    losses = [drift for drift in recent if drift.what == "loss"]
    inputs = list(dict.fromkeys(say.feature(drift.what) for drift in recent if drift.what != "loss"))
    found = [
        say("change.loss", date=say.date(losses[0].since)) if losses else say("change.no_loss"),
        say("change.inputs", names=say.list(inputs)) if inputs else say("change.no_inputs"),
    ]
    if report.promotions and report.promotions[-1].ts >= report.recent:
        led = report.promotions[-1]
        found.append(say("change.champion", date=say.date(led.ts), model=say.model(led.champion)))
    return found
