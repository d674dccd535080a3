"""Which learners exist for this catalogue, and what each of them sees of it."""

from __future__ import annotations

import collections.abc
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_type_hints

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
    from collections.abc import Collection, Mapping

    from models.learners import Learner
    from models.learners.space import Dimension

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


_LINEAR: Final[dict[str, Any]] = {"offset": OFFSET, "treatment": TREATED}
_TREES: Final[dict[str, Any]] = {"offset": OFFSET, "splits_on": _TREE_COLUMNS}
#: Every learner that may contend, by its name in the settings, with what it sees of the catalogue. All other
#: arguments of its constructor can be set; what they are if nobody sets them, stands there or here.
CONTENDERS: Final[Mapping[str, partial[Any]]] = {
    Additive.name: partial(Additive, COLUMNS, **_LINEAR),
    SecondOrder.name: partial(SecondOrder, COLUMNS, **_LINEAR),
    ReturnProbability.name: partial(ReturnProbability, COLUMNS, offset=OFFSET),
    Logistic.name: partial(Logistic, COLUMNS, **_LINEAR),
    "logistic_adagrad": partial(Logistic, COLUMNS, **_LINEAR, optimiser="adagrad", rate=0.01),
    "logistic_ftrl": partial(Logistic, COLUMNS, **_LINEAR, optimiser="ftrl", rate=0.01),
    LinearSvm.name: partial(LinearSvm, COLUMNS, **_LINEAR),
    HoeffdingTree.name: partial(HoeffdingTree, COLUMNS, **_TREES),
    HoeffdingAdaptiveTree.name: partial(HoeffdingAdaptiveTree, COLUMNS, **_TREES),
    AdaptiveRandomForest.name: partial(AdaptiveRandomForest, COLUMNS, **_TREES),
    Bagging.name: partial(Bagging, COLUMNS, **_TREES),
    NeuralNetwork.name: partial(NeuralNetwork, COLUMNS, **_LINEAR),
    LightGbm.name: partial(LightGbm, COLUMNS, offset=OFFSET),
}
#: What a learner sees is no setting.
_SEEN: Final = frozenset({"columns", "offset", "treatment", "splits_on", "optimiser"})


def require_contenders(names: Collection[str]) -> None:
    """Raise ValueError unless all `names` exist, `MissingExtraError` (one too) unless all are installed."""
    unknown = sorted(set(names) - set(CONTENDERS))
    if unknown:
        raise ValueError(f"unknown learners {unknown}; there are {sorted(CONTENDERS)}")
    if LightGbm.name in names:
        require_lightgbm()


class Setting(NamedTuple):
    """A constructor argument that can be set: its type, and its value if nobody sets it."""

    type: Any
    default: Any


def settings_of(name: str) -> dict[str, Setting]:
    """What can be set of the learner `name`, as its constructor says; raises KeyError for an unknown one."""
    made = CONTENDERS[name]
    types = get_type_hints(made.func.__init__, localns=vars(collections.abc))
    arguments = inspect.signature(made).parameters.values()
    return {a.name: Setting(types[a.name], a.default) for a in arguments if a.name not in _SEEN}


def space_of(name: str) -> Mapping[str, Dimension]:
    """Where a search may look for the settings of the learner `name`; raises KeyError for an unknown one."""
    kind: Any = CONTENDERS[name].func
    space: Mapping[str, Dimension] = kind.space
    return space


def new_learner(name: str, **settings: Any) -> Learner:
    """The learner `name` over the catalogue's columns, as the `settings` say.

    Raises KeyError for an unknown one, and what its constructor raises for settings that it cannot have.
    """
    learner: Learner = CONTENDERS[name](**settings)
    return learner
