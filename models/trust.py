"""Whether warnings can be trusted, as somebody asks who has a budget and no statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from models.intervals import Interval, wilson
from models.operating import Calls, at_threshold
from models.progressive import GRID, ScoreCounts
from models.reliability import Calibration, calibration

#: `good`: warnings single out who leaves, and their probabilities hold. `bold`, `timid`: they single out, but
#: fewer, or more, leave than was said. `useless`: those warned about leave no more often than all.
#: `early`: too few labels, or warnings, to say.
Verdict = Literal["early", "useless", "bold", "timid", "good"]

#: Warnings with a known outcome below which there is no verdict.
MINIMUM: Final = 100
#: How far forecast and outcome of the warned may be apart, whatever the interval: nobody acts upon less.
TOLERANCE: Final = 0.03


@dataclass(frozen=True)
class Trust:
    """What became of warnings: everybody at or above the alert threshold, at each decision time.

    `precision`: share of the warned who left; `recall`: share of the leavers who were warned about;
    `base_rate`: share of all who left; `warned`: forecast against outcome of the warned. None if nobody is
    there to judge by.
    """

    calls: Calls
    base_rate: Interval
    precision: Interval | None
    recall: Interval | None
    warned: Calibration | None

    @property
    def verdict(self) -> Verdict:
        """The whole in one word."""
        if self.precision is None or self.warned is None or self.calls.called < MINIMUM:
            return "early"
        if self.precision.low <= self.base_rate.value:
            return "useless"
        if self.warned.holds or abs(self.warned.gap) <= TOLERANCE:
            return "good"
        return "bold" if self.warned.gap > 0 else "timid"


def trust(counts: ScoreCounts, threshold: float, design_effect: float = 1.0) -> Trust | None:
    """Judge warnings at p >= `threshold`; None without labels. `design_effect` as in `models.intervals`."""
    if not counts.labels:
        return None
    calls = at_threshold(counts, threshold)
    found, called, churned = (int(n) for n in (calls.true_positives, calls.called, calls.churned))
    start = int(np.searchsorted(counts.points / GRID, threshold, side="left"))
    warned = ScoreCounts(counts.points[start:], counts.positives[start:], counts.negatives[start:])
    return Trust(
        calls,
        wilson(churned, counts.labels, design_effect),
        wilson(found, called, design_effect) if called else None,
        wilson(found, churned, design_effect) if churned else None,
        calibration(warned, design_effect),
    )
