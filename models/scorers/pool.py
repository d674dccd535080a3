"""The scorer of a pool: what several learners say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

from models.scorers.additive import AdditiveScorer
from models.scorers.base import FromLogOdds, require_finite
from models.scorers.linear import LinearScorer
from models.scorers.neural import NeuralScorer
from models.scorers.trees import EnsembleScorer, TreeScorer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: What a learner exports.
MemberScorer: TypeAlias = LinearScorer | AdditiveScorer | TreeScorer | EnsembleScorer | NeuralScorer


class PoolScorer(FromLogOdds, msgspec.Struct, frozen=True, kw_only=True, tag="pool", dict=True):
    """Several scorers of the same columns, averaged in log-odds.

    log-odds = `intercept` + `slope` · Σ_k `weights`[k] · log-odds of `members`[k], by `names`. A weighted sum
    of additive shares is additive again, so its reasons are as exact as theirs.
    Raises `NonFiniteError` or ValueError at construction; both become msgspec.ValidationError on decoding.
    """

    names: tuple[str, ...]
    members: tuple[MemberScorer, ...]
    weights: tuple[float, ...]
    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not self.names or not len(self.names) == len(self.members) == len(self.weights):
            raise ValueError("a pool needs a name and a weight for each of its members")
        if any(member.columns != self.members[0].columns for member in self.members):
            raise ValueError("the members of a pool see the same columns")
        require_finite("a scorer", (*self.weights, self.slope, self.intercept))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return self.members[0].columns

    @property
    def bias(self) -> float:
        """Log-odds from which contributions are measured."""
        return self.intercept + self.slope * sum(
            weight * member.bias for weight, member in zip(self.weights, self.members, strict=True)
        )

    def pooled(self, log_odds: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Log-odds (n,) of rows for which those of the members are known by name: they cost nothing then."""
        out = np.full(len(log_odds[self.names[0]]), self.intercept)
        for name, weight in zip(self.names, self.weights, strict=True):
            out += (self.slope * weight) * log_odds[name]
        return out

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn of each row of `X` (float32[n, d], finite, in the order of `columns`)."""
        found = (member.log_odds(X) for member in self.members)
        return self.pooled(dict(zip(self.names, found, strict=True)))

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d]."""
        shares = np.zeros(X.shape)
        for weight, member in zip(self.weights, self.members, strict=True):
            shares += (self.slope * weight) * member.contributions(X)
        return shares
