"""The scorer of every linear model."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from models.scorers.base import Standardised, require_finite, require_width

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LinearScorer(Standardised, frozen=True, kw_only=True, tag="linear", dict=True):
    """Logistic regression over standardised columns: log-odds = `intercept` + Σ `weights`[j] · z[j].

    Raises `NonFiniteError` or ValueError at construction; both become msgspec.ValidationError on decoding.
    """

    intercept: float
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.weights) != len(self.columns):
            raise ValueError("weights need one number for each column")
        require_finite("a scorer", (self.intercept, *self.weights))

    @cached_property
    def _slopes(self) -> NDArray[np.float64]:
        """Log-odds for each unit of the column."""
        return np.asarray(self.weights) * self._rates

    @cached_property
    def bias(self) -> float:
        """Log-odds of the average customer, from whom contributions are measured."""
        at_reference = np.where(self._is_raw, self.weights, 0.0) @ np.asarray(self.mean)
        return float(self.intercept + at_reference)

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn of each row of `X` (float32[n, d], finite, in the order of `columns`)."""
        require_width(X, len(self.columns))
        if len(X) == 1:  # numpy adds up a single row in another order
            return self.log_odds(np.repeat(X, 2, axis=0))[:1]
        low, high = (bound[:, None] for bound in self._bounds)
        inside = np.clip(X.T, low, high, order="C")
        # Not BLAS: its threads would get into the way of ours, and a row's last bit depend on its place.
        out: NDArray[np.float64] = np.einsum("j,jn->n", self._slopes, inside)
        out += self.bias - float(self._slopes @ np.asarray(self.mean))
        return out

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d]; the average customer has 0."""
        require_width(X, len(self.columns))
        inside = np.clip(X, *self._bounds).astype(np.float64)
        shares: NDArray[np.float64] = (inside - np.asarray(self.mean)) * self._slopes
        return shares
