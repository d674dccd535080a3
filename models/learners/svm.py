"""A linear support vector machine that learns from each label once, with calibrated probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from models.learners.linear import LinearLearner, river_linear
from models.learners.space import Dimension, Range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.scorers import LinearScorer


class LinearSvm(LinearLearner):
    """Hinge loss with a quadratic penalty by gradient steps (Pegasos, Shalev-Shwartz et al. 2011).

    Labels are weighed so that stayed and churned count the same: where three of four churn and little tells
    them apart, the unweighed hinge is content to say "churned" of everybody, and its order is noise.
    A margin is no probability. Platt scaling (Platt 1999) makes it one, P(churn) = sigmoid(a · margin + b),
    learned online from the margin that each row had *before* its label was learned: margins of rows that
    were learned already would look too sure. The margin starts as logit p_return (see `Logistic`), a at 1
    and b at 0. `rate` and `intercept_rate` are the step sizes of the margin, `platt_rate` that of a and b.
    """

    name: ClassVar[str] = "linear_svm"
    space: ClassVar[Mapping[str, Dimension]] = {
        "rate": Range(1e-5, 0.1, log=True),
        "intercept_rate": Range(0.001, 0.1, log=True),
        "l2": Range(1e-6, 0.01, log=True),
        "platt_rate": Range(0.001, 0.1, log=True),
    }

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        treatment: str | None = None,
        rate: float = 0.0001,
        intercept_rate: float = 0.001,
        l2: float = 1e-4,
        platt_rate: float = 0.001,
        clip: float = 5.0,
    ) -> None:
        super().__init__(
            columns,
            offset=offset,
            treatment=treatment,
            optimiser="sgd",
            rate=rate,
            intercept_rate=intercept_rate,
            clip=clip,
            loss="hinge",
            l2=l2,
        )
        self._platt = river_linear()({"margin": 1.0}, "sgd", platt_rate, intercept_rate=platt_rate)
        self._models["platt"] = self._platt

    def _learn_row(self, z: Mapping[str, float], label: bool) -> None:
        self._platt.learn_one({"margin": self._linear.margin_one(z)}, label)
        # One imaginary label of each kind, so that the first ones weigh about 1.
        share = (self._counts[label] + 1) / (sum(self._counts) + 2)
        self._linear.learn_one(z, label, w=0.5 / share)

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """River's margin, through River's Platt scaling."""
        margin = self._linear.margin_one(self._standardised(x))
        proba: dict[bool, float] = self._platt.predict_proba_one({"margin": margin})
        return proba

    def scorer(self) -> LinearScorer:
        """The weights with Platt's a and b folded in, and the standardisation of now."""
        return self._scorer(gain=self._platt.weights["margin"], shift=float(self._platt.intercept))
