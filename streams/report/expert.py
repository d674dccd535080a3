"""The charts that a data scientist looks for: ranking, calibration, contenders over time, drift, fairness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.drift.inputs import LARGE, MODERATE
from models.operating import curve
from models.record import CHAMPION, RECENCY_RULE
from streams.report.canvas import figure
from streams.report.chart import Chart, contenders, day, judged_by_all, line_of, percent_axis, time_axis
from streams.report.palette import LINES, light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from models.fairness import Audit, Group
    from models.intervals import Interval
    from models.record import CohortQuality
    from models.report import Report
    from streams.report.words import Words

#: Inputs in the chart of drift.
SHOWN = 12


def roc(report: Report, say: Words) -> Chart | None:
    """The ROC curve of every contender."""
    champion = report.judged.get(CHAMPION)
    if champion is None or not len(curve(champion, 2)):
        return None
    drawn, (axes,) = figure(4.2, 3.7)
    for place, name in enumerate(judged_by_all(report.judged)):
        points = curve(report.judged[name])
        axes.plot(points.false_positive_rate, points.recall, label=say.model(name), **line_of(name, place))
    axes.plot([0, 1], [0, 1], ":", color=light("rule"), linewidth=1.2)
    for which in "xy":
        percent_axis(axes, which)
    axes.set(xlabel=say("roc.x"), ylabel=say("roc.y"))
    axes.legend(loc="lower right", fontsize=7.5)
    return Chart("roc", say("roc.title"), say("roc.alt", auc=f"{champion.auc:.3f}"), drawn)


def precision_recall(report: Report, say: Words) -> Chart | None:
    """The precision-recall curve of every contender."""
    champion = report.judged.get(CHAMPION)
    if champion is None or not len(curve(champion, 2)):
        return None
    drawn, (axes,) = figure(4.2, 3.7)
    for place, name in enumerate(judged_by_all(report.judged)):
        points = curve(report.judged[name])
        # Nobody called is no precision.
        axes.plot(points.recall[1:], points.precision[1:], label=say.model(name), **line_of(name, place))
    axes.axhline(champion.base_rate, color=light("rule"), linestyle=":", linewidth=1.2)
    for which in "xy":
        percent_axis(axes, which)
    axes.set(xlabel=say("pr.x"), ylabel=say("pr.y"))
    alt = say("pr.alt", ap=f"{champion.pr_auc:.3f}", rate=f"{champion.base_rate:.3f}")
    return Chart("precision-recall", say("pr.title"), alt, drawn)


def reliability(report: Report, say: Words) -> Chart | None:
    """Forecast against outcome with intervals."""
    if not report.reliability:
        return None
    drawn, (axes,) = figure(4.2, 3.7)
    forecast = np.array([each.forecast for each in report.reliability])
    rate, low, high = (
        np.array([getattr(each.churn_rate, what) for each in report.reliability])
        for what in ("value", "low", "high")
    )
    axes.plot([0, 1], [0, 1], ":", color=light("rule"), linewidth=1.4)
    axes.errorbar(
        forecast,
        rate,
        yerr=(rate - low, high - rate),
        fmt="o",
        color=light("main"),
        markersize=5,
        capsize=2.5,
        elinewidth=1.4,
    )
    for which in "xy":
        percent_axis(axes, which)
    axes.set(xlabel=say("reliability.x"), ylabel=say("reliability.y"))
    alt = say(
        "reliability.alt",
        n=len(forecast),
        gap=say.of_100(float(np.abs(forecast - rate).max())),
        ece=f"{report.judged[CHAMPION].ece():.3f}",
    )
    return Chart("reliability", say("reliability.title"), alt, drawn)


def separation(report: Report, say: Words) -> Chart | None:
    """How the forecasts of those who left, and of those who stayed, are distributed."""
    counts = report.judged.get(CHAMPION)
    if counts is None or not len(curve(counts, 2)):
        return None
    drawn, (axes,) = figure(4.2, 3.7)
    edges = np.linspace(0, 1, 26)
    kinds = (("left", counts.positives, "critical"), ("stayed", counts.negatives, "main"))
    means = {}
    for kind, labels, role in kinds:
        share = np.histogram(counts.probabilities, edges, weights=labels)[0] / labels.sum()
        axes.stairs(share, edges, color=light(role), fill=True, alpha=0.18)
        axes.stairs(share, edges, color=light(role), linewidth=1.6, label=say(f"separation.{kind}"))
        means[kind] = say.of_100(float(counts.probabilities @ labels / labels.sum()))
    percent_axis(axes, "x")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    axes.set(xlabel=say("separation.x"), ylabel=say("separation.y"))
    axes.legend()
    return Chart("separation", say("separation.title"), say("separation.alt", **means), drawn)


def over_time(report: Report, say: Words) -> Chart | None:
    """AUC of every contender by decision time, and its running lead over the base rate in log loss."""
    known = [q for q in report.quality if q.labels]
    if len(known) < 2:
        return None
    names = contenders({name for q in known for name in q.by_name})
    drawn, (above, below, beside) = figure(7.2, 6.4, rows=3)
    for place, name in enumerate(names):
        mine = [q for q in known if name in q.by_name]
        times = [day(q.decision_time) for q in mine]
        above.plot(times, [q.by_name[name][0] for q in mine], label=say.model(name), **line_of(name, place))
        if name != RECENCY_RULE:
            below.plot(times, _running_lead(mine, name), **line_of(name, place))
            against = [q for q in mine if CHAMPION in q.by_name]
            ahead = _running_lead(against, name) - _running_lead(against, CHAMPION)
            beside.plot([day(q.decision_time) for q in against], ahead, **line_of(name, place))
    above.axhline(0.5, color=light("rule"), linestyle=":", linewidth=1.2)
    below.axhline(0, color=light("rule"), linestyle=":", linewidth=1.2)
    above.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    above.set_ylabel(say("time.auc"))
    below.set_ylabel(say("time.lead"))
    beside.set_ylabel(say("time.against"))
    for axes in (above, below, beside):
        time_axis(axes, known[0].decision_time, known[-1].decision_time)
    drawn.align_ylabels()
    drawn.legend(loc="outside lower center", ncols=3)
    return Chart("over-time", say("time.title"), say("time.alt", n=len(names)), drawn)


def _running_lead(known: Sequence[CohortQuality], name: str) -> NDArray[np.float64]:
    """Mean log loss of the base rate in hindsight less the model's, over all labels so far."""
    labels = np.array([q.labels for q in known])
    rate = np.array([q.churned / q.labels for q in known]).clip(1e-6, 1 - 1e-6)
    base = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    lead = base - np.array([q.by_name[name][1] for q in known])
    return np.asarray(np.cumsum(labels * lead) / np.cumsum(labels))


def weights(report: Report, say: Words) -> Chart | None:
    """The pool's weights over time."""
    if len(report.standings) < 2 or len(report.standings[-1].weights) < 2:
        return None
    names = list(report.standings[-1].weights)
    drawn, (axes,) = figure(7.2, 2.5)
    times = [day(standing.ts) for standing in report.standings]
    rows = [[standing.weights.get(name, 0.0) for standing in report.standings] for name in names]
    colours = [light(LINES[i % len(LINES)]) for i in range(len(names))]
    axes.stackplot(times, rows, labels=[say.model(name) for name in names], colors=colours, alpha=0.85)
    percent_axis(axes, "y")
    time_axis(axes, report.standings[0].ts, report.standings[-1].ts)
    axes.set_ylabel(say("weights.axis"))
    drawn.legend(loc="outside lower center", ncols=3)
    newest = [f"{say.model(name)} {100 * w:.0f}%" for name, w in report.standings[-1].weights.items()]
    return Chart("weights", say("weights.title"), say("weights.alt", weights=say.list(newest, 9)), drawn)


def stability(report: Report, say: Words) -> Chart | None:
    """The inputs that differ most from a horizon ago."""
    shown = report.stability[:SHOWN]
    if not shown:
        return None
    drawn, (axes,) = figure(7.2, 0.7 + 0.27 * len(shown))
    names = [say.feature(name) for name, _ in shown]
    index = [value for _, value in shown]
    colours = [light("critical" if x >= LARGE else "medium" if x >= MODERATE else "none") for x in index]
    most = max(2 * LARGE, min(max(index), 1.0))
    axes.barh(names[::-1], [min(x, most) for x in index][::-1], height=0.62, color=colours[::-1])
    for place, x in enumerate(reversed(index)):
        axes.text(min(x, most), place, f" {x:.2f}" if x <= most else f" … {x:.2f}", va="center", fontsize=8)
    for mark in (MODERATE, LARGE):
        axes.axvline(mark, color=light("muted"), linestyle=":", linewidth=1)
    axes.set_xlim(0, most * 1.12)
    axes.set_xlabel(say("drift.axis"))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelcolor=light("ink"))
    pairs = [f"{name} {x:.2f}" for name, x in zip(names, index, strict=True)]
    return Chart("drift", say("drift.title"), say("drift.alt", names=say.list(pairs)), drawn)


def fairness(number: int, attribute: str, audit: Audit, say: Words) -> Chart | None:
    """Three rates of every group of one attribute, with intervals.

    Attributes have names of all kinds, so the file is named by `number`.
    """
    groups = [group for group in audit.groups if not group.too_few]
    if not groups:
        return None
    drawn, panels = figure(7.2, 1.0 + 0.28 * len(groups), columns=3)
    names = [group.name for group in groups][::-1]
    for axes, what in zip(panels, ("selection", "tpr", "fpr"), strict=True):
        for place, group in enumerate(reversed(groups)):
            if (rate := rate_of(group, what)) is not None:
                axes.plot([rate.low, rate.high], [place, place], color=light("main"), linewidth=1.6)
                axes.plot([rate.value], [place], "o", color=light("main"), markersize=5)
        axes.set_yticks(range(len(names)), names if axes is panels[0] else [""] * len(names))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
        axes.set_title(say(f"fairness.{what}"), loc="left", fontsize=8)
        axes.tick_params(axis="y", labelcolor=light("ink"))
    told = [
        say("fairness.alt_group", name=g.name, n=say.of_100(g.selection_rate.value))
        for g in groups
        if g.selection_rate
    ]
    alt = say("fairness.alt", attribute=attribute, groups=say.list(told, 9))
    return Chart(f"fairness-{number}", say("fairness.attribute", attribute=attribute), alt, drawn)


def rate_of(group: Group, what: str) -> Interval | None:
    """One of a group's rates by its short name."""
    return {
        "selection": group.selection_rate,
        "tpr": group.true_positive_rate,
        "fpr": group.false_positive_rate,
    }[what]
