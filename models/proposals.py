"""Thresholds that a shop may choose, with what each would have caught so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from models.operating import Calls, at_threshold
from models.progressive import GRID

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.progressive import ScoreCounts

#: Shares of the customers judged, for each of which a threshold is proposed.
SHARES: Final = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)

_STEP: Final = GRID // 1000


@dataclass(frozen=True)
class Proposal:
    """A threshold, and what became of everybody at or above it.

    `calls.selection_rate` is the share alerted, at most the share that was asked for; `calls.recall` the
    share of the leavers caught. `alarmed` is the share of the active customers who would be alarmed now:
    those of them who are late as well, unless everybody may be; None if that is not known.
    """

    threshold: float
    calls: Calls
    alarmed: float | None = None


def propose(
    counts: ScoreCounts, alarmed: Callable[[float], float | None] = lambda _: None
) -> tuple[Proposal, ...]:
    """The lowest threshold for each of SHARES that calls no more than it, the highest first.

    `alarmed` says which share of the active customers a threshold would alarm now. Thresholds are whole
    thousandths, as a person would set them. A share below the size of the topmost group of equals has none;
    equal thresholds are given once.
    """
    if not counts.labels:
        return ()
    steps = np.unique(counts.points // _STEP) * _STEP
    totals = np.concatenate(([0], np.cumsum(counts.positives + counts.negatives)))
    above = (counts.labels - totals[np.searchsorted(counts.points, steps)]) / counts.labels
    found = {}
    for share in SHARES:
        fits = np.flatnonzero(above <= share)
        if len(fits):
            threshold = float(steps[fits[0]] / GRID)
            found[threshold] = Proposal(threshold, at_threshold(counts, threshold), alarmed(threshold))
    return tuple(found.values())
