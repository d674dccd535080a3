"""What a chart of the report is, and what several of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from matplotlib.dates import AutoDateFormatter, AutoDateLocator

from features.layout import DAY_MS
from models.record import CHAMPION, RECENCY_RULE
from streams.report.palette import LINES, light

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from models.progressive import ScoreCounts


#: Stands where there is no number.
NOTHING: Final = "\N{EN DASH}"


@dataclass(frozen=True)
class Chart:
    """A drawn chart: `name` of its file, `title` for people, `alt` for who cannot see it."""

    name: str
    title: str
    alt: str
    figure: Figure


def day(ts: int) -> float:
    """Epoch ms as matplotlib takes a time: it counts days from 1970, too."""
    return ts / DAY_MS


def time_axis(axes: Axes, first: int, last: int) -> None:
    """From one epoch ms to another, with few enough dates to be read, in numbers for every language."""
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(AutoDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlim(day(first), day(last))


def contenders(names: Iterable[str]) -> list[str]:
    """Models in the order of comparisons: the champion as issued, the others, and the rule to beat."""
    known = list(names)
    first, last = ([name] if name in known else [] for name in (CHAMPION, RECENCY_RULE))
    return [*first, *sorted(set(known) - {CHAMPION, RECENCY_RULE}), *last]


def line_of(name: str, place: int) -> dict[str, Any]:
    """How a model's line looks, always the same: the champion stands out, the rule is dashed."""
    if name == RECENCY_RULE:
        return {"color": light("rule"), "linestyle": (0, (4, 2)), "linewidth": 1.4}
    width = 2.4 if name == CHAMPION else 1.2
    dashes = ("-", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))
    style = "-" if name == CHAMPION else dashes[place // len(LINES) % len(dashes)]
    return {
        "color": light(LINES[place % len(LINES)]),
        "linewidth": width,
        "linestyle": style,
        "zorder": 3 if name == CHAMPION else 2,
    }


def judged_by_all(judged: Mapping[str, ScoreCounts]) -> list[str]:
    """Those with labels, in the order of `contenders`."""
    return contenders(name for name, counts in judged.items() if counts.labels)


def percent_axis(axes: Axes, which: str, *, most: float = 1.0) -> None:
    """Label shares as so many of a hundred."""
    axis = getattr(axes, f"{which}axis")
    axis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    getattr(axes, f"set_{which}lim")(0, most)
