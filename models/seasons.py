"""Time of year: what it did to the whole shop a year ago, as the models may know it.

The buying rhythms of customers say how likely each of them is not to return; a shop that sells in two months
of the year shows that rhythm is not all. How far the labels of a decision time lay off what the rhythms said,
in log-odds, is that time's *level*. A year later it is known, and is an input of every model, the same for
all customers: a column behind the catalogue, because it is nothing that is known of one of them. The models
learn what it is worth. Before it is known the column is 0 and says nothing.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from scipy.special import expit

from features.layout import DAY_MS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_YEAR_MS: Final = 365 * DAY_MS
#: Variance of a level before it is measured: a cohort of one kind of labels has none that is finite.
_VARIANCE: Final = 9.0
_STEPS: Final = 50
_PRECISE: Final = 1e-9


class Seasons(msgspec.Struct, frozen=True):
    """Levels (log-odds) of the decision times (epoch ms, rising) of the last year whose labels are known.

    Raises ValueError unless there are as many of both and times rise.
    """

    times: tuple[int, ...] = ()
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.times) != len(self.levels) or any(np.diff(np.array(self.times, np.int64)) <= 0):
            raise ValueError("every level has a time, and times rise")

    def effect(self, ts: int | NDArray[np.int64]) -> NDArray[np.float64]:
        """The level a year before `ts` (epoch ms, one or (n,)) above the year's mean; 0 where unknown."""
        ago = np.asarray(ts, np.int64) - _YEAR_MS
        if not self.times:
            return np.zeros(ago.shape)
        level = np.interp(ago, self.times, self.levels) - np.mean(self.levels)
        return np.where((self.times[0] <= ago) & (ago <= self.times[-1]), level, 0.0)

    def seen(self, ts: int, level: float) -> Seasons:
        """With the level of decision time `ts`, without what is more than a year older.

        One that does not lie behind all others changes nothing.
        """
        if self.times and ts <= self.times[-1]:
            return self
        young = [time >= ts - _YEAR_MS for time in self.times]
        return Seasons((*compress(self.times, young), ts), (*compress(self.levels, young), round(level, 6)))


def level(log_odds: NDArray[np.floating], churned: NDArray[np.bool_]) -> float:
    """What the `log_odds` (n,) of leaving lacked by the labels (n,): the most likely shift of all of them."""
    x, missed, shift = log_odds.astype(np.float64), float(np.sum(churned)), 0.0
    for _ in range(_STEPS):
        p = expit(x + shift)
        step = (missed - p.sum() - shift / _VARIANCE) / ((p * (1 - p)).sum() + 1 / _VARIANCE)
        # Where almost all forecasts are wrong, Newton's step leaps far beyond.
        shift += float(np.clip(step, -1, 1))
        if abs(step) < _PRECISE:
            break
    return shift
