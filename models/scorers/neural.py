"""The scorer of a small neural network."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from models.scorers.base import Standardised, chunks, require_finite, require_width

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NeuralScorer(Standardised, frozen=True, kw_only=True, tag="neural", dict=True):
    """One hidden layer of rectified units beside the return probability's logit z[offset]:

        log-odds = z[offset] + `intercept` + Σ `output`[h] · max(0, `thresholds`[h] + Σ `hidden`[h][j] · z[j])

    `offset` is a raw column. Raises `NonFiniteError` or ValueError at construction; both become
    msgspec.ValidationError on decoding.
    """  # noqa: D400, D415  # the formula is the sentence's end

    offset: int
    hidden: tuple[tuple[float, ...], ...]
    thresholds: tuple[float, ...]
    output: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.offset < len(self.columns) or self.columns[self.offset] not in self.raw:
            raise ValueError("the offset of a network must be one of its raw columns")
        if not len(self.hidden) == len(self.thresholds) == len(self.output) >= 1:
            raise ValueError("a network needs one threshold and one output for each hidden unit")
        if any(len(unit) != len(self.columns) for unit in self.hidden):
            raise ValueError("each hidden unit needs one weight for each column")
        require_finite("a scorer", (self.intercept, *self.thresholds, *self.output))
        require_finite("a scorer", self._weights)

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.asarray(self.hidden)

    @cached_property
    def _output(self) -> NDArray[np.float64]:
        return np.asarray(self.output)

    @cached_property
    def bias(self) -> float:
        """Log-odds of the average customer, from whom contributions are measured."""
        return float(self._answer(self._reference[:, None], self._active(self._reference[:, None]))[0])

    @cached_property
    def _reference(self) -> NDArray[np.float64]:
        return np.where(self._is_raw, np.asarray(self.mean), 0.0)

    def _standardised(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """The z-scores of each row, float64[d, n]."""
        inside = np.clip(X, *self._bounds).astype(np.float64)
        origin = np.where(self._is_raw, 0.0, np.asarray(self.mean))
        return np.ascontiguousarray(((inside - origin) * self._rates).T)

    def _active(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each hidden unit receives, float64[h, n]."""
        # Not BLAS: its threads would get into the way of ours, and a row's last bit depend on its place.
        received: NDArray[np.float64] = np.einsum("hj,jn->hn", self._weights, z)
        received += np.asarray(self.thresholds)[:, None]
        return received

    def _answer(self, z: NDArray[np.float64], received: NDArray[np.float64]) -> NDArray[np.float64]:
        corrected: NDArray[np.float64] = np.einsum("h,hn->n", self._output, np.maximum(received, 0.0))
        corrected += self.intercept + z[self.offset]
        return corrected

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn of each row of `X` (float32[n, d], finite, in the order of `columns`)."""
        require_width(X, len(self.columns))
        if len(X) == 1:  # numpy adds up a single row in another order
            return self.log_odds(np.repeat(X, 2, axis=0))[:1]
        out = np.empty(len(X))
        for rows in chunks(len(X)):
            z = self._standardised(X[rows])
            out[rows] = self._answer(z, self._active(z))
        return out

    def contributions(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Additive share of each column in each row's log-odds, float64[n, d]; the average customer has 0.

        The columns are moved one by one from the average customer's value to the row's, and each is credited
        with the change; once in their order and once in reverse, and the mean of both is taken. That is the
        Shapley value estimated from a permutation and its reverse (Castro, Gómez & Tejada 2009; Mitchell,
        Cooper, Frank & Holmes 2022), and adds up exactly whatever the permutations.
        """
        require_width(X, len(self.columns))
        order = range(len(self.columns))
        shares = np.empty(X.shape)
        for rows in chunks(len(X)):
            z = self._standardised(X[rows])
            shares[rows] = (self._changes(z, order) + self._changes(z, order[::-1])).T / 2
        return shares

    def _changes(self, z: NDArray[np.float64], order: range) -> NDArray[np.float64]:
        """The change of log-odds as each column of `z` in turn takes its value, float64[d, n]."""
        at = np.repeat(self._reference[:, None], z.shape[1], axis=1)
        received = self._active(at)
        changes = np.empty_like(z)
        before = self._answer(at, received)
        for column in order:
            received += self._weights[:, column, None] * (z[column] - at[column])
            at[column] = z[column]
            after = self._answer(at, received)
            changes[column] = after - before
            before = after
        return changes
