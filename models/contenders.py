"""Which learners exist for this catalogue, and what each of them sees of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.catalogue import OFFSET
from models.learners import Additive, HoeffdingTree, Logistic, ReturnProbability, SecondOrder
from models.versions import COLUMNS, TREATED

if TYPE_CHECKING:
    from models.learners import Learner

#: What the tree may split on: its cost per label grows with every column, and these tell most.
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


def new_learner(name: str) -> Learner:
    """A learner of the kind `name` over the catalogue's columns; raises KeyError for an unknown kind."""
    for linear in (Additive, SecondOrder, Logistic):
        if name == linear.name:
            return linear(COLUMNS, offset=OFFSET, treatment=TREATED)
    if name == ReturnProbability.name:
        return ReturnProbability(COLUMNS, offset=OFFSET)
    if name == HoeffdingTree.name:
        return HoeffdingTree(COLUMNS, offset=OFFSET, splits_on=_TREE_COLUMNS)
    raise KeyError(name)
