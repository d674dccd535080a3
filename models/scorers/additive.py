"""The scorer of additive models: lines that bend."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from models.scorers.base import FromLogOdds, bounds, chunks, require_finite
from models.scorers.linear import LinearScorer

if TYPE_CHECKING:
    from numpy.typing import NDArray


def hinge(z: NDArray[np.float32], knot: float) -> NDArray[np.float32]:
    """max(`z` - `knot`, 0), elementwise in float32: learner and scorer bend at the same bits."""
    above: NDArray[np.float32] = z - np.float32(knot)
    np.maximum(above, np.float32(0), out=above)
    return above


class AdditiveScorer(FromLogOdds, msgspec.Struct, frozen=True, kw_only=True, tag="additive", dict=True):
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
        for rows in chunks(len(X)):
            z = self._z(X[rows])
            for knot, bends in zip(self.knots, self._curves[0], strict=True):
                out[rows] += np.einsum("j,jn->n", bends, hinge(z, knot))
        return out

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d]; the average customer has 0."""
        shares = self.linear.contributions(X)
        z = self._z(X)
        curved = np.tile(-self._curves[1], (len(X), 1))
        for knot, bends in zip(self.knots, self._curves[0], strict=True):
            curved += (hinge(z, knot) * bends[:, None]).T
        shares[:, self._bent] += curved
        return shares
