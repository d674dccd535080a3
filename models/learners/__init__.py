"""Learners behind one contract in River's words; River's models do the learning."""

from __future__ import annotations

from models.learners.base import Learner, StateMismatchError
from models.learners.hoeffding import HoeffdingTree
from models.learners.logistic import Logistic

#: Every kind of learner by the name that configuration uses.
LEARNERS: dict[str, type[Learner]] = {kind.name: kind for kind in (Logistic, HoeffdingTree)}

__all__ = ["LEARNERS", "HoeffdingTree", "Learner", "Logistic", "StateMismatchError"]
