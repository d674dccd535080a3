"""Logistic regression that learns from each label once: River's, with a return-probability offset."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from models.learners.linear import LinearLearner, OptimiserName
from models.learners.space import Dimension, Range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.scorers import LinearScorer


class Logistic(LinearLearner):
    """P(churn) = sigmoid(intercept + w_offset · logit p_return + w · z), learned by River.

    The offset enters unscaled and its weight starts at 1, all others at 0, so that before the first label
    the prediction is exactly the return probability, and labels correct it from there. `treatment`, if
    given, names the 0/1 column of customers who were acted upon; it enters unscaled too.
    z-scores are cut off at ± `clip`. `rate` is the optimiser's step size, `intercept_rate` the intercept's.
    """

    name: ClassVar[str] = "logistic"
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
        super().__init__(
            columns,
            offset=offset,
            treatment=treatment,
            optimiser=optimiser,
            rate=rate,
            intercept_rate=intercept_rate,
            clip=clip,
        )

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """River's own probability for the standardised row."""
        proba: dict[bool, float] = self._linear.predict_proba_one(self._standardised(x))
        return proba

    def scorer(self) -> LinearScorer:
        """The weights and the standardisation of now."""
        return self._scorer()
