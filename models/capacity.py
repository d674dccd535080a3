"""Thresholds from a capacity: risk tiers begin where so many of the active customers stand above.

A shop can care for so many customers, whatever its churn rate. Where the tiers begin follows from how the
probabilities of the last decision times are spread over the shop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from scipy.special import expit

from models.episodes import Thresholds
from models.progressive import GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: After so many days a decision time counts half: thresholds follow the shop, but not every chance of a day.
HALF_LIFE_DAYS: Final = 3.0
#: An episode ends below the level above which this many times the capacity of `medium` stands.
CLOSES_AT: Final = 1.25
#: Shares are sums of fractions: what differs by less is equal.
_EQUAL: Final = 1e-9

_ODDS: Final = np.arange(-13.8, 13.81, 0.01)
#: Where a tier may begin, in whole millionths as probabilities are issued: edges a hundredth apart in
#: log-odds, and certainty. So how many stand at or above an edge is exact.
EDGES: Final = np.unique([*np.rint(expit(_ODDS) * GRID).astype(np.int64).tolist(), GRID])
#: The cell of each number of millionths: at or above edge i - 1, and below edge i.
_CELL_OF: Final = np.repeat(np.arange(len(EDGES) + 1), np.diff(EDGES, prepend=0, append=GRID + 1))


@dataclass(frozen=True)
class Capacity:
    """Which share of the active customers stands in a tier or above it; each includes the higher tiers.

    Raises ValueError unless 0 < critical <= high <= medium < 1.
    """

    critical: float = 0.02
    high: float = 0.05
    medium: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.critical <= self.high <= self.medium < 1:
            raise ValueError("a capacity holds shares that rise: 0 < critical <= high <= medium < 1")


class RecentLevels:
    """How probabilities were spread at the last decision times, each a share of its own customers."""

    def __init__(self) -> None:
        self._mass = np.zeros(len(EDGES) + 1)

    def see(self, probabilities: NDArray[np.float64], days: float) -> None:
        """Take the customers (n > 0) of a decision time, `days` after the one before."""
        points = np.rint(probabilities * GRID).astype(np.int64)
        counts = np.bincount(_CELL_OF[points], minlength=len(self._mass))
        self.pass_over(days)
        self._mass += counts / len(points)

    def pass_over(self, days: float) -> None:
        """Leave out a decision time, `days` after the one before: what was seen grows older all the same."""
        self._mass *= 0.5 ** (days / HALF_LIFE_DAYS)

    def thresholds(self, capacity: Capacity) -> Thresholds:
        """Where the tiers begin so that none holds more than its capacity, once a decision time was seen.

        Where more customers than that share one level, the tier begins above them: equals are not told
        apart by chance.
        """
        above = np.cumsum(self._mass[:0:-1])[::-1] / self._mass.sum()
        medium, high, critical, closes = (
            _level(above, share)
            for share in (capacity.medium, capacity.high, capacity.critical, CLOSES_AT * capacity.medium)
        )
        return Thresholds(medium, high, critical, hysteresis=round(medium - closes, 6))

    def state(self) -> bytes:
        """For `restore`."""
        cells = np.flatnonzero(self._mass)
        return msgspec.msgpack.encode((cells.tolist(), self._mass[cells].tolist()))

    def restore(self, state: bytes) -> None:
        """Go on from a `state`; raises msgspec errors or IndexError where it does not fit."""
        cells, mass = msgspec.msgpack.decode(state, type=tuple[list[int], list[float]])
        self._mass = np.zeros(len(EDGES) + 1)
        self._mass[cells] = mass


def _level(above: NDArray[np.float64], share: float) -> float:
    """The lowest edge at or above which at most `share` stands; 1 if there is none."""
    fits = np.flatnonzero(above <= share + _EQUAL)
    return float(EDGES[fits[0] if len(fits) else -1] / GRID)
