"""Records as of a time, with the few intermediate columns that many features share."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.bitdays import Words, count_within
from features.layout import CHANNELS, COUNTERS, DAY_MS, DECAY_PER_MS, HALF_LIVES_DAYS
from features.returns import ReturnModel

Floats = NDArray[np.float64]
_CHANNEL = {name: index for index, name in enumerate(CHANNELS)}
_HALF_LIFE = {int(days): index for index, days in enumerate(HALF_LIVES_DAYS)}


class View:
    """`rows` (n,) records that hold the events before `ts` (epoch ms); every property is shape (n,).

    Missing is NaN: a feature that does not exist for a customer is not zero.
    """

    def __init__(self, rows: NDArray[np.void], ts: int, horizon_days: int, returns: ReturnModel) -> None:
        self.rows = rows
        self.ts = ts
        self.horizon_days = horizon_days
        self.returns = returns

    def count(self, name: str) -> Floats:
        """A plain counter as float."""
        assert name in COUNTERS
        return self.rows[name].astype(np.float64)

    def days_since(self, name: str) -> Floats:
        """Days since a stored time; NaN when it never happened."""
        times = self.rows[name]
        return np.where(times > 0, (self.ts - times) / DAY_MS, np.nan)

    def decayed(self, channel: str, half_life_days: int) -> Floats:
        """A decayed sum, read at `ts`."""
        sums = self.rows["decayed"][:, _HALF_LIFE[half_life_days], _CHANNEL[channel]]
        return sums * self.decay[_HALF_LIFE[half_life_days]]

    @cached_property
    def decay(self) -> Floats:
        """Factor of each half-life from the record's newest event to `ts`, shape (3, n)."""
        age = (self.rows["last_ts"] - self.ts).astype(np.float64)
        return np.exp(DECAY_PER_MS[:, None] * np.minimum(age, 0.0)[None, :])

    @cached_property
    def recency(self) -> Floats:
        """Days since the last purchase."""
        return self.days_since("last_purchase")

    @cached_property
    def orders(self) -> Floats:
        """Purchases so far; NaN before the first, so that shares of it are missing then."""
        orders = self.count("orders")
        return np.where(orders > 0, orders, np.nan)

    @cached_property
    def span(self) -> Floats:
        """Days from the first purchase day to the last."""
        return (self.rows["last_purchase"] // DAY_MS - self.rows["first_purchase"] // DAY_MS).astype(np.float64)

    @cached_property
    def gap_mean(self) -> Floats:
        """Mean days between purchase days; NaN before the second."""
        repeats = self.count("order_days") - 1
        return np.where(repeats >= 1, self.span / np.maximum(repeats, 1), np.nan)

    @cached_property
    def gaps(self) -> Floats:
        """Days between the last purchases, newest first, NaN where there are fewer; shape (n, 7)."""
        times = self.rows["purchases"]
        return np.where(times[:, 1:] > 0, (times[:, :-1] - times[:, 1:]) / DAY_MS, np.nan)

    @cached_property
    def gap_deviation(self) -> Floats:
        """Standard deviation of the last gaps (at most 7); NaN before two gaps exist."""
        known = ~np.isnan(self.gaps)
        n = known.sum(axis=1)
        filled = np.where(known, self.gaps, 0.0)
        mean = filled.sum(axis=1) / np.maximum(n, 1)
        square = np.where(known, (filled - mean[:, None]) ** 2, 0.0).sum(axis=1)
        return np.where(n >= 2, np.sqrt(square / np.maximum(n - 1, 1)), np.nan)

    @cached_property
    def no_purchase(self) -> Floats:
        """BG/NBD probability of no purchase within the horizon; NaN before the first purchase."""
        x, t_x, age = return_statistics(self.rows, self.ts)
        known = self.rows["first_purchase"] > 0
        p = self.returns.probability_of_no_purchase(x, t_x, age, self.horizon_days)
        return np.where(known, p, np.nan)

    def active_days(self, days: int) -> Floats:
        """Days with any event among the last `days` days before `ts`."""
        return self._recent_days("active_days", "last_ts", days)

    def _recent_days(self, words: str, anchor: str, days: int) -> Floats:
        bits: Words = np.ascontiguousarray(self.rows[words])
        passed = (self.ts - 1) // DAY_MS - self.rows[anchor] // DAY_MS
        return count_within(bits, np.maximum(days - passed, 0)).astype(np.float64)


def return_statistics(rows: NDArray[np.void], ts: int) -> tuple[Floats, Floats, Floats]:
    """(x, t_x, T) of BG/NBD per record: repeat purchase days, days first → last, days first → `ts`.

    Source: Fader, Hardie & Lee (2005), "Counting Your Customers the Easy Way". Records without a
    purchase have zeros.
    """
    first, last = rows["first_purchase"], rows["last_purchase"]
    bought = first > 0
    x = np.where(bought, np.maximum(rows["order_days"].astype(np.float64) - 1, 0), 0.0)
    t_x = np.where(bought, (last // DAY_MS - first // DAY_MS).astype(np.float64), 0.0)
    age = np.where(bought, (ts - 1) // DAY_MS - first // DAY_MS, 0).astype(np.float64)
    return x, t_x, age
