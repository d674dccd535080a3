"""River's linear classifier as the learners here use it. Importing this module loads River."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from river import linear_model, optim
from river.utils import VectorDict

from models.learners.linear import LossName, OptimiserName, RiverState
from models.scorers import require_finite

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOSSES: Final = {"log": optim.losses.Log, "hinge": optim.losses.Hinge}
_OPTIMISERS: Final = {"sgd": optim.SGD, "adagrad": optim.AdaGrad, "ftrl": optim.FTRLProximal}
#: What each of them remembers about every weight, by River's names.
_MEMORIES: Final[dict[OptimiserName, tuple[str, ...]]] = {"sgd": (), "adagrad": ("g2",), "ftrl": ("z", "n")}


class River(linear_model.LogisticRegression):  # type: ignore[misc]  # River is untyped
    """River's linear classifier whose weights may start anywhere and whose state is plain numbers."""

    def __init__(
        self,
        start: Mapping[str, float],
        optimiser: OptimiserName,
        rate: float,
        *,
        intercept_rate: float,
        loss: LossName = "log",
        l2: float = 0.0,
    ) -> None:
        super().__init__(
            _OPTIMISERS[optimiser](rate), loss=_LOSSES[loss](), l2=l2, intercept_lr=intercept_rate
        )
        self._memories = _MEMORIES[optimiser]
        self._weights = VectorDict(dict(start))
        if optimiser == "ftrl":
            # FTRL derives each weight from z: this one makes it begin, and be pulled back to, `start`.
            stiffness = self.optimizer.beta / self.optimizer.alpha + self.optimizer.l2
            self.optimizer.z.update({name: -weight * stiffness for name, weight in start.items()})

    def margin_one(self, x: Mapping[str, float]) -> float:
        """The weighted sum with the intercept."""
        return float(self._raw_dot_one(x))

    def require_finite(self) -> None:
        """Raise `NonFiniteError` if a weight is not finite."""
        require_finite("the weights", [self.intercept, *self.weights.values()])

    def state(self) -> RiverState:
        """Everything that learning changes."""
        return RiverState(
            iterations=self.optimizer.n_iterations,
            intercept=float(self.intercept),
            weights=self.weights,
            memories={name: dict(getattr(self.optimizer, name)) for name in self._memories},
        )

    def restore(self, kept: RiverState) -> None:
        """Go on from `state`."""
        self._weights = VectorDict(dict(kept.weights))
        self.intercept = kept.intercept
        self.optimizer.n_iterations = kept.iterations
        for name in self._memories:
            setattr(self.optimizer, name, defaultdict(float, kept.memories[name]))
