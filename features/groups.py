"""Grouping of a micro-batch by the record each event goes to: one sort, then segment reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Groups:
    """Entries 0..m-1 (m > 0) grouped by `targets`; `slots` (k,) are the distinct targets in rising order.

    `inverse` (m,) maps an entry to its group and `rank` (m,) counts it within the group, in entry order.
    """

    def __init__(self, targets: NDArray[np.intp]) -> None:
        self.order = np.argsort(targets, kind="stable")
        ordered = targets[self.order]
        first = np.ones(len(targets), bool)
        first[1:] = ordered[1:] != ordered[:-1]
        self.starts = np.flatnonzero(first)
        self.slots = ordered[self.starts]
        group = np.cumsum(first) - 1
        self.inverse = np.empty(len(targets), np.intp)
        self.inverse[self.order] = group
        self.rank = np.empty(len(targets), np.int64)
        self.rank[self.order] = np.arange(len(targets)) - self.starts[group]

    def __len__(self) -> int:
        return len(self.slots)

    def max(self, values: NDArray[Any]) -> NDArray[Any]:
        """Largest value of each group along the first axis, shape (k, ...)."""
        return np.asarray(np.maximum.reduceat(values[self.order], self.starts))

    def min(self, values: NDArray[Any]) -> NDArray[Any]:
        """Smallest value of each group along the first axis, shape (k, ...)."""
        return np.asarray(np.minimum.reduceat(values[self.order], self.starts))

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum of each group along the first axis, exact for integers; dtype as `values`."""
        return np.asarray(np.add.reduceat(values[self.order], self.starts, axis=0, dtype=values.dtype))

    def bit_or(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Union of each group's bit sets along the first axis, shape (k, ...)."""
        return np.asarray(np.bitwise_or.reduceat(values[self.order], self.starts))
