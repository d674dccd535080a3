"""What a chart of the report is, and what several of them share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from models.record import CHAMPION, RECENCY_RULE
from streams.report.palette import LINES, light

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from models.progressive import ScoreCounts


@dataclass(frozen=True)
class Chart:
    """A drawn chart: `name` of its file, `title` for people, `alt` for who cannot see it."""

    name: str
    title: str
    alt: str
    figure: Figure


def day(ts: int) -> datetime:
    """Epoch ms as matplotlib takes a time."""
    return datetime.fromtimestamp(ts / 1000, UTC)


def contenders(names: Iterable[str]) -> list[str]:
    """The models of a comparison: the champion as issued, then the others, and the rule to beat at the end."""
    known = list(names)
    first, last = ([name] if name in known else [] for name in (CHAMPION, RECENCY_RULE))
    return [*first, *sorted(set(known) - {CHAMPION, RECENCY_RULE}), *last]


def line_of(name: str, place: int) -> Mapping[str, object]:
    """How a model's line looks, always the same: the champion stands out, the rule is dashed."""
    if name == RECENCY_RULE:
        return {"color": light("rule"), "linestyle": (0, (4, 2)), "linewidth": 1.4}
    width = 2.4 if name == CHAMPION else 1.2
    dashes = ("-", "-", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))
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
