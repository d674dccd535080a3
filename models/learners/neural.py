"""A small neural network that learns from fixed mini-batches of labels with Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import msgspec
import numpy as np
from scipy.special import expit

from models.learners.base import Learner, StateMismatchError, decoded
from models.learners.scaling import Inputs, Moments
from models.learners.space import Dimension, Range
from models.scorers import NeuralScorer, require_finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Adam's decay of its two means, and what keeps it from dividing by 0 (Kingma & Ba 2015).
_DECAY, _DECAY_SQUARES, _EPSILON = 0.9, 0.999, 1e-8


class _Weights(NamedTuple):
    """Views into one flat array of all weights, so that Adam need not know their shapes."""

    hidden: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    output: NDArray[np.float64]
    intercept: NDArray[np.float64]

    @classmethod
    def of(cls, flat: NDArray[np.float64], units: int) -> _Weights:
        hidden, thresholds, output, intercept = np.split(flat, [-2 * units - 1, -units - 1, -1])
        return cls(hidden.reshape(units, -1), thresholds, output, intercept)


class _State(msgspec.Struct, kw_only=True, tag="neural_network"):
    columns: tuple[str, ...]
    units: int
    batch: int
    labels: int
    moments: Moments
    steps: int
    weights: list[float]
    #: Adam's running means of gradients and of their squares.
    means: list[float]
    squares: list[float]
    #: Rows and labels that wait for their mini-batch to be full.
    waiting: list[list[float]]
    answers: list[bool]


class NeuralNetwork(Learner):
    """P(churn) = sigmoid(logit p_return + c + v · max(0, b + W z)), one hidden layer of `units` units.

    The output weights v and c start at 0, so that before the first label the return probability speaks; the
    hidden weights W start at random draws of `seed` (He et al. 2015). Labels wait until `batch` of them are
    together: borders lie at multiples of `batch` labels, however the rows came, and what waits is kept in
    the state. Each batch is one step of Adam with step size `rate`. `treatment` and `clip` as in `Logistic`.
    """

    name: ClassVar[str] = "neural_network"
    space: ClassVar[Mapping[str, Dimension]] = {
        "units": Range(4, 64, log=True, whole=True),
        "batch": Range(8, 256, log=True, whole=True),
        "rate": Range(1e-4, 0.01, log=True),
    }
    portable: ClassVar[bool] = True

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        treatment: str | None = None,
        units: int = 16,
        batch: int = 32,
        rate: float = 0.001,
        clip: float = 5.0,
        seed: int = 0,
    ) -> None:
        super().__init__(columns, offset)
        self._inputs = Inputs(self.columns, offset, treatment, clip)
        self._units, self._batch, self._rate = units, batch, rate
        width = len(self.columns)
        self._flat = np.zeros(units * width + 2 * units + 1)
        draws = np.random.default_rng(seed).normal(0.0, np.sqrt(2 / width), units * width)
        self._flat[: units * width] = draws
        self._means, self._squares = np.zeros_like(self._flat), np.zeros_like(self._flat)
        self._steps = 0
        self._waiting = np.empty((0, width))
        self._answers = np.empty(0, dtype=bool)

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        before = self._snapshot()
        self._waiting = np.vstack((self._waiting, self._inputs.learn(X)))
        self._answers = np.concatenate((self._answers, y))
        full = len(self._answers) - len(self._answers) % self._batch
        for start in range(0, full, self._batch):
            rows = slice(start, start + self._batch)
            self._step(self._gradient(self._waiting[rows], self._answers[rows]))
        self._waiting, self._answers = self._waiting[full:].copy(), self._answers[full:].copy()
        try:
            require_finite("the weights", self._flat)
        except ValueError:
            self._apply(before)
            raise

    def _gradient(self, z: NDArray[np.float64], y: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Gradient of the mean log loss of a batch (float64[n, d]) by all weights."""
        weights = _Weights.of(self._flat, self._units)
        received = z @ weights.hidden.T + weights.thresholds
        active = np.maximum(received, 0.0)
        log_odds = z[:, self.offset] + active @ weights.output + weights.intercept
        errors = (expit(log_odds) - y) / len(y)
        backward = np.outer(errors, weights.output) * (received > 0)
        return np.concatenate(
            ((backward.T @ z).ravel(), backward.sum(axis=0), errors @ active, [errors.sum()])
        )

    def _step(self, gradient: NDArray[np.float64]) -> None:
        """One step of Adam."""
        self._steps += 1
        self._means += (1 - _DECAY) * (gradient - self._means)
        self._squares += (1 - _DECAY_SQUARES) * (gradient**2 - self._squares)
        mean = self._means / (1 - _DECAY**self._steps)
        square = self._squares / (1 - _DECAY_SQUARES**self._steps)
        self._flat -= self._rate * mean / (np.sqrt(square) + _EPSILON)

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """The network's probability for the standardised row."""
        z = self._inputs.transform(self._row(x))[0]
        weights = _Weights.of(self._flat, self._units)
        active = np.maximum(weights.hidden @ z + weights.thresholds, 0.0)
        p = float(expit(z[self.offset] + active @ weights.output + weights.intercept[0]))
        return {False: 1.0 - p, True: p}

    def scorer(self) -> NeuralScorer:
        """The weights and the standardisation of now."""
        weights = _Weights.of(self._flat, self._units)
        return NeuralScorer(
            **self._inputs.standardisation(),
            offset=self.offset,
            hidden=tuple(tuple(unit) for unit in weights.hidden.tolist()),
            thresholds=tuple(weights.thresholds.tolist()),
            output=tuple(weights.output.tolist()),
            intercept=float(weights.intercept[0]),
        )

    def state(self) -> bytes:
        """Weights, Adam's means, moments and waiting labels as JSON; floats keep every bit."""
        return msgspec.json.encode(self._snapshot())

    def restore(self, state: bytes) -> None:
        """Go on from `state`; the step size stays that of this learner's construction."""
        kept = decoded(state, _State, "a neural network")
        if (kept.columns, kept.units, kept.batch) != (self.columns, self._units, self._batch):
            raise StateMismatchError("the state belongs to other columns or to a network of another size")
        self._apply(kept)

    def _snapshot(self) -> _State:
        return _State(
            columns=self.columns,
            units=self._units,
            batch=self._batch,
            labels=self.labels,
            moments=self._inputs.moments(),
            steps=self._steps,
            weights=self._flat.tolist(),
            means=self._means.tolist(),
            squares=self._squares.tolist(),
            waiting=self._waiting.tolist(),
            answers=self._answers.tolist(),
        )

    def _apply(self, kept: _State) -> None:
        self.labels, self._steps = kept.labels, kept.steps
        self._inputs.restore(kept.moments)
        self._flat, self._means, self._squares = map(np.array, (kept.weights, kept.means, kept.squares))
        self._waiting = np.array(kept.waiting).reshape(-1, len(self.columns))
        self._answers = np.array(kept.answers, dtype=bool)
