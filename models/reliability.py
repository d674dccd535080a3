"""Forecast against outcome where it matters to people: in each risk tier, not only over bins of the scale."""

from __future__ import annotations

from dataclasses import dataclass

from models.intervals import Interval, wilson
from models.progressive import GRID, ScoreCounts


@dataclass(frozen=True, slots=True)
class Calibration:
    """Mean forecast and churn rate of some customers; the rate with its interval."""

    labels: int
    forecast: float
    churn_rate: Interval

    @property
    def gap(self) -> float:
        """Forecast minus churn rate: above 0 the model cries wolf, below it is too calm."""
        return self.forecast - self.churn_rate.value

    @property
    def holds(self) -> bool:
        """Whether the forecast is among the rates that the outcomes allow."""
        return self.churn_rate.covers(self.forecast)


def calibration(counts: ScoreCounts, design_effect: float = 1.0) -> Calibration | None:
    """Calibration in the large; None without labels. `design_effect` as for `models.intervals.wilson`."""
    if not counts.labels:
        return None
    total = int((counts.points * (counts.positives + counts.negatives)).sum())
    rate = wilson(int(counts.positives.sum()), counts.labels, design_effect)
    return Calibration(counts.labels, total / GRID / counts.labels, rate)
