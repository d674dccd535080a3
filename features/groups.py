"""Grouping of a micro-batch by the record each event goes to: one sort, then segment reductions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Groups:
    """Entries 0..m-1 (m > 0) grouped by `targets`; `slots` (k,) are the distinct targets in rising order."""

    def __init__(self, targets: NDArray[np.intp]) -> None:
        self.order = targets.argsort(kind="stable")
        ordered = targets[self.order]
        self._first = np.ones(len(targets), bool)
        np.not_equal(ordered[1:], ordered[:-1], out=self._first[1:])
        self.starts = self._first.nonzero()[0]
        self.slots = ordered[self.starts]

    @cached_property
    def inverse(self) -> NDArray[np.intp]:
        """The group of each entry (m,)."""
        inverse = np.empty(len(self.order), np.intp)
        inverse[self.order] = self._first.cumsum() - 1
        return inverse

    @cached_property
    def rank(self) -> NDArray[np.int64]:
        """Each entry's place within its group, in entry order (m,)."""
        rank = np.empty(len(self.order), np.int64)
        rank[self.order] = np.arange(len(self.order)) - self.starts[self._first.cumsum() - 1]
        return rank

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
