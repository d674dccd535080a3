"""The charts that everybody reads: trend, who is at risk, what the model goes by, whom a budget reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.layout import DAY_MS
from models.episodes import TIERS, tiers_by
from models.report import RISK_BINS
from streams.report.canvas import figure
from streams.report.chart import Chart, day, percent_axis, time_axis
from streams.report.palette import light

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from models.report import Report
    from streams.report.words import Words

#: Themes and features shown; beyond stands what hardly counts.
THEMES = 8


def warnings(report: Report, say: Words) -> Chart | None:
    """A hundred customers that we warned about, one dot each: how many did not come back."""
    if report.trust is None or report.trust.precision is None or report.trust.verdict == "early":
        return None
    share = report.trust.precision.value
    left = round(100 * share)
    drawn, (axes,) = figure(2.1, 2.1)
    column, row = np.arange(100) % 10, np.arange(100) // 10
    gone = np.arange(100) < left
    axes.scatter(column[gone], row[gone], s=72, color=light("critical"), linewidths=0)
    axes.scatter(column[~gone], row[~gone], s=60, facecolors="none", edgecolors=light("rule"), linewidths=1.4)
    axes.set(xlim=(-0.7, 9.7), ylim=(9.7, -0.7), aspect="equal")
    axes.set_axis_off()
    sentence = say("trust.precision", n=say.of_100(share))
    return Chart("warnings", sentence, sentence, drawn)


def trend(report: Report, say: Words) -> Chart | None:
    """Forecast, outcome and warnings by decision time."""
    if len(report.moments) < 2:
        return None
    drawn, (axes,) = figure(7.2, 2.9)
    times = [day(m.ts) for m in report.moments]
    forecast = [m.forecast for m in report.moments]
    known = [(q.decision_time, q.churned / q.labels) for q in report.quality if q.labels]
    at_risk = [m.share_at_risk for m in report.moments]
    axes.plot(times, at_risk, color=light("second"), linewidth=1.4)
    axes.plot(times, forecast, color=light("rule"), linestyle=(0, (3, 2)))
    ends = [(at_risk[-1], "trend.at_risk", "second"), (forecast[-1], "trend.forecast", "rule")]
    if known:
        axes.plot(
            [day(ts) for ts, _ in known], [rate for _, rate in known], color=light("main"), linewidth=2.2
        )
        ends.append((known[-1][1], "trend.actual", "main"))
    begins = day(known[-1][0] if known else report.as_of - report.config.horizon_days * DAY_MS)
    axes.axvspan(begins, times[-1], color=light("grid"), alpha=0.5, linewidth=0)
    axes.text(
        times[-1],
        0.985,
        say("trend.pending") + " ",
        ha="right",
        va="top",
        fontsize=8,
        color=light("muted"),
        transform=axes.get_xaxis_transform(),
    )
    top = max([*at_risk, *forecast, *(rate for _, rate in known)])
    percent_axis(axes, "y", most=min(1.0, top * 1.15 + 0.02))
    time_axis(axes, report.moments[0].ts, report.as_of)
    axes.set_ylabel(say("trend.axis"))
    _name_ends(axes, ends, say)
    alt = say(
        "trend.alt",
        actual=say.of_100(known[-1][1]) if known else say("unknown"),
        forecast=say.of_100(forecast[-1]),
        at_risk=say.of_100(at_risk[-1]),
    )
    return Chart("trend", say("trend.title"), alt, drawn)


def _name_ends(axes: Axes, ends: list[tuple[float, str, str]], say: Words) -> None:
    """Name lines beside their ends, no two names closer than a line of text."""
    low, high = axes.get_ylim()
    least = (high - low) * 0.075
    place = -np.inf
    for value, key, role in sorted(ends):
        place = max(value, place + least)
        axes.annotate(
            say(key),
            (1.0, place),
            xytext=(6, 0),
            textcoords="offset points",
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            color=light(role),
            annotation_clip=False,
        )


def spread(report: Report, say: Words) -> Chart | None:
    """Customers now by risk, coloured by tier."""
    if report.now is None:
        return None
    drawn, (axes,) = figure(7.2, 2.5)
    edges = np.arange(RISK_BINS) / RISK_BINS
    tiers = tiers_by(report.thresholds, edges + 0.5 / RISK_BINS)
    axes.bar(edges, report.risk, width=0.92 / RISK_BINS, align="edge", color=[light(TIERS[t]) for t in tiers])
    percent_axis(axes, "x")
    axes.set_xticks(np.arange(0, 1.01, 0.1))
    axes.set(xlabel=say("spread.axis"), ylabel=say("spread.count"))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(visible=False, axis="x")
    alt = say("spread.alt", **{tier: f"{n:,}" for tier, n in report.now_by_tier.items()})
    return Chart("risk", say("spread.title"), alt, drawn)


def importance(report: Report, say: Words) -> Chart | None:
    """Themes by how much they move the risk."""
    shown = [theme for theme in report.importance if theme.weight > 0][:THEMES]
    if not shown:
        return None
    drawn, (axes,) = figure(7.2, 0.6 + 0.29 * len(shown))
    names = [say.theme(theme.theme) for theme in shown]
    axes.barh(names[::-1], [theme.weight for theme in shown][::-1], height=0.62, color=light("main"))
    axes.set_xlabel(say("importance.axis"))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelcolor=light("ink"), labelsize=9)
    return Chart(
        "importance", say("importance.title"), say("importance.alt", names=say.list(names, 5)), drawn
    )


def reach(report: Report, say: Words) -> Chart | None:
    """Leavers reached by customers contacted: the gains curve."""
    if not report.gains or not report.gains[0][1].churned:
        return None
    drawn, (axes,) = figure(4.2, 3.4)
    shares, recalls = zip(*((share, calls.recall) for share, calls in report.gains), strict=True)
    axes.plot(shares, recalls, color=light("main"), label=say("reach.model"))
    axes.plot(
        [0, 1], [0, 1], color=light("rule"), linestyle=(0, (4, 2)), linewidth=1.3, label=say("reach.random")
    )
    axes.plot(
        [share for share, _ in report.capacities],
        [calls.recall for _, calls in report.capacities],
        "o",
        color=light("main"),
        markersize=4.5,
    )
    for which in "xy":
        percent_axis(axes, which)
    axes.set(xlabel=say("reach.x"), ylabel=say("reach.y"))
    axes.legend(loc="lower right")
    return Chart("reach", say("reach.title"), say("reach.alt"), drawn)
