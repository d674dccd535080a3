"""What a learner exports: frozen, JSON-able scorers that judge a million customers in one pass.

A learner changes with every label; a scorer never does. Workers hold scorers only, so the hot path
needs neither River nor a pickle. Every scorer gives probabilities *and* the exact additive shares of
its log-odds, from which an alert's reasons are made.

    probabilities(X) == sigmoid(bias + contributions(X).sum(axis=1))
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
from scipy.special import expit, logit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

#: Unscaled columns (the return probability's logit, the treatment) are cut off here; sigmoid(-20) = 2e-9.
RAW_BOUND = 20.0

#: Rows per pass: a slice of this many rows and its scratch stay in the processor's cache.
_CHUNK = 4096

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class NonFiniteError(ValueError):
    """The model holds or meets a number that is not finite; the previous version stays in force.

    One NaN weight makes every probability NaN, no NaN exceeds a threshold, and so it silences every
    alert without an error anywhere. Hence such a model is never built, learned or decoded.
    """


def require_finite(what: str, values: Sequence[float] | NDArray[np.floating]) -> None:
    """Raise `NonFiniteError` naming `what` unless every one of `values` is finite."""
    if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
        raise NonFiniteError(f"{what} must be finite")


def bounds(
    mean: NDArray[np.float64], scale: NDArray[np.float64], clip: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest value that counts, `mean` ± `clip` standard deviations, in the inputs' own float32.

    Cutting the input instead of the z-score lets a scorer fold the standardisation into its weights;
    learner and scorer share this rule, so they agree to the last bits.
    """
    low = np.clip(mean - clip * scale, -_FLOAT32_MAX, _FLOAT32_MAX).astype(np.float32)
    high = np.clip(mean + clip * scale, -_FLOAT32_MAX, _FLOAT32_MAX).astype(np.float32)
    return low, high


class LinearScorer(msgspec.Struct, frozen=True, kw_only=True, tag="linear", dict=True):
    """Logistic regression over standardised columns.

    log-odds = `intercept` + Σ `weights`[j] · z[j], where z = (x - `mean`) / `scale`, cut off at ± `clip`,
    and 0 where `scale` is 0 (a column that never varied says nothing). Columns named in `raw` enter
    unscaled, cut off at ± `RAW_BOUND`; their `mean` is only the reference of their contribution.
    Raises `NonFiniteError` or ValueError at construction; both become msgspec.ValidationError on decoding.
    """

    columns: tuple[str, ...]
    intercept: float
    weights: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    raw: frozenset[str] = frozenset()
    clip: float = 5.0

    def __post_init__(self) -> None:
        if not len(self.columns) == len(self.weights) == len(self.mean) == len(self.scale):
            raise ValueError("weights, mean and scale need one number for each column")
        if min(self.scale, default=0.0) < 0 or self.clip <= 0:
            raise ValueError("scale must not be negative and clip must be positive")
        require_finite("a scorer", (self.intercept, self.clip, *self.weights, *self.mean, *self.scale))

    @cached_property
    def _is_raw(self) -> NDArray[np.bool_]:
        return np.array([name in self.raw for name in self.columns], dtype=bool)

    @cached_property
    def _slopes(self) -> NDArray[np.float64]:
        """Log-odds for each unit of the raw column."""
        scale = np.where(self._is_raw, 1.0, np.asarray(self.scale))
        return np.divide(self.weights, scale, out=np.zeros(len(scale)), where=scale > 0)

    @cached_property
    def _bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        low, high = bounds(np.asarray(self.mean), np.asarray(self.scale), self.clip)
        low[self._is_raw], high[self._is_raw] = -RAW_BOUND, RAW_BOUND
        return low, high

    @cached_property
    def bias(self) -> float:
        """Log-odds of the average customer, from whom contributions are measured."""
        at_reference = np.where(self._is_raw, self.weights, 0.0) @ np.asarray(self.mean)
        return float(self.intercept + at_reference)

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn of each row of `X` (float32[n, d], finite, in the order of `columns`)."""
        _require_width(X, len(self.columns))
        if len(X) == 1:  # numpy adds up a single row in another order
            return self.log_odds(np.repeat(X, 2, axis=0))[:1]
        low, high = (bound[:, None] for bound in self._bounds)
        inside = np.clip(X.T, low, high, order="C")
        # Not BLAS: its threads would get into the way of ours, and a row's last bit depend on its place.
        out: NDArray[np.float64] = np.einsum("j,jn->n", self._slopes, inside)
        out += self.bias - float(self._slopes @ np.asarray(self.mean))
        return out

    def probabilities(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(churn) of each row of `X`, not rounded."""
        return _sigmoid(self.log_odds(X))

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d]; the average customer has 0."""
        _require_width(X, len(self.columns))
        inside = np.clip(X, *self._bounds).astype(np.float64)
        shares: NDArray[np.float64] = (inside - np.asarray(self.mean)) * self._slopes
        return shares


class TreeScorer(msgspec.Struct, frozen=True, kw_only=True, tag="tree", dict=True):
    """A decision tree flattened into arrays; node 0 is the root and children come after their parent.

    A row goes left where x[`feature`] ≤ `threshold`; a leaf has `feature` = -1. `positives` and `totals` are
    (fractional) label counts; an inner node's are the sums of its leaves. The return probability p_r, read
    as sigmoid of column `offset`, counts in every leaf as `prior_strength` labels of evidence:

        P(churn) = (positives + prior_strength · p_r) / (totals + prior_strength)

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
        arrays = (self.threshold, self.left, self.right, self.positives, self.totals)
        if not self.feature or any(len(array) != len(self.feature) for array in arrays):
            raise ValueError("a tree needs one entry in each array for each of its nodes")
        require_finite("a scorer", (self.prior_strength, *self.threshold, *self.positives, *self.totals))
        if self.prior_strength <= 0 or not 0 <= self.offset < len(self.columns):
            raise ValueError("prior_strength must be positive and offset must name a column")
        if any(not 0 <= hits <= total for hits, total in zip(self.positives, self.totals, strict=True)):
            raise ValueError("positives must lie between 0 and totals")
        for node, (feature, *children) in enumerate(zip(self.feature, self.left, self.right, strict=True)):
            if not -1 <= feature < len(self.columns):
                raise ValueError(f"node {node} splits on an unknown column")
            # Children after their parent: a walk always ends.
            if feature >= 0 and not all(node < child < len(self.feature) for child in children):
                raise ValueError(f"node {node} has children before it or beyond the end")

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
        """Column, threshold and [right, left] children of each node; leaves lead to themselves."""
        feature = np.asarray(self.feature, dtype=np.intp)
        own = np.arange(len(feature))
        children = np.stack((np.asarray(self.right, dtype=np.intp), np.asarray(self.left, dtype=np.intp)))
        return np.maximum(feature, 0), np.asarray(self.threshold), np.where(feature < 0, own, children)

    @cached_property
    def _depth(self) -> int:
        depth = [0] * len(self.feature)
        for node, feature in enumerate(self.feature):
            if feature >= 0:
                depth[self.left[node]] = depth[self.right[node]] = depth[node] + 1
        return max(depth)

    @cached_property
    def _values(self) -> NDArray[np.float64]:
        """Log-odds of each node, its counts smoothed towards the root's own rate."""
        base_rate = (self.positives[0] + 0.5) / (self.totals[0] + 1)
        return np.asarray(logit(self._smoothed(np.arange(len(self.feature)), base_rate)))

    @property
    def bias(self) -> float:
        """Log-odds at the root, from which contributions are measured."""
        return float(self._values[0])

    def _smoothed(self, nodes: NDArray[np.intp], prior: float | NDArray[np.float64]) -> NDArray[np.float64]:
        hits, total = np.asarray(self.positives)[nodes], np.asarray(self.totals)[nodes]
        smoothed: NDArray[np.float64] = (hits + self.prior_strength * prior) / (total + self.prior_strength)
        return smoothed

    def _return_probability(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        bounded = np.clip(X[:, self.offset].astype(np.float64), -RAW_BOUND, RAW_BOUND)
        return np.asarray(expit(bounded))

    def _step(self, X: NDArray[np.float32], nodes: NDArray[np.intp]) -> NDArray[np.intp]:
        feature, threshold, children = self._arrays
        goes_left = X[np.arange(len(X)), feature[nodes]] <= threshold[nodes]
        return children[goes_left.view(np.int8), nodes]

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn of each row of `X` (float32[n, d], finite, in the order of `columns`)."""
        return np.asarray(logit(self.probabilities(X)))

    def probabilities(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(churn) of each row of `X`, not rounded."""
        _require_width(X, len(self.columns))
        out = np.empty(len(X))
        for rows in _chunks(len(X)):
            part = X[rows]
            nodes = np.zeros(len(part), dtype=np.intp)
            for _ in range(self._depth):
                nodes = self._step(part, nodes)
            out[rows] = self._smoothed(nodes, self._return_probability(part))
        return out

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d].

        Path contributions (A. Saabas, "Interpreting random forests", 2014) in log-odds: each split credits
        its column with the change from node to child; what p_r adds in the leaf is credited to `offset`.
        """
        _require_width(X, len(self.columns))
        shares = np.zeros((len(X), len(self.columns)))
        rows = np.arange(len(X))
        nodes = np.zeros(len(X), dtype=np.intp)
        for _ in range(self._depth):
            below = self._step(X, nodes)
            shares[rows, self._arrays[0][nodes]] += self._values[below] - self._values[nodes]
            nodes = below
        leaf = logit(self._smoothed(nodes, self._return_probability(X)))
        shares[:, self.offset] += leaf - self._values[nodes]
        return shares


def hinge(z: NDArray[np.float32], knot: float) -> NDArray[np.float32]:
    """max(`z` - `knot`, 0), elementwise in float32: learner and scorer bend at the same bits."""
    above: NDArray[np.float32] = z - np.float32(knot)
    np.maximum(above, np.float32(0), out=above)
    return above


class AdditiveScorer(msgspec.Struct, frozen=True, kw_only=True, tag="additive", dict=True):
    """A linear scorer whose lines bend: log-odds are a sum of piecewise linear functions of the columns.

    log-odds = those of `linear` + Σ_k Σ_j `bends`[k][j] · max(z[j] - `knots`[k], 0), where z is the column's
    distance from its mean as in `LinearScorer`, also for a raw one.
    Raises `NonFiniteError` or ValueError at construction; both become msgspec.ValidationError on decoding.
    """

    linear: LinearScorer
    knots: tuple[float, ...]
    bends: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        width = len(self.columns)
        if (
            not self.knots
            or len(self.bends) != len(self.knots)
            or any(len(row) != width for row in self.bends)
        ):
            raise ValueError("every knot needs one number for each column")
        require_finite("a scorer", (*self.knots, *(bend for row in self.bends for bend in row)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return self.linear.columns

    @cached_property
    def _bent(self) -> NDArray[np.intp]:
        """The columns that bend anywhere."""
        return np.flatnonzero(np.any(self.bends, axis=0))

    @cached_property
    def _curves(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """By how much the columns bend at each knot (knots, columns), and what that adds at the mean."""
        bends = np.array(self.bends)[:, self._bent]
        return bends, np.maximum(-np.asarray(self.knots), 0.0) @ bends

    @cached_property
    def bias(self) -> float:
        """Log-odds of the average customer, from whom contributions are measured."""
        return self.linear.bias + float(self._curves[1].sum())

    @cached_property
    def _centres(self) -> tuple[NDArray[Any], ...]:
        """Mean, lowest and highest value that count, unit, (columns, 1) of those that bend."""
        mean, scale = (np.asarray(each)[self._bent, None] for each in (self.linear.mean, self.linear.scale))
        return mean, *bounds(mean, scale, self.linear.clip), scale

    def _z(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances from the mean of the columns that bend, (columns, n); 0 where nothing varies."""
        mean, low, high, scale = self._centres
        z: NDArray[np.float64] = np.clip(X.T[self._bent], low, high) - mean
        z[scale[:, 0] == 0] = 0.0
        if ((scale != 0) & (scale != 1)).any():  # most are not scaled, and dividing is dear
            z /= np.where(scale > 0, scale, 1.0)
        return z.astype(np.float32)

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn of each row of `X` (float32[n, d], finite, in the order of `columns`)."""
        if len(X) == 1:  # as `LinearScorer`
            return self.log_odds(np.repeat(X, 2, axis=0))[:1]
        out = self.linear.log_odds(X)
        for rows in _chunks(len(X)):
            z = self._z(X[rows])
            for knot, bends in zip(self.knots, self._curves[0], strict=True):
                out[rows] += np.einsum("j,jn->n", bends, hinge(z, knot))
        return out

    def probabilities(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(churn) of each row of `X`, not rounded."""
        return _sigmoid(self.log_odds(X))

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d]; the average customer has 0."""
        shares = self.linear.contributions(X)
        z = self._z(X)
        curved = np.tile(-self._curves[1], (len(X), 1))
        for knot, bends in zip(self.knots, self._curves[0], strict=True):
            curved += (hinge(z, knot) * bends[:, None]).T
        shares[:, self._bent] += curved
        return shares


#: What a learner exports.
MemberScorer: TypeAlias = LinearScorer | TreeScorer | AdditiveScorer


class PoolScorer(msgspec.Struct, frozen=True, kw_only=True, tag="pool", dict=True):
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

    def probabilities(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(churn) of each row of `X`, not rounded."""
        return _sigmoid(self.log_odds(X))

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d]."""
        shares = np.zeros(X.shape)
        for weight, member in zip(self.weights, self.members, strict=True):
            shares += (self.slope * weight) * member.contributions(X)
        return shares


#: Every kind of scorer a version may hold; msgspec decodes by the tag.
Scorer: TypeAlias = MemberScorer | PoolScorer


def _sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(expit(log_odds, out=log_odds))


def _require_width(X: NDArray[np.float32], width: int) -> None:
    if X.ndim != 2 or X.shape[1] != width:
        raise ValueError(f"expected rows of {width} columns, got an array of shape {X.shape}")


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))
