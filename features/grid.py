"""The decision grid: the fixed points of event time at which every customer is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from features.layout import DAY_MS

#: A Thursday (the epoch): with it a weekly grid falls on Thursdays, a daily one on every midnight UTC.
EPOCH: Final = 0


@dataclass(frozen=True)
class DecisionGrid:
    """Decision times `anchor + k * every_ms`; all in epoch ms, both whole days, so at 00:00 UTC.

    Raises ValueError when a step is not a positive whole number of days.

    >>> grid = DecisionGrid(every_days=7)
    >>> grid.floor(8 * DAY_MS) == 7 * DAY_MS and grid.after(7 * DAY_MS) == 14 * DAY_MS
    True
    """

    every_days: int
    anchor: int = EPOCH

    def __post_init__(self) -> None:
        if self.every_days < 1:
            raise ValueError(f"the decision grid needs a step of at least one day, not {self.every_days}")
        if self.anchor % DAY_MS:
            raise ValueError("the decision grid's anchor must be a midnight UTC")

    @property
    def every_ms(self) -> int:
        """The step D in ms."""
        return self.every_days * DAY_MS

    def floor(self, ts: int) -> int:
        """The latest decision time <= ts."""
        return ts - (ts - self.anchor) % self.every_ms

    def after(self, ts: int) -> int:
        """The first decision time > ts."""
        return self.floor(ts) + self.every_ms

    def before(self, ts: int) -> int:
        """The latest decision time < ts."""
        return self.floor(ts - 1)
