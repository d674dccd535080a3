"""Exact metrics of issued probabilities, from integer counts on their own grid.

Probabilities are issued on a grid of 1e-6, so how many churned and how many stayed at each grid point is all
that any metric needs. Counts add up in any order: partitions, slots and interleaving cannot change a metric.
A ranking rule is judged the same way after mapping it onto [0, 1]; recency / A, say, for the recency rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

#: Probabilities are rounded to 1 / GRID before they are published or judged.
GRID = 1_000_000

#: Log loss takes no probability for more certain than this: one certain error must not become infinite.
CERTAINTY = 1e-6


@dataclass(frozen=True, slots=True)
class Reliability:
    """Forecast against outcome, by bins of about equal numbers of forecasts in rising order."""

    counts: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    churn_rate: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCounts:
    """How many customers churned and stayed for each probability that was issued.

    `points` are grid points (probability · 10⁶) in rising order, each once; `positives` and `negatives` count
    who churned and who stayed there. A metric that the labels cannot tell (no label yet, or for `auc` and
    `pr_auc` none of a kind) is NaN.
    """

    points: NDArray[np.int64]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]

    @classmethod
    def of(cls, probabilities: ArrayLike, churned: ArrayLike) -> ScoreCounts:
        """Counts of probabilities in [0, 1] (rounded to the grid) and labels; raises ValueError otherwise."""
        issued = np.asarray(probabilities, dtype=np.float64)
        labels = np.asarray(churned, dtype=bool)
        if issued.shape != labels.shape or issued.ndim != 1:
            raise ValueError("probabilities and labels must be two rows of the same length")
        if not ((issued >= 0) & (issued <= 1)).all():
            raise ValueError("a probability lies in [0, 1]")
        points = np.rint(np.round(issued, 6) * GRID).astype(np.int64)
        return _added_up(points, labels.astype(np.int64), (~labels).astype(np.int64))

    @classmethod
    def from_json(cls, kept: Mapping[str, list[int]]) -> ScoreCounts:
        """The counts that `to_json` gave."""
        points = np.cumsum(np.array(kept["steps"], dtype=np.int64))
        positives, negatives = (np.array(kept[k], dtype=np.int64) for k in ("positives", "negatives"))
        return _added_up(points, positives, negatives)

    def to_json(self) -> dict[str, list[int]]:
        """Short lists of integers: steps from one grid point to the next, and the counts at each."""
        return {
            "steps": np.diff(self.points, prepend=0).tolist(),
            "positives": self.positives.tolist(),
            "negatives": self.negatives.tolist(),
        }

    def merge(self, other: ScoreCounts) -> ScoreCounts:
        """Both together; commutative and associative."""
        return _added_up(
            np.concatenate((self.points, other.points)),
            np.concatenate((self.positives, other.positives)),
            np.concatenate((self.negatives, other.negatives)),
        )

    @property
    def labels(self) -> int:
        """Customers judged."""
        return int(self.positives.sum() + self.negatives.sum())

    @property
    def base_rate(self) -> float:
        """Share of churners."""
        return _ratio(int(self.positives.sum()), self.labels)

    @property
    def base_rate_log_loss(self) -> float:
        """Log loss of always forecasting `base_rate` in hindsight, the best that a constant can do."""
        rate = min(max(self.base_rate, CERTAINTY), 1 - CERTAINTY)
        return -(self.base_rate * math.log(rate) + (1 - self.base_rate) * math.log1p(-rate))

    @property
    def auc(self) -> float:
        """Area under the ROC curve: how often a churner is rated above a stayer, ties counting half."""
        stayed = int(self.negatives.sum())
        below = np.cumsum(self.negatives) - self.negatives
        # twice the Mann-Whitney U, in integers
        doubled = int((self.positives * (2 * below + self.negatives)).sum())
        return _ratio(doubled, 2 * stayed * int(self.positives.sum()))

    @property
    def pr_auc(self) -> float:
        """Average precision: precision at each threshold, weighted by the churners found there."""
        found = np.cumsum(self.positives[::-1])
        called = np.cumsum((self.positives + self.negatives)[::-1])
        return _ratio(float((self.positives[::-1] * (found / called)).sum()), int(self.positives.sum()))

    @property
    def log_loss(self) -> float:
        """Mean negative log-likelihood in nats, probabilities cut off at `CERTAINTY` from 0 and 1."""
        p = np.clip(self.probabilities, CERTAINTY, 1 - CERTAINTY)
        lost = -(self.positives * np.log(p) + self.negatives * np.log1p(-p))
        return _ratio(float(lost.sum()), self.labels)

    @property
    def brier(self) -> float:
        """Mean squared error of the probability (Brier 1950)."""
        p = self.probabilities
        return _ratio(float((self.positives * (1 - p) ** 2 + self.negatives * p**2).sum()), self.labels)

    def ece(self, bins: int = 15) -> float:
        """Expected calibration error: mean distance of forecast and churn rate over equal-mass bins."""
        by_bin = self.reliability(bins)
        distances = by_bin.counts * np.abs(by_bin.mean_probability - by_bin.churn_rate)
        return _ratio(float(distances.sum()), self.labels)

    def reliability(self, bins: int = 15) -> Reliability:
        """The reliability diagram; equal probabilities stay in one bin, that of their middle rank."""
        totals = self.positives + self.negatives
        middle = 2 * np.cumsum(totals) - totals
        number = bins * middle // max(2 * self.labels, 1)
        counts = np.bincount(number, totals, bins)
        used = counts > 0
        forecast = np.bincount(number, totals * self.probabilities, bins)[used] / counts[used]
        churned = np.bincount(number, self.positives, bins)[used] / counts[used]
        return Reliability(counts[used].astype(np.int64), forecast, churned)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The grid points as probabilities."""
        return self.points / GRID


#: No label yet.
NO_COUNTS = ScoreCounts(*(np.zeros(0, dtype=np.int64) for _ in range(3)))


def _added_up(
    points: NDArray[np.int64], positives: NDArray[np.int64], negatives: NDArray[np.int64]
) -> ScoreCounts:
    """One entry for each grid point that has any label."""
    if not len(points):
        return NO_COUNTS
    order = np.argsort(points, kind="stable")  # linear where two sorted runs meet
    points = points[order]
    starts = np.flatnonzero(np.diff(points, prepend=-1))
    return ScoreCounts(
        points[starts],
        np.add.reduceat(positives[order], starts),
        np.add.reduceat(negatives[order], starts),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
