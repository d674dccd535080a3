"""Learners behind one contract in River's words; River's models do most of the learning."""

from __future__ import annotations

from models.learners.base import Learner, StateMismatchError
from models.learners.boosted import LightGbm, MissingExtraError, require_lightgbm
from models.learners.forests import AdaptiveRandomForest, Bagging
from models.learners.hoeffding import HoeffdingAdaptiveTree, HoeffdingTree
from models.learners.logistic import Logistic
from models.learners.neural import NeuralNetwork
from models.learners.svm import LinearSvm

#: Every kind of learner; `models.contenders` names those that can be chosen, with their settings.
LEARNERS: tuple[type[Learner], ...] = (
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
    "Bagging",
    "HoeffdingAdaptiveTree",
    "HoeffdingTree",
    "Learner",
    "LightGbm",
    "LinearSvm",
    "Logistic",
    "MissingExtraError",
    "NeuralNetwork",
    "StateMismatchError",
    "require_lightgbm",
]
