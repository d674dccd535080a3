"""Learners behind one contract in River's words."""

from __future__ import annotations

from models.learners.base import Learner, StateMismatchError
from models.learners.hoeffding import HoeffdingTree
from models.learners.logistic import Logistic
from models.learners.return_probability import ReturnProbability
from models.learners.second_order import Additive, SecondOrder

#: Every kind of learner by the name that configuration uses.
LEARNERS: dict[str, type[Learner]] = {
    kind.name: kind for kind in (Additive, SecondOrder, ReturnProbability, Logistic, HoeffdingTree)
}

__all__ = [
    "LEARNERS",
    "Additive",
    "HoeffdingTree",
    "Learner",
    "Logistic",
    "ReturnProbability",
    "SecondOrder",
    "StateMismatchError",
]
