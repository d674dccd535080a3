"""Learners behind one contract in River's words; River's models do much of the learning.

River is loaded where one of its models is made, not with these modules: that takes seconds of CPU time, and a
command that only reads its settings, or a worker that trains nothing, has no use for it.
"""

from __future__ import annotations

from models.learners.base import Learner, StateMismatchError
from models.learners.boosted import LightGbm, MissingExtraError, require_lightgbm
from models.learners.forests import AdaptiveRandomForest, Bagging
from models.learners.hoeffding import HoeffdingAdaptiveTree, HoeffdingTree
from models.learners.logistic import Logistic
from models.learners.neural import NeuralNetwork
from models.learners.return_probability import ReturnProbability
from models.learners.second_order import Additive, SecondOrder
from models.learners.svm import LinearSvm

#: Every kind of learner; `models.contenders` names those that can be chosen, with their settings.
LEARNERS: tuple[type[Learner], ...] = (
    Additive,
    SecondOrder,
    ReturnProbability,
    Logistic,
    LinearSvm,
    HoeffdingTree,
    HoeffdingAdaptiveTree,
    AdaptiveRandomForest,
    Bagging,
    NeuralNetwork,
    LightGbm,
)

__all__ = [
    "LEARNERS",
    "AdaptiveRandomForest",
    "Additive",
    "Bagging",
    "HoeffdingAdaptiveTree",
    "HoeffdingTree",
    "Learner",
    "LightGbm",
    "LinearSvm",
    "Logistic",
    "MissingExtraError",
    "NeuralNetwork",
    "ReturnProbability",
    "SecondOrder",
    "StateMismatchError",
    "require_lightgbm",
]
