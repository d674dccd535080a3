"""A journal of decision times: what was said of all customers, and how the contenders stood.

A trainer keeps sums and the state of now. A report also tells how it came to be, so whoever runs one writes
down each decision time as it passes. Only counts are kept, and no customer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.episodes import TIERS, tiers_by
from models.progressive import GRID

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from models.episodes import Thresholds
    from models.trainer import Trainer


@dataclass(frozen=True)
class Moment:
    """The customers judged at decision time `ts` (epoch ms): how many in each tier, and the mean forecast."""

    ts: int
    tiers: tuple[int, ...]
    forecast: float

    @property
    def judged(self) -> int:
        """All who were judged."""
        return sum(self.tiers)

    @property
    def at_risk(self) -> int:
        """Those at or above the alert threshold."""
        return sum(self.tiers[1:])

    @property
    def share_at_risk(self) -> float:
        """Their share; somebody was judged."""
        return self.at_risk / self.judged


@dataclass(frozen=True)
class Standing:
    """How the contenders stood once everything was learned that had matured by `ts` (epoch ms).

    `weights` are the pool's; slope 1 and intercept 0 leave its log-odds as they are.
    """

    ts: int
    champion: str
    weights: dict[str, float]
    slope: float
    intercept: float


class Journal:
    """Takes decision times in any order, each in any number of pieces.

    `thresholds` are fixed ones; None: each decision time comes with those of its version.
    """

    def __init__(self, thresholds: Thresholds | None) -> None:
        self.thresholds = thresholds
        self._issued: dict[int, dict[Hashable, tuple[NDArray[np.int64], int]]] = {}
        self._standings: dict[int, Standing] = {}

    def issued(
        self,
        ts: int,
        probabilities: NDArray[np.float64],
        piece: Hashable = None,
        *,
        thresholds: Thresholds | None = None,
    ) -> None:
        """Enter the champion's probabilities (n,) of decision time `ts`, and the `thresholds` it had.

        `piece` tells parts of one decision time apart; one that comes again takes the place of the first.
        """
        if len(probabilities):
            found = tiers_by(self.thresholds or thresholds, probabilities)
            tiers = np.bincount(found, minlength=len(TIERS))
            # In whole millionths, as issued: so they add up to the same in any order.
            total = int(np.rint(probabilities * GRID).sum())
            self._issued.setdefault(ts, {})[piece] = (tiers, total)

    def learned(self, trainer: Trainer) -> None:
        """Enter how the contenders stand after the trainer's last decision time; nothing before the first."""
        if trainer.as_of is not None:
            self._standings[trainer.as_of] = Standing(
                trainer.as_of,
                trainer.champion,
                dict(trainer.pool.weights),
                trainer.calibrator.slope,
                trainer.calibrator.intercept,
            )

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The decision times at which anybody was judged, in order."""
        return tuple(_moment(ts, list(pieces.values())) for ts, pieces in sorted(self._issued.items()))

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the contenders stood, in order of time."""
        return tuple(standing for _, standing in sorted(self._standings.items()))


def _moment(ts: int, pieces: list[tuple[NDArray[np.int64], int]]) -> Moment:
    tiers = np.sum([counts for counts, _ in pieces], axis=0)
    return Moment(ts, tuple(tiers.tolist()), sum(total for _, total in pieces) / GRID / int(tiers.sum()))
