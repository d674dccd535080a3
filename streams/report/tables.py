"""The report's tables: exact numbers, as text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from features.catalogue import BY_NAME
from features.layout import DAY_MS
from features.wording.numbers import percent
from models.episodes import TIERS
from models.record import CHAMPION, RECENCY_RULE
from streams.report.chart import NOTHING, judged_by_all
from streams.report.expert import rate_of

if TYPE_CHECKING:
    from features.feature import Direction, Theme
    from models.drift.told import Drift
    from models.fairness import Audit, Group
    from models.importance import FeatureWeight
    from models.report import Report
    from streams.report.words import Words

#: Signals, and times of drift, that are listed.
SIGNALS: Final = 10
EVENTS: Final = 12


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; the first column names its row.

    `strong` are rows to be seen first, `words` columns that hold no numbers.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: frozenset[int] = frozenset()
    words: frozenset[int] = frozenset()


def tiers(report: Report, say: Words) -> Table | None:
    """Risk levels: where they begin, who stands there, what became of earlier ones."""
    if report.now is None:
        return None
    thresholds = report.thresholds
    begins = () if thresholds is None else (thresholds.medium, thresholds.high, thresholds.critical)
    starts = ("0", *(f"{100 * level:.3g}" for level in begins)) if begins else (NOTHING,) * len(TIERS)
    rows = []
    for tier, start, count in reversed(list(zip(TIERS, starts, report.now.tiers, strict=True))):
        found = report.tiers.get(tier)
        said = NOTHING if found is None else short(found.forecast)
        left = (
            NOTHING
            if found is None
            else _interval(found.churn_rate.value, found.churn_rate.low, found.churn_rate.high)
        )
        share = short(count / report.now.judged)
        rows.append((say(f"tier.{tier}"), start, f"{count:,}", share, said, left))
    keys = ("spread.level", "spread.from", "spread.now", "spread.share", "spread.said", "spread.left")
    return Table(say("spread.table"), tuple(map(say, keys)), tuple(rows))


def signals(report: Report, say: Words) -> Table | None:
    """The heaviest features that work as common sense expects."""
    found = [(theme, each) for theme, each in _by_weight(report) if each.agrees][:SIGNALS]
    rows = tuple(
        (say.feature(each.name), say.theme(theme), _way(each.way, say), f"{each.weight:.2f}")
        for theme, each in found
    )
    return _signals("importance", ("signal", "theme", "direction", "weight"), rows, say)


def all_signals(report: Report, say: Words) -> Table | None:
    """The heaviest features, whichever way they work, beside what common sense expects."""
    found = _by_weight(report)[: 2 * SIGNALS]
    rows = tuple(
        (
            say.feature(each.name),
            _way(each.way, say),
            _expected(BY_NAME[each.name].direction, say),
            f"{each.weight:.2f}",
        )
        for _, each in found
    )
    return _signals("signals", ("signal", "direction", "expected", "weight"), rows, say)


def _by_weight(report: Report) -> list[tuple[Theme, FeatureWeight]]:
    found = [(theme.theme, each) for theme in report.importance for each in theme.features if each.weight > 0]
    return sorted(found, key=lambda pair: -pair[1].weight)


def _way(way: Direction, say: Words) -> str:
    key = {"riskier": "importance.up", "safer": "importance.down", "either": "signals.both"}[way]
    return say(key)


def _expected(direction: Direction, say: Words) -> str:
    return say("signals.either") if direction == "either" else _way(direction, say)


def _signals(name: str, keys: tuple[str, ...], rows: tuple[tuple[str, ...], ...], say: Words) -> Table | None:
    heads = tuple(say(f"{'signals' if key == 'expected' else 'importance'}.{key}") for key in keys)
    return Table(say(f"{name}.table"), heads, rows, words=frozenset({1, 2})) if rows else None


def reach(report: Report, say: Words) -> Table | None:
    """What each capacity reaches."""
    if not report.capacities:
        return None
    rows = tuple(
        (f"{100 * share:g}", _of_100(calls.precision), _of_100(calls.recall), _number(calls.lift, 2))
        for share, calls in report.capacities
    )
    keys = ("reach.contacted", "reach.precision", "reach.recall", "reach.lift")
    return Table(say("reach.table"), tuple(map(say, keys)), rows)


def held(report: Report, say: Words) -> Table | None:
    """Steps that were not believable, the newest first."""
    if not report.held:
        return None
    rows = tuple(
        (say.date(each.since), say(f"held.{each.why}"), short(each.value), short(each.limit))
        for each in report.held[: -EVENTS - 1 : -1]
    )
    keys = ("held.since", "held.why", "held.value", "held.limit")
    return Table(say("held.table"), tuple(map(say, keys)), rows, words=frozenset({1}))


def closings(report: Report, say: Words) -> Table | None:
    """When the shop was closed, the newest first."""
    if not report.closed:
        return None
    rows = tuple(
        (say.date(first * DAY_MS), say.date(last * DAY_MS), f"{last - first + 1}")
        for first, last in report.closed[: -EVENTS - 1 : -1]
    )
    keys = ("closed.first", "closed.last", "closed.days")
    return Table(say("closed.table"), tuple(map(say, keys)), rows, words=frozenset({1}))


def proposals(report: Report, say: Words) -> Table | None:
    """Thresholds to choose from, with what each would have caught."""
    if not report.proposals:
        return None
    rows = tuple(
        (
            f"{each.threshold:.3f}",
            _of_100(each.calls.selection_rate),
            _of_100(each.calls.precision),
            _of_100(each.calls.recall),
            _of_100(math.nan if each.alarmed is None else each.alarmed),
        )
        for each in report.proposals
    )
    names = ("threshold", "alerted", "precision", "recall", "alarmed")
    keys = tuple(f"thresholds.{name}" for name in names)
    return Table(say("thresholds.table"), tuple(map(say, keys)), rows)


def quality(report: Report, say: Words) -> Table | None:
    """Every contender, the rule and the base rate, on the same labels."""
    names = judged_by_all(report.judged)
    if CHAMPION not in names:
        return None
    rows = []
    for name in names:
        counts = report.judged[name]
        ranking = name == RECENCY_RULE  # it claims no probability
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
        say("quality.table"),
        (say("quality.model"), say("quality.labels"), *head),
        tuple(rows),
        frozenset({0}),
    )


def drift(report: Report, say: Words) -> tuple[Table | None, int]:
    """What was told together, in one row each, newest first; and how many rows are left out."""
    if not report.drifts:
        return None, 0
    together = [list(found) for _, found in groupby(report.drifts, lambda d: (d.at, d.measure, d.since))]
    keys = ("at", "what", "level", "strongest", "since")
    rows = tuple(_told(found, say) for found in together[:EVENTS])
    head = tuple(say(f"drift.{key}") for key in keys)
    return Table(say("drift.events"), head, rows, words=frozenset({1, 2})), max(0, len(together) - EVENTS)


def _told(drifts: list[Drift], say: Words) -> tuple[str, ...]:
    """Drifts of one time and measure, the strongest first."""
    what = say.list([say("drift.loss") if d.what == "loss" else say.feature(d.what) for d in drifts], 4)
    first, unit = drifts[0], "PSI" if drifts[0].measure == "psi" else "nats"
    large = any(d.level == "large" for d in drifts)
    level = say("drift.level.large" if large else "drift.level.moderate")
    return say.date(first.at), what, level, f"{first.strength:.2f} {unit}", say.date(first.since)


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
        return (group.name, f"{group.labels:,}", say("fairness.few"), NOTHING, NOTHING, NOTHING)
    rates = [rate_of(group, what) for what in ("selection", "tpr", "fpr")]
    shown = (NOTHING if r is None else _interval(r.value, r.low, r.high) for r in rates)
    gap = NOTHING if group.calibration is None else f"{100 * group.calibration.gap:+.1f}"
    return (group.name, f"{group.labels:,}", *shown, gap)


def short(share: float) -> str:
    """How many of a hundred, as a table has room for it."""
    return percent(share).removesuffix("%")


def _interval(value: float, low: float, high: float) -> str:
    return f"{short(value)} ({100 * low:.1f}\N{EN DASH}{100 * high:.1f})"


def _of_100(share: float) -> str:
    return NOTHING if math.isnan(share) else short(share)


def _number(value: float, digits: int) -> str:
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"
