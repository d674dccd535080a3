"""Online Platt scaling: whether probabilities that were issued were too bold, too timid, too high or too low.

Platt, "Probabilistic outputs for support vector machines", 1999: log-odds → slope · log-odds + intercept. It
learns from the probabilities as they were issued and never from what a model says of labels it has seen, so
it does not leak. It is a contender, not a step that everybody passes through: it helps where base rates
stand, and harms where they move faster than labels mature.

What it has learned ages as all evidence about who is right does, with a time constant of one horizon, and
gives way to the belief it began with: old labels count for less, the prior does not (Kulhavý & Zarrop, "On a
general concept of forgetting", Int. J. Control 58, 1993). So a line learned from the labels of a shock, which
may be flat or fall, leads back to the pool as it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
import numpy as np
from scipy.special import expit, log_expit

from models.pool import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.progressive import ScoreCounts
    from models.scorers import PoolScorer

#: Slope and intercept before the first label, to which forgetting leads back, and their variance.
_IDENTITY: Final = np.array([1.0, 0.0])
_PRIOR: Final = 0.01
_STEPS: Final = 8
_CERTAINTY: Final = 1e-6


class _State(msgspec.Struct):
    line: tuple[float, float]
    precision: tuple[tuple[float, float], tuple[float, float]]


class Calibrator:
    """Slope and intercept for the log-odds of the contender `of`, with a normal posterior.

    Labels are forgotten with a time constant of `horizon_days`.
    """

    name: ClassVar[str] = "calibrated"

    def __init__(self, of: str, horizon_days: float) -> None:
        self.of = of
        self.horizon_days = horizon_days
        self._line = _IDENTITY
        self._precision = np.eye(2) / _PRIOR

    @property
    def slope(self) -> float:
        """Below 1: the probabilities were too bold."""
        return float(self._line[0])

    @property
    def intercept(self) -> float:
        """Below 0: they were too high."""
        return float(self._line[1])

    def learn(self, counts: ScoreCounts) -> None:
        """Take one decision time's issued probabilities and labels: Newton's method on the log posterior."""
        p = np.clip(counts.probabilities, _CERTAINTY, 1 - _CERTAINTY)
        x = np.stack((np.log(p) - np.log1p(-p), np.ones(len(p))))
        churned, stayed = counts.positives, counts.negatives
        labels = churned + stayed

        def lost(line: NDArray[np.float64]) -> float:
            forecast = log_expit(np.stack((line @ x, -(line @ x))))
            away = line - self._line
            return float(away @ self._precision @ away / 2 - RATE * (forecast * [churned, stayed]).sum())

        line = self._line
        for _ in range(_STEPS):
            forecast = expit(line @ x)
            gradient = RATE * (x @ (churned - labels * forecast)) - self._precision @ (line - self._line)
            curvature = self._precision + RATE * (x * (labels * forecast * (1 - forecast))) @ x.T
            step = np.linalg.solve(curvature, gradient)
            # Newton's step may leap far beyond where almost all forecasts are wrong.
            while lost(line + step) > lost(line) and np.abs(step).max() > _CERTAINTY:
                step = step / 2
            line = line + step
        self._line, self._precision = line, curvature

    def forget(self, days: float) -> None:
        """Let labels count for less, as `days` of event time pass: what is left of them beside the prior."""
        kept = math.exp(-days / self.horizon_days)
        told, prior = kept * self._precision, (1 - kept) * np.eye(2) / _PRIOR
        self._precision = told + prior
        self._line = np.linalg.solve(self._precision, told @ self._line + prior @ _IDENTITY)

    def scorer(self, pool: PoolScorer) -> PoolScorer:
        """The pool with slope and intercept of now."""
        return msgspec.structs.replace(pool, slope=self.slope, intercept=self.intercept)

    def state(self) -> bytes:
        """Line and precision as JSON."""
        return msgspec.json.encode(_State(tuple(self._line.tolist()), self._precision.tolist()))

    def restore(self, state: bytes) -> None:
        """Go on from `state`; raises msgspec.ValidationError for one that is none."""
        kept = msgspec.json.decode(state, type=_State)
        self._line, self._precision = np.array(kept.line), np.array(kept.precision)
