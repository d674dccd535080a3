"""A comparison to look at: what is won or lost against the batch, calibration, and quality over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.quality.baselines import BaseRate, RiverDefault
from benchmarks.quality.bootstrap import BINS
from benchmarks.quality.comparison import BATCH, CHAMPION, COLD
from benchmarks.quality.pareto import ParetoNbd
from streams.report.canvas import drawing, figure, png
from streams.report.chart import day, percent_axis, time_axis
from streams.report.palette import light

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmarks.quality.comparison import Comparison

#: Each model's colour, the same in every picture. The base rate is so far behind that beside it nothing else
#: could be told apart in differences; it is drawn over time only.
_COLOURS: Final = {
    CHAMPION: "main",
    BATCH: "second",
    COLD: "third",
    BaseRate.name: "rule",
    "weekly LR": "fourth",
    RiverDefault.name: "fifth",
    ParetoNbd.name: "sixth",
}
_BAND: Final = 0.11


def draw(comparisons: Sequence[Comparison], folder: Path) -> None:
    """Write PNG files into `folder`; logs without a test half are not drawn, over time only what lasts."""
    shown = [each for each in comparisons if each.test is not None]
    if not shown:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with drawing():
        title = f"What is won or lost against {BATCH}, test half, 95 % over customers"
        png(_against_batch(shown), title, folder / "quality-against-batch.png")
        title = f"Reliability of the champion, test half, {BINS} bins"
        png(_reliability(shown), title, folder / "quality-reliability.png")
        if lasting := [each for each in shown if len(each.times) > 1]:
            title = "Log loss by decision time; the test half is shaded"
            png(_over_time(lasting), title, folder / "quality-over-time.png")


def _against_batch(comparisons: Sequence[Comparison]) -> Figure:
    drawn, panels = figure(8.6, 1.2 + 0.9 * len(comparisons), 1, 2)
    for axes, metric, label in zip(
        panels,
        ("auc", "log_loss"),
        ("AUC: to the right is better", "log loss: to the left is better"),
        strict=True,
    ):
        axes.axvline(0, color=light("ink"), linewidth=1)
        for row, comparison in enumerate(comparisons):
            _forest(axes, comparison, metric, row)
        axes.set_yticks(range(len(comparisons)), [each.title for each in comparisons])
        axes.set_ylim(len(comparisons) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(label)
        axes.locator_params(axis="x", nbins=5)
    panels[1].tick_params(labelleft=False)
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return drawn


def _forest(axes: Axes, comparison: Comparison, metric: str, row: int) -> None:
    assert comparison.test is not None
    half = comparison.test
    known = {BATCH, BaseRate.name, *half.ranks_only}
    names = [name for name in comparison.baselines if name not in known]
    for place, name in enumerate((CHAMPION, *names)):
        found = half.bootstrap.difference(name, BATCH, metric)
        axes.errorbar(
            found.value,
            row + _BAND * (place - len(names) / 2),
            xerr=[[found.value - found.low], [found.high - found.value]],
            fmt="o" if name == CHAMPION else "s",
            markersize=6 if name == CHAMPION else 3.5,
            color=light(_COLOURS[name]),
            label=name if row == 0 else None,
        )


def _reliability(comparisons: Sequence[Comparison]) -> Figure:
    drawn, panels = figure(2.4 * len(comparisons) + 0.6, 2.9, 1, len(comparisons))
    for axes, comparison in zip(panels, comparisons, strict=True):
        assert comparison.test is not None
        found = comparison.test.reliability
        axes.plot([0, 1], [0, 1], ":", color=light("rule"), linewidth=1.2)
        axes.plot(
            found.mean_probability, found.churn_rate, "o-", color=light("main"), markersize=3.5, linewidth=1.2
        )
        for which in "xy":
            percent_axis(axes, which)
        axes.set(title=comparison.title, aspect="equal", xlabel="forecast, %")
    panels[0].set_ylabel("churned, %")
    return drawn


def _over_time(comparisons: Sequence[Comparison]) -> Figure:
    drawn, panels = figure(8.6, 2.1 * len(comparisons) + 0.4, len(comparisons), 1)
    for axes, comparison in zip(panels, comparisons, strict=True):
        assert comparison.test is not None
        times = [day(ts) for ts in comparison.times]
        for name in (CHAMPION, BATCH, COLD, BaseRate.name):
            width = 2.2 if name == CHAMPION else 1.2
            axes.plot(
                times, comparison.losses[name], label=name, color=light(_COLOURS[name]), linewidth=width
            )
        axes.axvspan(day(comparison.test.first), times[-1], color=light("grid"), alpha=0.5, linewidth=0)
        time_axis(axes, comparison.times[0], comparison.times[-1])
        axes.set_title(comparison.title, loc="left")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawn
