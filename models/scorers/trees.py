"""The scorers of trees: one tree, a forest of them, and boosted ones."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.special import expit, logit

from models.scorers.base import FromLogOdds, bounded, chunks, require_finite, require_width
from models.scorers.walking import Trees

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CountedLeaves(msgspec.Struct, frozen=True, kw_only=True, tag="counted", dict=True):
    """Nodes that hold label counts: each tree has its own opinion, and the ensemble's is their mean.

    `positives` and `totals` are (fractional) label counts; an inner node's are the sums of its leaves. The
    return probability p_r counts in every leaf as `prior_strength` labels of evidence:

        log-odds = mean over trees of logit((positives + prior_strength · p_r) / (totals + prior_strength))

    The mean is one of log-odds, not of probabilities, so that path contributions add up exactly.
    """

    positives: tuple[float, ...]
    totals: tuple[float, ...]
    prior_strength: float

    def require(self, trees: Trees) -> None:
        """Raise `NonFiniteError` or ValueError unless these are sound counts of the nodes of `trees`."""
        if not len(self.positives) == len(self.totals) == len(trees.feature):
            raise ValueError("a tree needs one entry in each array for each of its nodes")
        require_finite("a scorer", (self.prior_strength, *self.positives, *self.totals))
        if self.prior_strength <= 0:
            raise ValueError("prior_strength must be positive")
        if any(not 0 <= hits <= total for hits, total in zip(self.positives, self.totals, strict=True)):
            raise ValueError("positives must lie between 0 and totals")

    def nodes(self, trees: Trees) -> NDArray[np.float64]:
        """Log-odds of each node, its counts smoothed towards the base rate of its own tree."""
        positives, totals = self._counts
        roots = np.repeat(trees.roots, [end - start for start, end in trees.spans])
        base_rate = (positives[roots] + 0.5) / (totals[roots] + 1)
        return self._smoothed(positives, totals, base_rate)

    def leaves(self, nodes: NDArray[np.intp], logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of each row in its leaf, by its own return probability (`logits`)."""
        positives, totals = self._counts
        return self._smoothed(positives[nodes], totals[nodes], expit(logits))

    @cached_property
    def _counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.asarray(self.positives), np.asarray(self.totals)

    def _smoothed(
        self, positives: NDArray[np.float64], totals: NDArray[np.float64], prior: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        shares = (positives + self.prior_strength * prior) / (totals + self.prior_strength)
        return np.asarray(logit(shares))

    def weight(self, trees: int) -> float:
        """Of each of so many trees."""
        return 1.0 / trees

    def beside(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the return probability adds outside the trees, from the reference on: nothing."""
        return np.zeros_like(logits)

    #: Log-odds that stand beside the trees at the reference.
    reference = 0.0


class BoostedLeaves(msgspec.Struct, frozen=True, kw_only=True, tag="boosted", dict=True):
    """Nodes that hold log-odds: each tree corrects the ones before it and all correct the return probability.

        log-odds = logit p_r + sum over trees of `values`[leaf]

    An inner node's value is a mean of its leaves; only contributions depend on it. `reference` is the
    logit p_r from which the return probability's own contribution is measured.
    """

    values: tuple[float, ...]
    reference: float

    def require(self, trees: Trees) -> None:
        """Raise `NonFiniteError` or ValueError unless there is one finite value for each node of `trees`."""
        if len(self.values) != len(trees.feature):
            raise ValueError("a tree needs one entry in each array for each of its nodes")
        require_finite("a scorer", (self.reference, *self.values))

    def nodes(self, _: Trees) -> NDArray[np.float64]:
        """Log-odds of each node."""
        return self._values

    def leaves(self, nodes: NDArray[np.intp], _: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of each row in its leaf."""
        return self._values[nodes]

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        return np.asarray(self.values)

    def weight(self, _: int) -> float:
        """Of each tree: they add up."""
        return 1.0

    def beside(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the return probability adds outside the trees, from the reference on."""
        return logits - self.reference


class EnsembleScorer(FromLogOdds, msgspec.Struct, frozen=True, kw_only=True, tag="ensemble", dict=True):
    """Several trees that are asked together: a forest (counted leaves) or boosted trees.

    `offset` is the column that holds the logit of the return probability.
    Raises `NonFiniteError` or ValueError at construction; both become msgspec.ValidationError on decoding.
    """

    columns: tuple[str, ...]
    offset: int
    trees: Trees
    leaves: CountedLeaves | BoostedLeaves

    def __post_init__(self) -> None:
        if not 0 <= self.offset < len(self.columns):
            raise ValueError("the offset of a tree must be one of its columns")
        self.trees.require_columns(len(self.columns))
        self.leaves.require(self.trees)

    @cached_property
    def _nodes(self) -> NDArray[np.float64]:
        return self.leaves.nodes(self.trees)

    @cached_property
    def _weight(self) -> float:
        return self.leaves.weight(len(self.trees.roots))

    @cached_property
    def bias(self) -> float:
        """Log-odds at the roots, from which contributions are measured."""
        roots = self._nodes[list(self.trees.roots)]
        return self.leaves.reference + self._weight * float(np.sum(roots))

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn of each row of `X` (float32[n, d], finite, in the order of `columns`)."""
        require_width(X, len(self.columns))
        out = np.empty(len(X))
        for rows in chunks(len(X)):
            part = np.ascontiguousarray(X[rows])
            logits = bounded(part[:, self.offset])
            total = np.zeros(len(part))
            for root in self.trees.roots:
                total += self.leaves.leaves(self.trees.leaves(part, root), logits)
            out[rows] = self._weight * total + self.leaves.beside(logits) + self.leaves.reference
        return out

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d].

        Path contributions in log-odds; what the return probability adds in a leaf or beside the trees is
        credited to `offset`.
        """
        require_width(X, len(self.columns))
        shares = np.zeros(X.shape)
        logits = bounded(X[:, self.offset])
        for root in self.trees.roots:
            nodes = self.trees.credit_path(X, root, self._nodes, shares)
            shares[:, self.offset] += self.leaves.leaves(nodes, logits) - self._nodes[nodes]
        shares *= self._weight
        shares[:, self.offset] += self.leaves.beside(logits)
        return shares


class TreeScorer(FromLogOdds, msgspec.Struct, frozen=True, kw_only=True, tag="tree", dict=True):
    """One decision tree, flat: an `EnsembleScorer` of a single tree with counted leaves.

    See `Trees` for the first four arrays and `CountedLeaves` for the other two: P(churn) is

        (positives + prior_strength · p_r) / (totals + prior_strength)

    Raises `NonFiniteError` or ValueError at construction; both become msgspec.ValidationError on decoding.
    """

    columns: tuple[str, ...]
    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    positives: tuple[float, ...]
    totals: tuple[float, ...]
    offset: int
    prior_strength: float

    def __post_init__(self) -> None:
        _ = self._alone  # which checks everything

    @cached_property
    def _alone(self) -> EnsembleScorer:
        return EnsembleScorer(
            columns=self.columns,
            offset=self.offset,
            trees=Trees(feature=self.feature, threshold=self.threshold, left=self.left, right=self.right),
            leaves=CountedLeaves(
                positives=self.positives, totals=self.totals, prior_strength=self.prior_strength
            ),
        )

    @property
    def bias(self) -> float:
        """Log-odds at the root, from which contributions are measured."""
        return self._alone.bias

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn of each row of `X` (float32[n, d], finite, in the order of `columns`)."""
        return self._alone.log_odds(X)

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d]."""
        return self._alone.contributions(X)
