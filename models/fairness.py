"""Fairness audit: whether one group of customers is called, missed or misjudged more often than another.

Rates and disparities as fairlearn defines them (Weerts et al., *Fairlearn: Assessing and Improving Fairness
of AI Systems*, JMLR 24, 2023): demographic parity compares selection rates, equalized odds true and false
positive rates (Hardt, Price & Srebro, NeurIPS 2016). Calibration by group stands beside them, since no
forecast but a perfect one can satisfy all where groups differ in how many leave (Kleinberg, Mullainathan &
Raghavan, ITCS 2017): an audit shows, people judge.

Everything follows from one `ScoreCounts` for each group, so it adds up over partitions and time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from models.intervals import Interval, difference, wilson
from models.operating import at_threshold
from models.reliability import calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from models.progressive import ScoreCounts
    from models.reliability import Calibration

#: Below this many labels a rate says more about chance, or about single persons, than about a group.
MINIMUM: Final = 100


@dataclass(frozen=True, slots=True)
class Group:
    """What was measured of one group. A rate with fewer than the minimum to judge it by is None.

    `selection_rate`: share who were called likely to leave; `true_positive_rate`: of those who left;
    `false_positive_rate`: of those who stayed. `ece`: expected calibration error, which chance alone keeps
    above 0 in a small group.
    """

    name: str
    labels: int
    selection_rate: Interval | None = None
    true_positive_rate: Interval | None = None
    false_positive_rate: Interval | None = None
    calibration: Calibration | None = None
    ece: float | None = None

    @property
    def too_few(self) -> bool:
        """Whether the group is only named, not judged."""
        return self.selection_rate is None


@dataclass(frozen=True, slots=True)
class Disparity:
    """The group with the highest rate against the one with the lowest.

    `difference` has Newcombe's interval of these two; they were picked because they are farthest apart, so
    among many groups even equal ones may exclude 0 by chance. `ratio` is lowest / highest, 1 if all are 0.
    """

    highest: str
    lowest: str
    difference: Interval
    ratio: float


@dataclass(frozen=True, slots=True)
class Audit:
    """One attribute's groups by name, and how far they are apart; None with fewer than two to compare."""

    groups: tuple[Group, ...]
    selection: Disparity | None
    true_positives: Disparity | None
    false_positives: Disparity | None

    @property
    def demographic_parity_difference(self) -> float | None:
        """Largest difference of selection rates; 0 is parity."""
        return None if self.selection is None else self.selection.difference.value

    @property
    def demographic_parity_ratio(self) -> float | None:
        """Smallest ratio of selection rates; 1 is parity, below 0.8 fails the four-fifths rule."""
        return None if self.selection is None else self.selection.ratio

    @property
    def equalized_odds_difference(self) -> float | None:
        """The larger of the differences of true and of false positive rates; 0 is parity."""
        if self.true_positives is None or self.false_positives is None:
            return None
        return max(self.true_positives.difference.value, self.false_positives.difference.value)

    @property
    def equalized_odds_ratio(self) -> float | None:
        """The smaller of the ratios of true and of false positive rates; 1 is parity."""
        if self.true_positives is None or self.false_positives is None:
            return None
        return min(self.true_positives.ratio, self.false_positives.ratio)


def audit(
    counts: Mapping[str, ScoreCounts],
    threshold: float,
    *,
    minimum: int = MINIMUM,
    design_effect: float = 1.0,
) -> Audit:
    """Audit one attribute from the counts of each of its groups; p >= `threshold` is a call.

    Groups of fewer than `minimum` labels are named but neither measured nor compared. `design_effect`: how
    many labels are worth one, as the same customers are judged at many decision times (`models.intervals`).
    Raises ValueError for a minimum below 1.
    """
    if minimum < 1:
        raise ValueError("a group needs at least one label to be judged")
    groups = tuple(_group(name, counts[name], threshold, minimum, design_effect) for name in sorted(counts))
    return Audit(
        groups,
        _disparity((g.name, g.selection_rate) for g in groups),
        _disparity((g.name, g.true_positive_rate) for g in groups),
        _disparity((g.name, g.false_positive_rate) for g in groups),
    )


def _group(name: str, counts: ScoreCounts, threshold: float, minimum: int, design_effect: float) -> Group:
    if counts.labels < minimum:
        return Group(name, counts.labels)

    def rate(part: float, whole: float) -> Interval | None:
        return wilson(int(part), int(whole), design_effect) if whole >= minimum else None

    calls = at_threshold(counts, threshold)
    return Group(
        name,
        counts.labels,
        selection_rate=rate(calls.called, calls.labels),
        true_positive_rate=rate(calls.true_positives, calls.churned),
        false_positive_rate=rate(calls.false_positives, calls.labels - calls.churned),
        calibration=calibration(counts, design_effect),
        ece=counts.ece(),
    )


def _disparity(rates: Iterable[tuple[str, Interval | None]]) -> Disparity | None:
    """None unless at least two groups have the rate; of equal rates the first in the alphabet counts."""
    known = [(name, rate) for name, rate in rates if rate is not None]
    if len(known) < 2:
        return None
    (highest, top), (lowest, bottom) = (
        max(known, key=lambda each: each[1].value),
        min(known, key=lambda each: each[1].value),
    )
    ratio = bottom.value / top.value if top.value else 1.0
    return Disparity(highest, lowest, difference(top, bottom), ratio)
