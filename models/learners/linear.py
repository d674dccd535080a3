"""What River's linear models share here: standardised columns, a return-probability offset, JSON state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from models.learners.base import Learner, StateMismatchError, decoded
from models.learners.scaling import Inputs, Moments
from models.scorers import LinearScorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from models.learners.river_linear import River

#: River's optimisers that may be chosen. Adam was measured a little worse and is left out.
OptimiserName = Literal["sgd", "adagrad", "ftrl"]
#: River's losses that may be chosen.
LossName = Literal["log", "hinge"]


class RiverState(msgspec.Struct, kw_only=True):
    """Everything that learning changes in one of River's linear models."""

    iterations: int
    intercept: float
    weights: dict[str, float]
    #: The optimiser's memories by their names.
    memories: dict[str, dict[str, float]]


def river_linear() -> type[River]:
    """River's linear classifier; loads River."""
    from models.learners.river_linear import River  # noqa: PLC0415 - see `models.learners`

    return River


class _State(msgspec.Struct, kw_only=True):
    type: str
    columns: tuple[str, ...]
    optimiser: OptimiserName
    labels: int
    #: Labels that stayed and that churned.
    counts: list[int]
    moments: Moments
    models: dict[str, RiverState]


class LinearLearner(Learner):
    """A learner whose log-odds are linear in the standardised columns; see `Logistic` for the settings.

    Subclasses say what a row teaches (`_learn_row`) and how log-odds follow from the weights.
    """

    portable = True

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str,
        treatment: str | None,
        optimiser: OptimiserName,
        rate: float,
        intercept_rate: float,
        clip: float,
        loss: LossName = "log",
        l2: float = 0.0,
    ) -> None:
        super().__init__(columns, offset)
        self._optimiser: OptimiserName = optimiser
        self._inputs = Inputs(self.columns, offset, treatment, clip)
        start = {name: float(name == offset) for name in self.columns}
        self._linear = river_linear()(start, optimiser, rate, intercept_rate=intercept_rate, loss=loss, l2=l2)
        #: Labels learned so far that stayed and that churned.
        self._counts = [0, 0]
        #: All of River's models that are learned, by the name under which the state keeps them.
        self._models = {"linear": self._linear}

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        before = self._snapshot()
        z = self._inputs.learn(X)
        for row, label in zip(z.tolist(), y.tolist(), strict=True):
            self._learn_row(dict(zip(self.columns, row, strict=True)), label)
            self._counts[label] += 1
        try:
            for model in self._models.values():
                model.require_finite()
        except ValueError:
            self._apply(before)
            raise

    def _learn_row(self, z: Mapping[str, float], label: bool) -> None:
        self._linear.learn_one(z, label)

    def _standardised(self, x: Mapping[str, float]) -> dict[str, float]:
        z = self._inputs.transform(self._row(x))[0]
        return dict(zip(self.columns, z.tolist(), strict=True))

    def _scorer(self, gain: float = 1.0, shift: float = 0.0) -> LinearScorer:
        """Log-odds of `gain` times the weighted sum plus `shift`."""
        return LinearScorer(
            **self._inputs.standardisation(),
            intercept=gain * float(self._linear.intercept) + shift,
            weights=tuple(gain * self._linear.weights[name] for name in self.columns),
        )

    def state(self) -> bytes:
        """Weights, optimiser and moments as JSON; floats keep every bit."""
        return msgspec.json.encode(self._snapshot())

    def restore(self, state: bytes) -> None:
        """Go on from `state`; the step sizes stay those of this learner's construction."""
        kept = decoded(state, _State, "a linear model")
        found = (kept.type, kept.columns, kept.optimiser, kept.models.keys())
        if found != (self.name, self.columns, self._optimiser, self._models.keys()):
            raise StateMismatchError("the state belongs to another model, other columns or another optimiser")
        self._apply(kept)

    def _snapshot(self) -> _State:
        return _State(
            type=self.name,
            columns=self.columns,
            optimiser=self._optimiser,
            labels=self.labels,
            counts=list(self._counts),
            moments=self._inputs.moments(),
            models={name: model.state() for name, model in self._models.items()},
        )

    def _apply(self, kept: _State) -> None:
        self.labels, self._counts = kept.labels, list(kept.counts)
        self._inputs.restore(kept.moments)
        for name, model in self._models.items():
            model.restore(kept.models[name])
