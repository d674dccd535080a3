"""Grouping of a micro-batch by the record each event goes to: one sort, then segment reductions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Groups:
    """Entries 0..m-1 grouped by `targets`; `slots` (k,) are the distinct targets in rising order.

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
        """Largest value of each group, shape (k,)."""
        return np.maximum.reduceat(values[self.order], self.starts)

    def min(self, values: NDArray[Any]) -> NDArray[Any]:
        """Smallest value of each group, shape (k,)."""
        return np.minimum.reduceat(values[self.order], self.starts)

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum of each group along the first axis, exact for integers."""
        return np.add.reduceat(values[self.order], self.starts, axis=0)

    def bit_or(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Union of each group's bit sets, shape (k,)."""
        return np.bitwise_or.reduceat(values[self.order], self.starts)

    def counts(self, codes: NDArray[np.uint8], width: int) -> Ints:
        """How often each code (< width) occurs in each group, shape (k, width)."""
        flat = np.bincount(self.inverse * width + codes, minlength=len(self) * width)
        return flat.reshape(len(self), width)
