"""Where a search may look for a learner's settings: each learner says so beside the settings themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a search chooses for one dimension: a number of a `Range`, the label of an option of a `Choice`.
Point = float | int | str


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`: by factors when `log`, by differences otherwise; only `whole` ones."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def value(self, point: Point) -> float | int:
        """The setting: three digits say all that a search can know, and are kind to whoever reads them."""
        return round(float(point)) if self.whole else float(f"{float(point):.3g}")

    def points(self, count: int) -> list[Point]:
        """About `count` settings, evenly spread over the range, its ends among them."""
        ends = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        spread = np.linspace(*ends, count)
        found = (self.value(float(x)) for x in (np.exp(spread) if self.log else spread))
        return list(dict.fromkeys(min(max(x, self.low), self.high) for x in found))


@dataclass(frozen=True)
class Choice:
    """One of a few `options`, of any type."""

    options: tuple[Any, ...]

    @property
    def labels(self) -> Sequence[str]:
        """The options as text."""
        return [str(option) for option in self.options]

    def value(self, point: Point) -> Any:
        """The option with that label; raises ValueError for another one."""
        return self.options[self.labels.index(str(point))]

    def points(self, count: int) -> list[Point]:  # noqa: ARG002 - options do not become fewer
        """All labels."""
        return [*self.labels]


Dimension = Range | Choice
