"""Intervals of proportions: what a rate in a report may be after all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

#: Two-sided 95 %.
Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether `value` is among what the data allow."""
        return self.low <= value <= self.high


def wilson(part: int, whole: int, design_effect: float = 1.0) -> Interval:
    """The rate part / whole with its score interval (Wilson, JASA 22, 1927); `whole` is at least 1.

    The interval is for independent trials. One customer judged at many decision times is no new trial each
    time: `design_effect` says how many of them are worth one (Kish, *Survey Sampling*, 1965), 1 if all are
    independent. The rate stays as it is. Raises ValueError unless 0 <= part <= whole and the effect >= 1.
    """
    if not 0 <= part <= whole or whole < 1:
        raise ValueError(f"{part} of {whole} is no proportion")
    if not 1 <= design_effect < math.inf:
        raise ValueError("a design effect is at least 1")
    rate, n, z2 = part / whole, whole / design_effect, Z95 * Z95
    middle = (n * rate + z2 / 2) / (n + z2)
    half = Z95 * math.sqrt(n * rate * (1 - rate) + z2 / 4) / (n + z2)
    # Rounding must not push the rate itself out of its interval.
    return Interval(rate, min(max(middle - half, 0.0), rate), max(min(middle + half, 1.0), rate))


def difference(larger: Interval, smaller: Interval) -> Interval:
    """How far two independent rates are apart, by Newcombe's hybrid of score intervals.

    Newcombe, Statistics in Medicine 17, 1998, method 10.
    """
    value = larger.value - smaller.value
    below = math.hypot(larger.value - larger.low, smaller.high - smaller.value)
    above = math.hypot(larger.high - larger.value, smaller.value - smaller.low)
    return Interval(value, value - below, value + above)
