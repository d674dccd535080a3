"""Logistic regression that learns from each label once: River's, with a return-probability offset."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
import numpy as np
from river import linear_model, optim
from river.utils import VectorDict

from models.learners.base import Learner, StateMismatchError
from models.learners.scaling import Moments, Standardiser
from models.learners.space import Dimension, Range
from models.scorers import RAW_BOUND, LinearScorer, require_finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: River's optimisers that may be chosen. Adam was measured a little worse and is left out.
OptimiserName = Literal["sgd", "adagrad"]

_OPTIMISERS = {"sgd": optim.SGD, "adagrad": optim.AdaGrad}


class _State(msgspec.Struct, kw_only=True, tag="logistic"):
    columns: tuple[str, ...]
    optimiser: OptimiserName
    labels: int
    iterations: int
    intercept: float
    weights: dict[str, float]
    #: AdaGrad's sums of squared gradients; empty for SGD.
    squared_gradients: dict[str, float]
    moments: Moments


class _River(linear_model.LogisticRegression):  # type: ignore[misc]  # River is untyped
    """River's logistic regression whose weights may start anywhere."""

    def set_weights(self, weights: Mapping[str, float]) -> None:
        self._weights = VectorDict(dict(weights))


class Logistic(Learner):
    """P(churn) = sigmoid(intercept + w_offset · logit p_return + w · z), learned by River.

    The offset enters unscaled and its weight starts at 1, all others at 0, so that before the first label
    the prediction is exactly the return probability, and labels correct it from there. `treatment`, if
    given, names the 0/1 column of customers who were acted upon; it enters unscaled too.
    z-scores are cut off at ± `clip`. `rate` is the optimiser's step size, `intercept_rate` the intercept's.
    """

    name: ClassVar[str] = "logistic"
    portable: ClassVar[bool] = True
    space: ClassVar[Mapping[str, Dimension]] = {
        "rate": Range(1e-5, 0.1, log=True),
        "intercept_rate": Range(0.001, 0.1, log=True),
    }

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        treatment: str | None = None,
        optimiser: OptimiserName = "sgd",
        rate: float = 0.0003,
        intercept_rate: float = 0.01,
        clip: float = 5.0,
    ) -> None:
        super().__init__(columns, offset)
        if treatment is not None and treatment not in self.columns:
            raise ValueError(f"the treatment {treatment!r} is not among the columns")
        self._treatment = treatment
        self._optimiser: OptimiserName = optimiser
        self._raw = np.array([name in (offset, treatment) for name in self.columns])
        self._standardiser = Standardiser(len(self.columns), clip)
        self._river = _River(_OPTIMISERS[optimiser](rate), intercept_lr=intercept_rate)
        self._river.set_weights({name: float(name == offset) for name in self.columns})

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        before = self._snapshot()
        z = self._with_raw(X, self._standardiser.learn(X))
        learn_one = self._river.learn_one
        for row, label in zip(z.tolist(), y.tolist(), strict=True):
            learn_one(dict(zip(self.columns, row, strict=True)), label)
        try:
            require_finite("the weights", [self._river.intercept, *self._river.weights.values()])
        except ValueError:
            self._apply(before)
            raise

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """River's own probability for the standardised row."""
        row = self._row(x)
        z = self._with_raw(row, self._standardiser.transform(row))[0].tolist()
        proba: dict[bool, float] = self._river.predict_proba_one(dict(zip(self.columns, z, strict=True)))
        return proba

    def scorer(self) -> LinearScorer:
        """The weights and the standardisation of now."""
        mean, scale = self._standardiser.mean_and_scale()
        # Reasons compare with the average customer, but with one who was left alone.
        reference = np.where([name == self._treatment for name in self.columns], 0.0, mean)
        return LinearScorer(
            columns=self.columns,
            intercept=float(self._river.intercept),
            weights=tuple(self._river.weights[name] for name in self.columns),
            mean=tuple(reference.tolist()),
            scale=tuple(scale.tolist()),
            raw=frozenset(name for name, raw in zip(self.columns, self._raw, strict=True) if raw),
            clip=self._standardiser.clip,
        )

    def state(self) -> bytes:
        """Weights, optimiser and moments as JSON; floats keep every bit."""
        return msgspec.json.encode(self._snapshot())

    def restore(self, state: bytes) -> None:
        """Go on from `state`; the step sizes stay those of this learner's construction."""
        try:
            kept = msgspec.json.decode(state, type=_State)
        except msgspec.DecodeError as error:
            raise StateMismatchError(f"not the state of a logistic regression: {error}") from error
        if (kept.columns, kept.optimiser) != (self.columns, self._optimiser):
            raise StateMismatchError("the state belongs to other columns or another optimiser")
        self._apply(kept)

    def _with_raw(self, X: NDArray[np.float32], z: NDArray[np.float64]) -> NDArray[np.float64]:
        z[:, self._raw] = np.clip(X[:, self._raw], -RAW_BOUND, RAW_BOUND)
        return z

    def _snapshot(self) -> _State:
        optimiser: Any = self._river.optimizer
        return _State(
            columns=self.columns,
            optimiser=self._optimiser,
            labels=self.labels,
            iterations=optimiser.n_iterations,
            intercept=float(self._river.intercept),
            weights=self._river.weights,
            squared_gradients=dict(getattr(optimiser, "g2", {})),
            moments=self._standardiser.moments(),
        )

    def _apply(self, kept: _State) -> None:
        self.labels = kept.labels
        self._standardiser.restore(kept.moments)
        self._river.set_weights(kept.weights)
        self._river.intercept = kept.intercept
        self._river.optimizer.n_iterations = kept.iterations
        if self._optimiser == "adagrad":
            self._river.optimizer.g2 = defaultdict(float, kept.squared_gradients)
