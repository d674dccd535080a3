"""Thresholds from a capacity: risk tiers begin where so many of the active customers stand above.

A shop can care for so many customers, whatever its churn rate. Where the tiers begin follows from how the
probabilities of the last sweeps were spread over all partitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from models.episodes import Thresholds
from models.levels import CELLS, EDGES
from models.progressive import GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.levels import Levels

#: After so many days a sweep counts half: thresholds follow the shop within weeks, and no single sweep.
HALF_LIFE_DAYS: Final = 7.0
#: An episode ends below the level above which this many times the capacity of `medium` stands.
CLOSES_AT: Final = 1.25
#: Shares are sums of fractions: what differs by less is equal.
_EQUAL: Final = 1e-9


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
    """How probabilities were spread over the last sweeps, each a share of its own customers."""

    def __init__(self) -> None:
        self._mass = np.zeros(CELLS)

    def see(self, levels: Levels, days: float) -> None:
        """Take a sweep, `days` after the one before."""
        if levels.customers:
            self._mass = self._mass * 0.5 ** (days / HALF_LIFE_DAYS) + levels.shares

    def thresholds(self, capacity: Capacity) -> Thresholds | None:
        """Where the tiers begin so that none holds more than its capacity; None before the first sweep.

        Where more customers than that share one level, the tier begins above them: equals are not told
        apart by chance.
        """
        if not self._mass.any():
            return None
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
        self._mass = np.zeros(CELLS)
        self._mass[cells] = mass


def _level(above: NDArray[np.float64], share: float) -> float:
    """The lowest edge at or above which at most `share` stands; 1 if there is none."""
    fits = np.flatnonzero(above <= share + _EQUAL)
    return float(EDGES[fits[0] if len(fits) else -1] / GRID)
