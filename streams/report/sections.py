"""What the page shows below the first screen, in order: first for everybody, then for data scientists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.record import CHAMPION, RECENCY_RULE
from streams.report import expert, overview, tables
from streams.report.chart import NOTHING
from streams.report.horizon import advice

if TYPE_CHECKING:
    from models.fairness import Audit
    from models.report import Report
    from streams.report.chart import Chart
    from streams.report.tables import Table
    from streams.report.words import Words


@dataclass(frozen=True)
class Section:
    """A heading, sentences, charts each with a sentence of its own (or none), tables, and small print."""

    name: str
    title: str
    plain: tuple[str, ...] = ()
    charts: tuple[tuple[Chart, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


def sections(report: Report, say: Words) -> tuple[Section, ...]:
    """All sections that there is anything to show in."""
    made = (
        _trend(report, say),
        _spread(report, say),
        _importance(report, say),
        _reach(report, say),
        _horizon(report, say),
        _quality(report, say),
        _time(report, say),
        _weights(report, say),
        _signals(report, say),
        _drift(report, say),
        _fairness(report, say),
    )
    return tuple(section for section in made if section.charts or section.tables or section.notes)


def _some(*found: Table | None) -> tuple[Table, ...]:
    return tuple(each for each in found if each is not None)


def _drawn(*found: tuple[Chart | None, str]) -> tuple[tuple[Chart, str], ...]:
    return tuple((chart, plain) for chart, plain in found if chart is not None)


def _trend(report: Report, say: Words) -> Section:
    plain = say("trend.plain", horizon=report.config.horizon_days)
    found = _some(tables.held(report, say), tables.closings(report, say))
    return Section("trend", say("trend.title"), (plain,), _drawn((overview.trend(report, say), "")), found)


def _spread(report: Report, say: Words) -> Section:
    return Section(
        "risk",
        say("spread.title"),
        (say("spread.plain"),),
        _drawn((overview.spread(report, say), "")),
        _some(tables.tiers(report, say)),
        (say("spread.note"),) if report.trust else (),
    )


def _importance(report: Report, say: Words) -> Section:
    table = tables.signals(report, say)
    return Section(
        "importance",
        say("importance.title"),
        (say("importance.plain"),),
        _drawn((overview.importance(report, say), "")),
        _some(table),
        (say("importance.note"),) if table else (),
    )


def _reach(report: Report, say: Words) -> Section:
    chart = overview.reach(report, say)
    plain: tuple[str, ...] = ()
    if chart:
        share, calls = report.capacities[2]
        plain = (say("reach.plain", share=f"{100 * share:g}", reached=say.of_100(calls.recall)),)
    found = _some(tables.reach(report, say), tables.proposals(report, say))
    notes = (say("thresholds.note"),) if report.proposals else ()
    if report.reached_from:
        first, last = map(say.date, report.reached_from)
        notes = (say("reach.note", first=first, last=last), *notes)
    return Section("reach", say("reach.title"), plain, _drawn((chart, "")), found, notes)


def _horizon(report: Report, say: Words) -> Section:
    told = advice(report.rhythm, report.config.horizon_days, say)
    return Section("horizon", say("horizon.title"), told[:1], notes=told[1:])


def _signals(report: Report, say: Words) -> Section:
    table = tables.all_signals(report, say)
    plain = (say("signals.plain"),) if table else ()
    return Section("signals", say("signals.title"), plain, tables=_some(table))


def _quality(report: Report, say: Words) -> Section:
    name, title = "quality", say("quality.title")
    roc = expert.roc(report, say)
    if CHAMPION not in report.judged:
        return Section(name, title, notes=(say("warming", horizon=report.config.horizon_days),))
    plain = []
    if roc:
        auc, rule = report.judged[CHAMPION].auc, report.judged[RECENCY_RULE].auc
        plain.append(say("quality.plain", n=say.of_100(auc), auc=f"{auc:.3f}", rule=say.of_100(rule)))
    since = report.judged_from
    plain.append(say("quality.all") if since is None else say("quality.since", date=say.date(since)))
    charts = _drawn(
        (expert.reliability(report, say), say("reliability.plain")),
        (expert.separation(report, say), say("separation.plain")),
        (roc, say("roc.plain")),
        (expert.precision_recall(report, say), say("pr.plain")),
    )
    notes = (say("quality.note"), say("reliability.note", effect=f"{report.design_effect:.3g}"))
    return Section(name, title, tuple(plain), charts, _some(tables.quality(report, say)), notes)


def _time(report: Report, say: Words) -> Section:
    chart = expert.over_time(report, say)
    return Section("over-time", say("time.title"), (say("time.plain"),), _drawn((chart, "")))


def _weights(report: Report, say: Words) -> Section:
    chart = expert.weights(report, say)
    notes = [
        say("weights.lead", date=say.date(led.ts), model=say.model(led.champion)) for led in report.promotions
    ]
    if chart:
        newest = report.standings[-1]
        numbers = {"slope": f"{newest.slope:.2f}", "intercept": f"{newest.intercept:+.2f}"}
        notes.insert(0, say("weights.calibration", **numbers))
    return Section(
        "weights", say("weights.title"), (say("weights.plain"),), _drawn((chart, "")), notes=tuple(notes)
    )


def _drift(report: Report, say: Words) -> Section:
    chart = expert.stability(report, say)
    notes = []
    if not chart:
        notes.append(say("drift.none"))
    elif not report.drifts:
        notes.append(say("drift.quiet"))
    table, hidden = tables.drift(report, say)
    if hidden:
        notes.append(say("drift.more", n=hidden))
    return Section(
        "drift", say("drift.title"), (say("drift.plain"),), _drawn((chart, "")), _some(table), tuple(notes)
    )


def _fairness(report: Report, say: Words) -> Section:
    title = say("fairness.title")
    if not report.fairness:
        return Section("fairness", title, notes=(say("fairness.none"),))
    charts = [
        (expert.fairness(number, attribute, audit, say), _spread_of(audit, say))
        for number, (attribute, audit) in enumerate(report.fairness.items(), 1)
    ]
    found = tuple(tables.fairness(attribute, audit, say) for attribute, audit in report.fairness.items())
    return Section("fairness", title, (say("fairness.plain"),), _drawn(*charts), found)


def _spread_of(audit: Audit, say: Words) -> str:
    selection, odds = audit.demographic_parity_difference, audit.equalized_odds_difference
    if selection is None:
        return say("fairness.single")
    shown = NOTHING if odds is None else f"{100 * odds:.1f}"
    return say("fairness.spread", selection=f"{100 * selection:.1f}", odds=shown)
