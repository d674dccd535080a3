"""Of which time a recorded log tells: where its observation begins and ends, and where it has holes.

The newest row does not say where a log ends: one typing error may be dated decades ahead, and whoever is
silent until then would count as having left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from features.layout import DAY_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.clock import Times

#: Negligible is one row in a hundred, or up to three rows if that is not more than one in ten.
_NEGLIGIBLE_SHARE, _NEGLIGIBLE_ROWS, _SMALL_LOG = 100, 3, 10
#: No stretch lies apart for less than this, or than the horizon if that is more.
_APART_DAYS: Final = 30
#: What is parted from the rest by more than this and all of one day is a date that stands for "no date".
_PLACEHOLDER_DAYS: Final = 365
#: A shorter silence is no hole, nor is one of less than so many usual pauses.
_HOLE_DAYS, _USUAL_PAUSES = 7, 10


class Hole(NamedTuple):
    """Days of which a log that goes on says nothing: the first and the last one, as days since the epoch."""

    first: int
    last: int

    @property
    def days(self) -> int:
        """Length in days."""
        return self.last - self.first + 1


class Observation(NamedTuple):
    """The time that was observed: from `first` to `last` (epoch ms, of the outermost rows that count)."""

    first: int
    last: int


def observation(times: Times, horizon_days: int) -> Observation:
    """What of the log whose rows have these `times` (rising, at least one) was observed.

    Rows at either end that lie apart from all others, by more than the horizon, a month and ten usual pauses,
    do not count if they are a negligible share; nor do those that all bear one day, more than a year apart.

    >>> days = np.concatenate([np.arange(100), [27_000]]) * DAY_MS
    >>> observation(days, 60) == Observation(0, 99 * DAY_MS)
    True
    """
    days = np.unique(times // DAY_MS)
    pauses = np.diff(days)
    apart = max(horizon_days, _APART_DAYS, _USUAL_PAUSES * _usual(pauses))
    cuts = np.flatnonzero(pauses > apart)
    starts = np.searchsorted(times, days[np.concatenate([[0], cuts + 1])] * DAY_MS)
    ends = np.append(starts[1:], len(times))
    believed = _believed(times, starts, ends)
    if not believed.any():
        return Observation(int(times[0]), int(times[-1]))
    first, last = np.flatnonzero(believed)[[0, -1]]
    return Observation(int(times[starts[first]]), int(times[ends[last] - 1]))


def _believed(times: Times, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which stretches of rows are part of what was observed."""
    total, rows = len(times), ends - starts
    negligible = rows <= max(total // _NEGLIGIBLE_SHARE, min(_NEGLIGIBLE_ROWS, total // _SMALL_LOG))
    days = times // DAY_MS
    away = np.full(len(starts), np.inf)
    gaps = days[starts[1:]] - days[ends[:-1] - 1]
    away[1:] = gaps
    away[:-1] = np.minimum(away[:-1], gaps)
    placeholder = (days[starts] == days[ends - 1]) & (away > _PLACEHOLDER_DAYS) & (2 * rows < total)
    found: NDArray[np.bool_] = ~(negligible | (placeholder & np.isfinite(away)))
    return found


def holes(times: Times) -> list[Hole]:
    """Silences within a log of these `times` (rising) that are much longer than it is wont to be silent."""
    days = np.unique(times // DAY_MS)
    pauses = np.diff(days)
    long = np.flatnonzero(pauses > max(_HOLE_DAYS, _USUAL_PAUSES * _usual(pauses)))
    return [Hole(int(days[i]) + 1, int(days[i + 1]) - 1) for i in long]


def _usual(pauses: NDArray[np.int64]) -> float:
    return float(np.median(pauses)) if len(pauses) else 0.0
