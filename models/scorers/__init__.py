"""What a learner exports: frozen, JSON-able scorers that judge a million customers in one pass.

A learner changes with every label; a scorer never does. Workers hold scorers only, so the hot path
needs neither River nor a pickle. Every scorer gives probabilities *and* the exact additive shares of
its log-odds, from which an alert's reasons are made.

    probabilities(X) == sigmoid(bias + contributions(X).sum(axis=1))
"""

from __future__ import annotations

from typing import TypeAlias

from models.scorers.additive import AdditiveScorer, hinge
from models.scorers.base import RAW_BOUND, NonFiniteError, bounds, require_finite
from models.scorers.linear import LinearScorer
from models.scorers.neural import NeuralScorer
from models.scorers.pool import MemberScorer, PoolScorer
from models.scorers.trees import BoostedLeaves, CountedLeaves, EnsembleScorer, TreeScorer
from models.scorers.walking import Trees

#: Every kind of scorer a version may hold; msgspec decodes by the tag.
Scorer: TypeAlias = MemberScorer | PoolScorer

__all__ = [
    "RAW_BOUND",
    "AdditiveScorer",
    "BoostedLeaves",
    "CountedLeaves",
    "EnsembleScorer",
    "LinearScorer",
    "MemberScorer",
    "NeuralScorer",
    "NonFiniteError",
    "PoolScorer",
    "Scorer",
    "TreeScorer",
    "Trees",
    "bounds",
    "hinge",
    "require_finite",
]
