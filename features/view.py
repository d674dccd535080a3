"""Records as of a time, with the columns that many features share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from features.bitdays import count_within
from features.layout import CHANNELS, COUNTERS, DAY_MS, DECAY_PER_MS, HALF_LIVES_DAYS, LATEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.returns import ReturnModel

Floats = NDArray[np.floating]

_CHANNEL: Final = {name: index for index, name in enumerate(CHANNELS)}
_HALF_LIFE: Final = {int(days): index for index, days in enumerate(HALF_LIVES_DAYS)}
_COUNTER: Final = {name: index for index, name in enumerate(COUNTERS)}
#: Records that are read at a time: they stay in the processor's cache until they are columns.
_AT_ONCE: Final = 2048
#: The times of a record; they lie one behind the other.
_TIME: Final = {name: index for index, name in enumerate(("first_ts", "first_purchase", *LATEST))}


class View:
    """Records that hold the events before `ts` (epoch ms, one or (n,)): all `rows`, or those at `slots` (n,).

    Columns are float, shape (n,), computed in `dtype` where it matters: float32 has seven digits and takes
    half the time. Missing is NaN: what does not exist for a customer is not zero. Columns are kept, so they
    must not be changed. Each value depends on its own record alone, to the last bit: how records are cut
    into views changes nothing.

    Records are turned into columns at once, while they are in the processor's cache: long rows are slow to
    read, and reading them again for each feature costs more than the feature.
    """

    def __init__(
        self,
        rows: NDArray[np.void],
        ts: int | NDArray[np.int64],
        horizon_days: int,
        returns: ReturnModel,
        dtype: type[np.floating] = np.float64,
        slots: NDArray[np.intp] | None = None,
    ) -> None:
        assert rows.dtype.fields is not None
        self.ts = ts
        self.horizon_days = horizon_days
        self.returns = returns
        self._fields = rows.dtype.fields
        self._dtype = dtype
        # Fields of eight bytes come first, then the counters; the rest of a record is not read at all.
        words, end = self._fields[COUNTERS[0]][1], self._fields[COUNTERS[-1]][1] + 4
        plain = np.ndarray(len(rows), f"V{end}", rows.view(np.uint8), strides=rows.strides)
        slots = np.arange(len(rows)) if slots is None else slots
        self._words = np.empty((words // 8, len(slots)), np.int64)
        self._counts: Floats = np.empty((len(COUNTERS), len(slots)), dtype)
        for start in range(0, len(slots), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            records = plain[slots[part]].view(np.uint8).reshape(-1, end)
            self._words[:, part] = records[:, :words].view(np.int64).T
            self._counts[:, part] = records[:, words:].view(np.uint32).T
        self._wholes: dict[str, Floats] = {}

    def __len__(self) -> int:
        return self._words.shape[1]

    def stored(self, name: str) -> NDArray[Any]:
        """A field of eight bytes (n,), or of several times eight (k, n)."""
        dtype, start = self._fields[name][:2]
        words = self._words[start // 8 : (start + dtype.itemsize) // 8].view(dtype.base)
        return words if dtype.shape else words[0]

    def count(self, name: str) -> Floats:
        """A counter."""
        column: Floats = self._counts[_COUNTER[name]]
        return column

    def some(self, name: str) -> Floats:
        """A counter, NaN instead of zero: what shares and means are divided by."""
        whole = self._wholes.get(name)
        if whole is None:
            count = self.count(name)
            whole = self._wholes[name] = or_nan(count, count > 0)
        return whole

    def share(self, part: str, whole: str) -> Floats:
        """One counter divided by another; NaN where there is no whole."""
        return np.asarray(self.count(part) / self.some(whole))

    def money(self, name: str) -> Floats:
        """A stored sum of money in currency units."""
        return np.asarray(self.stored(name) / 1e6)

    @cached_property
    def spent(self) -> Floats:
        """Money spent so far."""
        return self.money("value_sum")

    def days_since(self, name: str) -> Floats:
        """Days since a stored time; NaN when it never happened."""
        column: Floats = self._days_since[_TIME[name]]
        return column

    @cached_property
    def _days_since(self) -> Floats:
        start = self._fields["first_ts"][1] // 8
        times = self._words[start : start + len(_TIME)]
        days = (self.ts - times).astype(self._dtype)
        days /= DAY_MS
        return or_nan(days, times > 0)

    def decayed(self, channel: str, half_life_days: int) -> Floats:
        """A decayed sum, read at `ts`."""
        column: Floats = self._decayed[_HALF_LIFE[half_life_days], _CHANNEL[channel]]
        return column

    @cached_property
    def _decayed(self) -> Floats:
        age = np.minimum(self.stored("last_ts") - self.ts, 0).astype(self._dtype)
        n = len(age)
        sums = self.stored("decayed").astype(self._dtype).reshape(len(_HALF_LIFE), len(_CHANNEL), n)
        sums *= np.exp(DECAY_PER_MS.astype(self._dtype)[:, None] * age)[:, None]
        return sums

    @property
    def recency(self) -> Floats:
        """Days since the last purchase."""
        return self.days_since("last_purchase")

    @cached_property
    def _returns(self) -> tuple[Floats, Floats, Floats]:
        first, last = self.stored("first_purchase"), self.stored("last_purchase")
        return rhythm(first, last, self.count("order_days"), self.ts)

    @cached_property
    def gap_mean(self) -> Floats:
        """Mean days between purchase days; NaN before the second."""
        repeats, span, _ = self._returns
        return np.asarray(span / or_nan(repeats, repeats >= 1))

    @cached_property
    def last_gap(self) -> Floats:
        """Days between the last two purchases; NaN before the second."""
        newest, second = self.stored("purchases")[:2]
        return or_nan((newest - second) / DAY_MS, second > 0)

    @cached_property
    def gap_deviation(self) -> Floats:
        """Standard deviation of the days between the last purchases (at most 7 gaps); NaN before two gaps."""
        purchases = self.stored("purchases")
        return _where(purchases[2] > 0, _gap_deviation, *purchases)

    @cached_property
    def no_purchase(self) -> Floats:
        """BG/NBD probability of no purchase within the horizon; NaN before the first purchase."""

        def probability(x: Floats, t_x: Floats, age: Floats) -> Floats:
            return self.returns.probability_of_no_purchase(x, t_x, age, self.horizon_days)

        return _where(self.stored("first_purchase") > 0, probability, *self._returns)

    def active_days(self, days: int) -> Floats:
        """Days with any event among the last `days` days before `ts`."""
        return count_within(self.stored("active_days"), days, self._days_passed).astype(self._dtype)

    @property
    def breadth(self) -> Floats:
        """Distinct categories seen (64 hash buckets)."""
        return np.asarray(np.bitwise_count(self.stored("categories")), self._dtype)

    @cached_property
    def _days_passed(self) -> NDArray[np.int64]:
        """Whole days from the record's newest event to the last day before `ts`."""
        return np.asarray((self.ts - 1) // DAY_MS - self.stored("last_ts") // DAY_MS)


def or_nan(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """`values` (n,) where they are `known`, NaN elsewhere."""
    return np.where(known, values, np.nan)


def _where(known: NDArray[np.bool_], compute: Callable[..., Floats], *columns: NDArray[Any]) -> Floats:
    """`compute` of the records that are `known` (n,), from their part of `columns`; NaN for the others."""
    chosen = np.flatnonzero(known)
    values = np.full(len(known), np.nan)
    if len(chosen):
        values[chosen] = compute(*(column[chosen] for column in columns))
    return values


def _gap_deviation(*purchases: NDArray[np.int64]) -> Floats:
    """Standard deviation of the gaps between `purchases` (n,), newest first, 0 = none, at least three."""
    times = np.stack(purchases)
    known = times[1:] > 0
    n = known.sum(axis=0)
    gaps = (times[:-1] - times[1:]) / DAY_MS
    gaps *= known
    # Squares of the distances from the mean; the distances of unknown gaps are not counted.
    gaps -= gaps.sum(axis=0) / n
    gaps *= known
    np.multiply(gaps, gaps, out=gaps)
    return np.asarray(np.sqrt(gaps.sum(axis=0) / (n - 1)))


def return_statistics(rows: NDArray[np.void], ts: int | NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """(x, t_x, T) of BG/NBD per record: repeat purchase days, days first → last, days first → `ts`.

    Source: Fader, Hardie & Lee (2005), "Counting Your Customers the Easy Way". Records without a
    purchase have zeros.
    """
    return rhythm(rows["first_purchase"], rows["last_purchase"], rows["order_days"], ts)


def rhythm(
    first: NDArray[np.int64], last: NDArray[np.int64], order_days: NDArray[Any], ts: int | NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """(x, t_x, T) as `return_statistics`, from the columns themselves."""
    first_day = first // DAY_MS
    x = np.maximum(order_days, 1) - 1.0
    t_x = (last // DAY_MS - first_day).astype(np.float64)
    age = np.where(first > 0, (ts - 1) // DAY_MS - first_day, 0.0)
    return x, t_x, age
