"""The report's tables: exact numbers, as text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from models.episodes import TIERS
from models.record import CHAMPION
from streams.report.chart import judged_by_all
from streams.report.expert import rate_of

if TYPE_CHECKING:
    from models.drift.told import Drift
    from models.fairness import Audit, Group
    from models.report import Report
    from streams.report.words import Words

#: Signals, and drift events, that are listed.
SIGNALS: Final = 10
EVENTS: Final = 15


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first column names its row. `strong` are rows to be seen first."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[int] = frozenset()


def tiers(report: Report, say: Words) -> Table | None:
    """Risk levels: where they begin, who stands there, what became of earlier ones."""
    if report.now is None:
        return None
    thresholds = report.config.thresholds
    begins = (0.0, thresholds.medium, thresholds.high, thresholds.critical)
    rows = []
    for tier, start, count in reversed(list(zip(TIERS, begins, report.now.tiers, strict=True))):
        found = report.tiers.get(tier)
        said = "–" if found is None else say.of_100(found.forecast)
        left = "–" if found is None else _interval(say, found.churn_rate.value, found.churn_rate.low, found.churn_rate.high)
        share = say.of_100(count / report.now.judged)
        rows.append((say(f"tier.{tier}"), f"{100 * start:g}", f"{count:,}", share, said, left))
    keys = ("spread.level", "spread.from", "spread.now", "spread.share", "spread.said", "spread.left")
    return Table(say("spread.table"), tuple(map(say, keys)), tuple(rows))


def signals(report: Report, say: Words) -> Table | None:
    """The heaviest features, and which way they work."""
    found = [(theme.theme, each) for theme in report.importance for each in theme.features if each.weight > 0]
    found = sorted(found, key=lambda pair: -pair[1].weight)[:SIGNALS]
    if not found:
        return None
    rows = []
    for theme, each in found:
        way = "both" if abs(each.direction) < 0.5 else "up" if each.direction > 0 else "down"
        names = (say.feature(each.name), say.theme(theme), say(f"importance.{way}"))
        rows.append((*names, f"{each.weight:.2f}"))
    keys = ("signal", "theme", "direction", "weight")
    return Table(say("importance.table"), tuple(say(f"importance.{key}") for key in keys), tuple(rows))


def reach(report: Report, say: Words) -> Table | None:
    """What each capacity reaches."""
    if not report.capacities:
        return None
    rows = tuple(
        (f"{100 * share:g}", _of_100(say, calls.precision), _of_100(say, calls.recall), _number(calls.lift, 2))
        for share, calls in report.capacities
    )
    keys = ("reach.contacted", "reach.precision", "reach.recall", "reach.lift")
    return Table(say("reach.table"), tuple(map(say, keys)), rows)


def quality(report: Report, say: Words) -> Table | None:
    """Every contender, the rule and the base rate, on the same labels."""
    names = judged_by_all(report.judged)
    if CHAMPION not in names:
        return None
    rows = []
    for name in names:
        counts = report.judged[name]
        ranking = name == "recency"  # it claims no probability
        loss, brier, ece = (counts.log_loss, counts.brier, counts.ece())
        metrics = (counts.auc, math.nan if ranking else loss, counts.pr_auc)
        errors = (math.nan, math.nan) if ranking else (brier, ece)
        shown = say("champion") if name == CHAMPION else say.model(name)
        rows.append((shown, f"{counts.labels:,}", *(_number(x, 4) for x in (*metrics, *errors))))
    champion = report.judged[CHAMPION]
    rate = champion.base_rate
    base = (0.5, champion.base_rate_log_loss, rate, rate * (1 - rate), 0.0)
    rows.append((say("quality.base"), f"{champion.labels:,}", *(_number(x, 4) for x in base)))
    head = ("AUC ↑", "log loss ↓", "PR-AUC ↑", "Brier ↓", "ECE ↓")
    return Table(
        say("quality.table"), (say("quality.model"), say("quality.labels"), *head), tuple(rows), frozenset({0})
    )


def drift(report: Report, say: Words) -> Table | None:
    """The newest drift events."""
    if not report.drifts:
        return None
    keys = ("at", "what", "level", "strength", "since")
    rows = tuple(_event(each, say) for each in report.drifts[:EVENTS])
    return Table(say("drift.events"), tuple(say(f"drift.{key}") for key in keys), rows)


def _event(drift: Drift, say: Words) -> tuple[str, ...]:
    what = say("drift.loss") if drift.what == "loss" else say.feature(drift.what)
    unit = "PSI" if drift.measure == "psi" else "nats"
    level = say(f"drift.level.{drift.level}")
    return say.date(drift.at), what, level, f"{drift.strength:.2f} {unit}", say.date(drift.since)


def fairness(attribute: str, audit: Audit, say: Words) -> Table:
    """Every group of an attribute."""
    keys = ("group", "labels", "selection", "tpr", "fpr", "gap")
    return Table(
        say("fairness.attribute", attribute=attribute),
        tuple(say(f"fairness.{key}") for key in keys),
        tuple(_group(group, say) for group in audit.groups),
    )


def _group(group: Group, say: Words) -> tuple[str, ...]:
    if group.too_few:
        return (group.name, f"{group.labels:,}", say("fairness.few"), "–", "–", "–")
    rates = [rate_of(group, what) for what in ("selection", "tpr", "fpr")]
    shown = ("–" if r is None else _interval(say, r.value, r.low, r.high) for r in rates)
    gap = "–" if group.calibration is None else f"{100 * group.calibration.gap:+.1f}"
    return (group.name, f"{group.labels:,}", *shown, gap)


def _interval(say: Words, value: float, low: float, high: float) -> str:
    return f"{say.of_100(value)} ({100 * low:.1f}–{100 * high:.1f})"


def _of_100(say: Words, share: float) -> str:
    return "–" if math.isnan(share) else say.of_100(share)


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
