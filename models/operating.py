"""What a forecast is worth once somebody acts on it: at a threshold, at a capacity, and along the curve.

All of it follows from the integer counts of `models.progressive`, so it depends on no partition or order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.progressive import GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.progressive import ScoreCounts


@dataclass(frozen=True, slots=True)
class Calls:
    """Customers by whether they were called likely to leave, and whether they left (a confusion matrix).

    At a threshold these are whole numbers; at a capacity they are expectations over the order of ties. A
    metric without anybody to judge it by is NaN.
    """

    true_positives: float
    false_positives: float
    false_negatives: float
    true_negatives: float

    @property
    def labels(self) -> float:
        """Customers judged."""
        return self.called + self.false_negatives + self.true_negatives

    @property
    def called(self) -> float:
        """Customers who were called likely to leave."""
        return self.true_positives + self.false_positives

    @property
    def churned(self) -> float:
        """Customers who left."""
        return self.true_positives + self.false_negatives

    @property
    def selection_rate(self) -> float:
        """Share of all customers who were called."""
        return _ratio(self.called, self.labels)

    @property
    def accuracy(self) -> float:
        """Share of all customers who were judged rightly."""
        return _ratio(self.true_positives + self.true_negatives, self.labels)

    @property
    def precision(self) -> float:
        """Share of the called who left."""
        return _ratio(self.true_positives, self.called)

    @property
    def recall(self) -> float:
        """Share of the churners who were called; the true positive rate."""
        return _ratio(self.true_positives, self.churned)

    @property
    def false_positive_rate(self) -> float:
        """Share of the stayers who were called."""
        return _ratio(self.false_positives, self.false_positives + self.true_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _ratio(2 * self.true_positives, self.called + self.churned)

    @property
    def lift(self) -> float:
        """How many times as many churners are among the called as among as many drawn at random."""
        return _ratio(self.precision, _ratio(self.churned, self.labels))


@dataclass(frozen=True, slots=True)
class Curve:
    """Operating points from nobody called to everybody: the ROC and the precision-recall curve in one.

    `thresholds` fall, those with p >= threshold are called; the first is infinite. Where nobody is called,
    precision is 1 as scikit-learn draws it.
    """

    thresholds: NDArray[np.float64]
    recall: NDArray[np.float64]
    false_positive_rate: NDArray[np.float64]
    precision: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.thresholds)


def at_threshold(counts: ScoreCounts, threshold: float) -> Calls:
    """Everybody with p >= `threshold` is called, as an alert is raised."""
    start = int(np.searchsorted(counts.points / GRID, threshold, side="left"))
    found, alarmed = int(counts.positives[start:].sum()), int(counts.negatives[start:].sum())
    return _calls(counts, found, alarmed)


def at_capacity(counts: ScoreCounts, share: float) -> Calls:
    """The `share` (0 to 1, rounded to whole customers) with the highest probabilities are called.

    Of those who tie at the cut as many are called as there is room for, drawn at random: what is returned is
    the mean over all draws, as AUC counts a tie half. Raises ValueError for another share.
    """
    if not 0 <= share <= 1:
        raise ValueError("a capacity is a share between 0 and 1")
    room = round(share * counts.labels)
    positives, totals = counts.positives[::-1], (counts.positives + counts.negatives)[::-1]
    above = np.cumsum(totals) - totals
    # What part of each group of equals is called: all, none, or some of the one at the cut.
    part = np.clip((room - above) / totals, 0.0, 1.0)
    found = float((part * positives).sum())
    return _calls(counts, found, room - found)


def curve(counts: ScoreCounts, most: int = 300) -> Curve:
    """At most `most` (2 or more) exact points, evenly along the curve; none unless some left and some stayed.

    Kept points are those whose recall plus false positive rate first reaches each of evenly spaced values,
    so none of the two makes a larger step than 2 / (most - 1) but where one probability makes it.
    """
    churned, stayed = int(counts.positives.sum()), int(counts.negatives.sum())
    if not churned or not stayed:
        return Curve(*(np.zeros(0) for _ in range(4)))
    found = np.concatenate(([0], np.cumsum(counts.positives[::-1])))
    alarmed = np.concatenate(([0], np.cumsum(counts.negatives[::-1])))
    thresholds = np.concatenate(([math.inf], counts.points[::-1] / GRID))
    if len(thresholds) > most:
        # in whole numbers, so that the last value is reached
        along = found * stayed + alarmed * churned
        steps = [2 * churned * stayed * i // (most - 1) for i in range(most)]
        kept = np.unique(np.searchsorted(along, steps))
        found, alarmed, thresholds = found[kept], alarmed[kept], thresholds[kept]
    called = found + alarmed
    precision = np.where(called > 0, found / np.maximum(called, 1), 1.0)
    return Curve(thresholds, found / churned, alarmed / stayed, precision)


def _calls(counts: ScoreCounts, found: float, alarmed: float) -> Calls:
    churned, stayed = int(counts.positives.sum()), int(counts.negatives.sum())
    return Calls(found, alarmed, churned - found, stayed - alarmed)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
