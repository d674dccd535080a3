"""Days on which nobody could buy: known closing days, and runs of days on which hardly anybody bought.

Silence on such a day is no evidence against a customer: for them the clock stands still while the shop is
closed. The trainer knows how many customers of all partitions bought on each day, so it can tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from features.bitdays import any_between
from features.layout import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

#: Days that are remembered.
MEMORY_DAYS: Final = 800
#: What is usual on a day is the median of the same weekday in so many weeks before, at least in two of them.
WEEKS: Final = 8
#: A run of silence is a closing if at least so many customers usually buy in it, and at most this share did.
USUAL: Final = 20
SILENCE: Final = 0.1
#: No day of it has more than this share of what is usual.
_QUIET: Final = 0.25
#: Of a longer silence the first days are a closing; what follows is the shop's season, or its end.
LONGEST_DAYS: Final = 28

#: A run of closed days: the first and the last, in days since the epoch.
Run = tuple[int, int]


@dataclass
class Trade:
    """How many customers bought on each day, None where nobody told.

    `first` is the day (since the epoch) of the first count.
    """

    first: int = 0
    buyers: list[int | None] = field(default_factory=list)

    def add(self, first: int, buyers: Sequence[int | None]) -> None:
        """Take the counts of the days from `first` on; of days before it that are missing nobody told."""
        if not self.buyers:
            self.first = first
        self.buyers += [None] * (first - self.end)
        self.buyers[first - self.first :] = buyers
        surplus = max(0, len(self.buyers) - MEMORY_DAYS)
        del self.buyers[:surplus]
        self.first += surplus

    @property
    def end(self) -> int:
        """The day behind the last one counted."""
        return self.first + len(self.buyers)

    @property
    def counts(self) -> NDArray[np.float64]:
        """How many bought on each day counted; NaN where nobody told."""
        return np.array(self.buyers, np.float64)

    def usual(self, closed: Iterable[int] = (), since: int = 0) -> NDArray[np.float64]:
        """How many usually buy on each day counted; NaN where too little is known.

        What was on `closed` days and before the day `since` does not count.
        """
        counts = self.counts
        counts[: max(0, since - self.first)] = np.nan
        known = [day - self.first for day in closed if self.first <= day < self.end]
        counts[known] = np.nan
        before = np.full((WEEKS, len(counts)), np.nan)
        for week in range(WEEKS):
            past = 7 * (week + 1)
            before[week, past:] = counts[:-past]
        enough = np.isfinite(before).sum(axis=0) >= 2
        usual = np.full(len(counts), np.nan)
        usual[enough] = np.nanmedian(before[:, enough], axis=0)
        return usual

    def silent_days(self, known: Iterable[int] = ()) -> set[int]:
        """Days of closings, as far as can be told by the last day counted; beside the `known` ones."""
        known = set(known)
        usual, counts = self.usual(known), self.counts
        quiet = counts <= _QUIET * usual  # False where nothing is known
        found: set[int] = set()
        for start, stop in _runs(quiet):
            # A day that was found stays found: taken back, it would age every customer at once.
            run = slice(start, min(stop, start + LONGEST_DAYS))
            found |= {self.first + day for day in _closed(counts[run], usual[run], start)}
        return found - known


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where runs of True begin, and the place behind each."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _closed(counts: NDArray[np.float64], usual: NDArray[np.float64], start: int) -> set[int]:
    """Days of a quiet run that lie in a stretch of silence which begins and ends on days with trade."""
    found: set[int] = set()
    trading = np.flatnonzero(usual > 0)
    bought, expected = np.cumsum([0, *counts]), np.cumsum([0, *usual])
    for first in trading.tolist():
        for last in trading[trading >= first].tolist():
            usually = expected[last + 1] - expected[first]
            if usually >= USUAL and bought[last + 1] - bought[first] <= SILENCE * usually:
                found.update(range(start + first, start + last + 1))
    return found


def runs_of(days: Iterable[int]) -> tuple[Run, ...]:
    """Days as runs, in rising order."""
    runs: list[Run] = []
    for day in sorted(days):
        if runs and runs[-1][1] == day - 1:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return tuple(runs)


def days_of(runs: Iterable[Run]) -> set[int]:
    """The days of runs."""
    return {day for first, last in runs for day in range(first, last + 1)}


def days_in(runs: Iterable[Run], first: int, end: int) -> int:
    """How many closed days there are from the day `first` until before the day `end`."""
    return sum(max(0, min(last + 1, end) - max(start, first)) for start, last in runs)


def until(runs: Iterable[Run], end: int) -> tuple[Run, ...]:
    """What of the runs lies before the day `end`."""
    return tuple((first, min(last, end - 1)) for first, last in runs if first < end)


def mostly_closed(runs: Iterable[Run], start: int, horizon_days: int) -> bool:
    """Whether the shop was closed on more than half of the days of the horizon from `start` (epoch ms) on."""
    first = start // DAY_MS
    return 2 * days_in(runs, first, first + horizon_days) > horizon_days


def open_time(
    last_ts: NDArray[np.int64], ts: int | NDArray[np.int64], runs: Sequence[Run]
) -> int | NDArray[np.int64]:
    """As of when to look at customers at `ts` or (n,): earlier by the closed days since their last event.

    So a customer is as silent as the shop was open. It lies behind the last event of each, `last_ts` (n,).
    """
    if not runs:
        return ts
    closed = np.concatenate([np.arange(first, last + 1) for first, last in runs])
    passed = np.searchsorted(closed, np.asarray(ts) // DAY_MS) - np.searchsorted(
        closed, last_ts // DAY_MS + 1
    )
    return np.asarray(ts - DAY_MS * np.maximum(passed, 0))


def buyers_by_day(rows: NDArray[np.void], as_of: NDArray[np.intp], ts: int, days: int) -> tuple[int, ...]:
    """How many of the records at `as_of` bought on each of the `days` days before `ts`, a midnight."""
    last = rows["last_purchase"][as_of]
    recent = np.flatnonzero(last >= ts - days * DAY_MS)
    newest = last[recent] // DAY_MS
    words = np.ascontiguousarray(rows["purchase_days"][as_of[recent]])
    end = ts // DAY_MS
    return tuple(int(any_between(words, newest - day, newest - day).sum()) for day in range(end - days, end))
