"""Records as of a time, with the columns that many features share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.bitdays import Words, count_within
from features.layout import CHANNELS, DAY_MS, DECAY_PER_MS, HALF_LIVES_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.returns import ReturnModel

Floats = NDArray[np.float64]
_CHANNEL = {name: index for index, name in enumerate(CHANNELS)}
_HALF_LIFE = {int(days): index for index, days in enumerate(HALF_LIVES_DAYS)}


class View:
    """`rows` (n,) records that hold the events before `ts` (epoch ms); every column is float64, shape (n,).

    Missing is NaN: what does not exist for a customer is not zero. Columns are kept, so they must not be
    changed. Each value depends on its own record alone, to the last bit: how records are cut into views
    changes nothing.
    """

    def __init__(self, rows: NDArray[np.void], ts: int, horizon_days: int, returns: ReturnModel) -> None:
        self.rows = rows
        self.ts = ts
        self.horizon_days = horizon_days
        self.returns = returns
        self._kept: dict[tuple[str, str | int], Floats] = {}

    def count(self, name: str) -> Floats:
        """A stored number."""
        return self._keep("count", name, lambda: self.rows[name].astype(np.float64))

    def some(self, name: str) -> Floats:
        """A stored number, NaN instead of zero: what shares and means are divided by."""
        return self._keep("some", name, lambda: _or_nan(self.count(name), self.rows[name] > 0))

    def money(self, name: str) -> Floats:
        """A stored sum of money in currency units."""
        return self._keep("money", name, lambda: self.count(name) / 1e6)

    def share(self, part: str, whole: str) -> Floats:
        """One stored number divided by another; NaN where there is no whole."""
        return self.count(part) / self.some(whole)

    def days_since(self, name: str) -> Floats:
        """Days since a stored time; NaN when it never happened."""
        return self._keep(
            "since", name, lambda: _or_nan((self.ts - self.rows[name]) / DAY_MS, self.rows[name] > 0)
        )

    def decayed(self, channel: str, half_life_days: int) -> Floats:
        """A decayed sum, read at `ts`."""
        half_life = _HALF_LIFE[half_life_days]
        sums = self.rows["decayed"][:, half_life, _CHANNEL[channel]]
        return self._keep(channel, half_life_days, lambda: sums * self._decay[half_life])

    @cached_property
    def _decay(self) -> Floats:
        """Factor of each half-life from the record's newest event to `ts`, shape (3, n)."""
        age = np.minimum(self.rows["last_ts"] - self.ts, 0)
        return np.asarray(np.exp(DECAY_PER_MS[:, None] * age))

    @property
    def recency(self) -> Floats:
        """Days since the last purchase."""
        return self.days_since("last_purchase")

    @cached_property
    def gap_mean(self) -> Floats:
        """Mean days between purchase days; NaN before the second."""
        repeats = self.count("order_days") - 1
        span = self.rows["last_purchase"] // DAY_MS - self.rows["first_purchase"] // DAY_MS
        return np.asarray(span / _or_nan(repeats, repeats >= 1))

    @cached_property
    def _purchases(self) -> NDArray[np.int64]:
        """Times of the last purchases, newest first, 0 = none; shape (8, n)."""
        return np.ascontiguousarray(self.rows["purchases"].T)

    @cached_property
    def last_gap(self) -> Floats:
        """Days between the last two purchases; NaN before the second."""
        newest, second = self._purchases[0], self._purchases[1]
        return _or_nan((newest - second) / DAY_MS, second > 0)

    @cached_property
    def gap_deviation(self) -> Floats:
        """Standard deviation of the days between the last purchases (at most 7 gaps); NaN before two gaps."""
        known = self._purchases[1:] > 0
        n = known.sum(axis=0)
        gaps = (self._purchases[:-1] - self._purchases[1:]) / DAY_MS
        gaps *= known
        # Squares of the distances from the mean; the distances of unknown gaps are not counted.
        gaps -= gaps.sum(axis=0) / np.maximum(n, 1)
        gaps *= known
        np.multiply(gaps, gaps, out=gaps)
        return np.asarray(np.sqrt(gaps.sum(axis=0) / _or_nan(n - 1.0, n >= 2)))

    @cached_property
    def no_purchase(self) -> Floats:
        """BG/NBD probability of no purchase within the horizon; NaN before the first purchase."""
        x, t_x, age = return_statistics(self.rows, self.ts)
        p = self.returns.probability_of_no_purchase(x, t_x, age, self.horizon_days)
        return _or_nan(p, self.rows["first_purchase"] > 0)

    def active_days(self, days: int) -> Floats:
        """Days with any event among the last `days` days before `ts`."""
        passed = (self.ts - 1) // DAY_MS - self.rows["last_ts"] // DAY_MS
        return count_within(self._active_days, days - passed).astype(np.float64)

    @cached_property
    def _active_days(self) -> Words:
        return np.asfortranarray(self.rows["active_days"])

    def _keep(self, kind: str, name: str | int, compute: Callable[[], Floats]) -> Floats:
        column = self._kept.get((kind, name))
        if column is None:
            column = self._kept[kind, name] = compute()
        return column


def _or_nan(values: Floats, known: NDArray[np.bool_]) -> Floats:
    return np.where(known, values, np.nan)


def return_statistics(rows: NDArray[np.void], ts: int) -> tuple[Floats, Floats, Floats]:
    """(x, t_x, T) of BG/NBD per record: repeat purchase days, days first → last, days first → `ts`.

    Source: Fader, Hardie & Lee (2005), "Counting Your Customers the Easy Way". Records without a
    purchase have zeros.
    """
    bought = rows["first_purchase"] > 0
    first, last = rows["first_purchase"] // DAY_MS, rows["last_purchase"] // DAY_MS
    x = np.maximum(rows["order_days"], 1) - 1.0
    t_x = (last - first).astype(np.float64)
    age = np.where(bought, (ts - 1) // DAY_MS - first, 0.0)
    return x, t_x, age
