"""Which learners exist for this catalogue, and what each of them sees of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from features.catalogue import OFFSET
from models.learners import (
    AdaptiveRandomForest,
    Additive,
    Bagging,
    HoeffdingAdaptiveTree,
    HoeffdingTree,
    LightGbm,
    LinearSvm,
    Logistic,
    NeuralNetwork,
    ReturnProbability,
    SecondOrder,
    require_lightgbm,
)
from models.versions import COLUMNS, TREATED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from models.learners import Learner

#: What trees may split on: their cost per label grows with every column, and these tell most.
_TREE_COLUMNS: Final = (
    OFFSET,
    "days_since_purchase",
    "overdue_ratio",
    "gap_mean",
    "last_gap_ratio",
    "days_since_activity",
    "order_days",
    "orders_90d",
    "spend_90d",
    "activity_30d",
    "cart_abandonment",
    "low_rating_share",
)


def _logistic(**settings: Any) -> Logistic:
    return Logistic(COLUMNS, offset=OFFSET, treatment=TREATED, **settings)


#: Every learner that settings may name, and how it is made over the catalogue's columns.
CONTENDERS: Final[dict[str, Callable[[], Learner]]] = {
    "additive": lambda: Additive(COLUMNS, offset=OFFSET, treatment=TREATED),
    "second_order": lambda: SecondOrder(COLUMNS, offset=OFFSET, treatment=TREATED),
    "return_probability": lambda: ReturnProbability(COLUMNS, offset=OFFSET),
    "logistic": _logistic,
    "logistic_adagrad": lambda: _logistic(optimiser="adagrad", rate=0.01),
    "logistic_ftrl": lambda: _logistic(optimiser="ftrl", rate=0.01),
    "linear_svm": lambda: LinearSvm(COLUMNS, offset=OFFSET, treatment=TREATED),
    "hoeffding_tree": lambda: HoeffdingTree(COLUMNS, offset=OFFSET, splits_on=_TREE_COLUMNS),
    "hoeffding_adaptive_tree": lambda: HoeffdingAdaptiveTree(COLUMNS, offset=OFFSET, splits_on=_TREE_COLUMNS),
    "adaptive_random_forest": lambda: AdaptiveRandomForest(COLUMNS, offset=OFFSET, splits_on=_TREE_COLUMNS),
    "bagging": lambda: Bagging(COLUMNS, offset=OFFSET, splits_on=_TREE_COLUMNS),
    "neural_network": lambda: NeuralNetwork(COLUMNS, offset=OFFSET, treatment=TREATED),
    "lightgbm": lambda: LightGbm(COLUMNS, offset=OFFSET),
}


def require_contenders(names: Collection[str]) -> None:
    """Raise ValueError unless all `names` exist, `MissingExtraError` (one too) unless all are installed."""
    unknown = sorted(set(names) - set(CONTENDERS))
    if unknown:
        raise ValueError(f"unknown learners {unknown}; there are {sorted(CONTENDERS)}")
    if LightGbm.name in names:
        require_lightgbm()


def new_learner(name: str) -> Learner:
    """A learner of that name over the catalogue's columns; raises KeyError for an unknown one."""
    return CONTENDERS[name]()
