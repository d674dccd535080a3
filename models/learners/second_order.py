"""Second-order online logistic regression: a normal posterior over the weights, updated label by label.

Each label is one step of recursive Laplace (an extended Kalman filter whose observation is Bernoulli): the
curvature that is learned takes the place of a learning rate. O(d²) per label.

Spiegelhalter & Lauritzen, "Sequential updating of conditional probabilities on directed graphical
structures", Networks 20, 1990; Kulhavý & Zarrop, "On a general concept of forgetting", Int. J. Control 58,
1993, for forgetting that never knows less than the prior.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
import numpy as np
from scipy.linalg.blas import dsymv, dsyr
from threadpoolctl import ThreadpoolController

from models.learners.base import Learner, StateMismatchError, decoded
from models.learners.scaling import Inputs, Moments
from models.learners.space import Choice, Dimension, Range
from models.scorers import AdditiveScorer, LinearScorer, hinge, require_finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.scorers import MemberScorer

#: Two threads for two hundred numbers wait for one another a hundred times as long as one needs for the work.
_BLAS: Final = ThreadpoolController()
#: What is believed of the intercept before the first label: a variance of one is no belief at all.
_INTERCEPT_VARIANCE = 1.0
#: A label never counts for less curvature than this, however certain the forecast was.
_LEAST_CURVATURE = 1e-6


class _State(msgspec.Struct, kw_only=True):
    type: str
    columns: tuple[str, ...]
    knots: tuple[float, ...]
    labels: int
    weights: list[float]
    #: The lower triangle, row by row: little-endian doubles in base64, about a quarter of their decimals.
    covariance: str
    moments: Moments


class SecondOrder(Learner):
    """P(churn) = sigmoid(w · b(x)) with w ~ N(mean, covariance); b(x) are the columns, hinges and a one.

    Inputs come on log scales (`features.catalogue`), so one unit means much the same in every column: they
    are centred on their running mean, cut off at ± `clip` and not scaled. The offset enters as it is and its
    weight starts at 1, all others at 0, so before the first label the prediction is exactly the return
    probability. `treatment` names the 0/1 column of customers who were acted upon; it enters as it is, too.

    `knots` bend the line of every column at these distances from its mean, which makes the model additive:
    P(churn) = sigmoid(Σ f_j(x_j)) with piecewise linear f_j. `prior_variance` is that of each weight,
    `evidence` what a label counts for: less than 1 because weekly cohorts overlap. What was learned is
    forgotten with a time constant of `memory_days`; None remembers everything.
    """

    name: ClassVar[str] = "second_order"
    portable: ClassVar[bool] = True
    space: ClassVar[Mapping[str, Dimension]] = {
        "prior_variance": Range(0.001, 0.1, log=True),
        "evidence": Range(0.03, 1.0, log=True),
        "memory_days": Range(30.0, 3000.0, log=True),
    }

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        treatment: str | None = None,
        knots: tuple[float, ...] = (),
        prior_variance: float = 0.01,
        evidence: float = 0.3,
        memory_days: float | None = None,
        clip: float = 5.0,
    ) -> None:
        super().__init__(columns, offset)
        if not (prior_variance > 0 and 0 < evidence <= 1 and (memory_days is None or memory_days > 0)):
            raise ValueError("prior variance, evidence (at most 1) and memory must be positive")
        self._knots = knots
        self._evidence, self._memory_days = evidence, memory_days
        self._bent = np.flatnonzero([name != treatment for name in self.columns])
        self._inputs = Inputs(self.columns, offset, treatment, clip, scaled=False)
        size = len(self.columns) + 1 + len(self._knots) * len(self._bent)
        self._prior = np.full(size, prior_variance)
        self._prior[len(self.columns)] = _INTERCEPT_VARIANCE
        self._weights = np.zeros(size)
        self._weights[self.offset] = 1.0
        # Only the lower triangle counts. In Fortran's order BLAS changes it in place.
        self._covariance = np.asfortranarray(np.diag(self._prior))

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        before = self._weights.copy(), self._covariance.copy(order="F"), self._inputs.moments()
        with _BLAS.limit(limits=1, user_api="blas"):
            for row, churned in zip(
                self._basis(X, self._inputs.standardiser.learn(X)), y.tolist(), strict=True
            ):
                self._update(row, float(churned))
        try:
            require_finite("the weights", self._weights)
        except ValueError:
            self._weights, self._covariance, moments = before
            self._inputs.restore(moments)
            raise

    def _update(self, row: NDArray[np.float64], churned: float) -> None:
        p = _sigmoid(float(self._weights @ row))
        curvature = self._evidence * max(p * (1.0 - p), _LEAST_CURVATURE)
        gain = dsymv(1.0, self._covariance, row, lower=1)
        spread = 1.0 + curvature * float(row @ gain)
        self._weights += gain * (self._evidence * (churned - p) / spread)
        self._covariance = dsyr(-curvature / spread, gain, a=self._covariance, lower=1, overwrite_a=1)

    def forget(self, days: float) -> None:
        """Become less sure, as `days` of event time pass: variances grow, but never beyond the prior."""
        if self._memory_days is None or not self.labels:
            return
        now = self._covariance.diagonal()
        growth = np.minimum(np.exp(days / self._memory_days), np.maximum(self._prior / now, 1.0))
        root = np.sqrt(growth)
        self._covariance *= root[:, None]
        self._covariance *= root

    def _basis(self, X: NDArray[np.float32], z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows (n, size): the columns, a one, and for each knot the hinge of every column that bends."""
        bent = z[:, self._bent].astype(np.float32)
        hinges = [hinge(bent, knot) for knot in self._knots]
        return np.hstack((self._inputs.with_raw(X, z.copy()), np.ones((len(X), 1)), *hinges))

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """The probability at the mean of the weights."""
        row = self._row(x)
        p = _sigmoid(float(self._weights @ self._basis(row, self._inputs.standardiser.transform(row))[0]))
        return {False: 1.0 - p, True: p}

    def scorer(self) -> MemberScorer:
        """The mean of the weights and the centres of now."""
        width = len(self.columns)
        linear = LinearScorer(
            **self._inputs.standardisation(),
            intercept=float(self._weights[width]),
            weights=tuple(self._weights[:width].tolist()),
        )
        if not self._knots:
            return linear
        bends = np.zeros((len(self._knots), width))
        bends[:, self._bent] = self._weights[width + 1 :].reshape(len(self._knots), -1)
        return AdditiveScorer(linear=linear, knots=self._knots, bends=tuple(map(tuple, bends.tolist())))

    def state(self) -> bytes:
        """Weights, covariance and moments as JSON; floats keep every bit."""
        lower = self._covariance[np.tril_indices(len(self._weights))]
        return msgspec.json.encode(
            _State(
                type=self.name,
                columns=self.columns,
                knots=self._knots,
                labels=self.labels,
                weights=self._weights.tolist(),
                covariance=base64.b64encode(lower.astype("<f8").tobytes()).decode(),
                moments=self._inputs.moments(),
            )
        )

    def restore(self, state: bytes) -> None:
        """Go on from `state`; prior, evidence and memory stay those of this learner's construction."""
        kept = decoded(state, _State, "a second-order learner")
        try:
            lower = np.frombuffer(base64.b64decode(kept.covariance, validate=True), "<f8")
        except ValueError as error:
            raise StateMismatchError(f"not the state of a second-order learner: {error}") from error
        size = len(self._weights)
        if (kept.type, kept.columns, kept.knots) != (self.name, self.columns, self._knots):
            raise StateMismatchError("the state belongs to another learner, other columns or other knots")
        if len(kept.weights) != size or len(lower) != size * (size + 1) // 2:
            raise StateMismatchError("weights and covariance do not fit together")
        require_finite("the state", kept.weights)
        require_finite("the state", lower)
        self.labels = kept.labels
        self._weights = np.array(kept.weights)
        self._covariance = np.zeros((size, size), order="F")
        self._covariance[np.tril_indices(size)] = lower
        self._inputs.restore(kept.moments)


class Additive(SecondOrder):
    """The same with three knots: an additive model, for what is not a straight line.

    Recency is the example: the first days of silence mean little, the next ones much, the last ones nothing.
    """

    name: ClassVar[str] = "additive"
    space: ClassVar[Mapping[str, Dimension]] = {
        **SecondOrder.space,
        "knots": Choice(((0.0,), (-0.75, 0.0, 0.75), (-1.5, -0.75, 0.0, 0.75, 1.5))),
    }

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        treatment: str | None = None,
        knots: tuple[float, ...] = (-0.75, 0.0, 0.75),
        prior_variance: float = 0.01,
        evidence: float = 1.0,
        memory_days: float | None = 140.0,
    ) -> None:
        super().__init__(
            columns,
            offset=offset,
            treatment=treatment,
            knots=knots,
            prior_variance=prior_variance,
            evidence=evidence,
            memory_days=memory_days,
        )


def _sigmoid(log_odds: float) -> float:
    """As scipy's expit, for one number, at a tenth of the cost."""
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    e = math.exp(max(log_odds, -700.0))
    return e / (1.0 + e)
