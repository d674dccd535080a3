"""Decision trees as arrays: many rows walk down a tree at once, one level at a time."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from models.scorers.base import require_finite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


class Trees(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One or more trees, flattened one behind the other; the nodes of tree i begin at `roots`[i].

    A row goes left where x[`feature`] ≤ `threshold`; a leaf has `feature` = -1. Children come after their
    parent and before the next root, so every walk ends. Raises `NonFiniteError` or ValueError otherwise.
    """

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    roots: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if not len(self.feature) == len(self.threshold) == len(self.left) == len(self.right):
            raise ValueError("a tree needs one entry in each array for each of its nodes")
        require_finite("a scorer", self.threshold)
        if self.roots[:1] != (0,) or any(end <= start for start, end in self.spans):
            raise ValueError("roots must rise from 0, and each tree have a node")
        for start, end in self.spans:
            for node in range(start, end):
                children = (self.left[node], self.right[node])
                if self.feature[node] < -1:
                    raise ValueError(f"node {node} splits on an unknown column")
                if self.feature[node] >= 0 and not all(node < child < end for child in children):
                    raise ValueError(f"node {node} has children before it or beyond the end of its tree")

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First node of each tree, and the one behind its last."""
        return list(pairwise((*self.roots, len(self.feature))))

    def require_columns(self, width: int) -> None:
        """Raise ValueError if a node splits on a column beyond `width`."""
        if max(self.feature) >= width:
            raise ValueError(f"node {self.feature.index(max(self.feature))} splits on an unknown column")

    @cached_property
    def columns(self) -> NDArray[np.intp]:
        """The column that each node looks at; 0 for a leaf, which looks at none."""
        return np.maximum(np.asarray(self.feature, dtype=np.intp), 0)

    @cached_property
    def _thresholds(self) -> NDArray[np.float64]:
        return np.asarray(self.threshold)

    @cached_property
    def _children(self) -> NDArray[np.intp]:
        """Right and left child of each node, pair after pair; leaves lead to themselves."""
        pairs = np.stack((self.right, self.left), axis=1).astype(np.intp)
        own = np.arange(len(self.feature))[:, None]
        return np.where(np.asarray(self.feature)[:, None] < 0, own, pairs).ravel()

    @cached_property
    def _depths(self) -> dict[int, int]:
        """Levels below each root."""
        depth = [0] * len(self.feature)
        for node, feature in enumerate(self.feature):
            if feature >= 0:
                depth[self.left[node]] = depth[self.right[node]] = depth[node] + 1
        return {start: max(depth[start:end]) for start, end in self.spans}

    def walk(self, X: NDArray[np.float32], root: int) -> Iterator[NDArray[np.intp]]:
        """Where each row of `X` stands, level by level: first all at `root`, last each in its leaf."""
        # `take` from flat arrays costs half of indexing by rows and columns.
        values, begins = np.ravel(X), np.arange(len(X)) * X.shape[1]
        nodes = np.full(len(X), root, dtype=np.intp)
        yield nodes
        for _ in range(self._depths[root]):
            goes_left = values.take(begins + self.columns.take(nodes)) <= self._thresholds.take(nodes)
            nodes = self._children.take(2 * nodes + goes_left)
            yield nodes

    def leaves(self, X: NDArray[np.float32], root: int) -> NDArray[np.intp]:
        """The leaf of each row."""
        for nodes in self.walk(X, root):
            leaves = nodes
        return leaves

    def credit_path(
        self, X: NDArray[np.float32], root: int, values: NDArray[np.float64], shares: NDArray[np.float64]
    ) -> NDArray[np.intp]:
        """Add to `shares` what each split changed in `values`, to the column it looked at; gives the leaves.

        Path contributions (A. Saabas, "Interpreting random forests", 2014): they add up to the value of the
        leaf less that of the root.
        """
        rows = np.arange(len(X))
        walk = self.walk(X, root)
        above = next(walk)
        for nodes in walk:
            shares[rows, self.columns[above]] += values[nodes] - values[above]
            above = nodes
        return above
