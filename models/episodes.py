"""Episodes: stays above the alert threshold, judged at decision times only (DESIGN 4.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models.alerts import Tier

TIERS: Final[tuple[Tier, ...]] = ("none", "medium", "high", "critical")

Codes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Thresholds:
    """Probabilities at which the tiers begin, and the hysteresis below `medium` that ends an episode.

    Raises ValueError unless 0 < medium <= high <= critical <= 1 and 0 <= hysteresis < medium.
    """

    medium: float = 0.80
    high: float = 0.90
    critical: float = 0.95
    hysteresis: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.medium <= self.high <= self.critical <= 1:
            raise ValueError("alert thresholds must rise: 0 < medium <= high <= critical <= 1")
        if not 0 <= self.hysteresis < self.medium:
            raise ValueError("the hysteresis must lie between 0 and the medium threshold")

    def tiers(self, probabilities: NDArray[np.float64]) -> Codes:
        """Index into TIERS of each probability (rounded to 1e-6 before)."""
        edges = np.array([self.medium, self.high, self.critical])
        return np.searchsorted(edges, probabilities, side="right").astype(np.uint8)

    @property
    def closes(self) -> float:
        """An episode ends below this probability."""
        return self.medium - self.hysteresis


def tiers_by(thresholds: Thresholds | None, probabilities: NDArray[np.float64]) -> Codes:
    """The tier of each probability; `none` before it is known where the tiers begin."""
    if thresholds is None:
        return np.zeros(len(probabilities), np.uint8)
    return thresholds.tiers(probabilities)


@dataclass(frozen=True)
class Moves:
    """What a decision time does to the customers judged, as masks (n,); at most one is true for each."""

    opened: Mask
    escalated: Mask
    resolved: Mask


def judge(
    thresholds: Thresholds,
    probabilities: NDArray[np.float64],
    since: NDArray[np.int64],
    tier: Codes,
    last_purchase: NDArray[np.int64],
) -> Moves:
    """Open at p >= medium, escalate into a higher tier, close at p < medium - hysteresis or a purchase.

    `since` is the start of each customer's open episode (0 = none) and `tier` its highest tier so far.
    A customer who bought since the episode began is resolved, whatever the probability says.
    """
    now = thresholds.tiers(probabilities)
    inside = since > 0
    bought = last_purchase >= since
    below = probabilities < thresholds.closes
    resolved = inside & (bought | below)
    return Moves(
        opened=~inside & (now > 0),
        escalated=inside & ~resolved & (now > tier),
        resolved=resolved,
    )
