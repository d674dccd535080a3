"""A Hoeffding tree that learns from each label once: River's, its leaves smoothed by the return model."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from river import tree
from scipy.special import expit

from models.learners.base import Learner, StateMismatchError
from models.learners.space import Dimension, Range
from models.scorers import RAW_BOUND, TreeScorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


class _River(tree.HoeffdingTreeClassifier):  # type: ignore[misc]  # River is untyped
    """River's Hoeffding tree that shows its root and its leaves."""

    @property
    def root(self) -> Any:
        """The root node; None before the first label."""
        return self._root

    def leaf_counts(self, x: Mapping[str, float]) -> tuple[float, float]:
        """Churned and all labels (fractional after a split) of the leaf that `x` falls into."""
        node = self._root
        if isinstance(node, tree.nodes.branch.DTBranch):
            node = node.traverse(x, until_leaf=True)
        return _counts(node)


def _counts(leaf: Any) -> tuple[float, float]:
    stats = leaf.stats if leaf is not None else {}
    # A split estimates its children's counts from fitted normals; rounding may leave them below 0.
    hits, misses = max(float(stats.get(True, 0.0)), 0.0), max(float(stats.get(False, 0.0)), 0.0)
    return hits, hits + misses


class HoeffdingTree(Learner):
    """Very fast decision tree (Domingos & Hulten 2000) over some of the columns.

    Leaves hold plain label counts (River's `mc`), and a split starts its leaves with what was seen since the
    split before; raw shares of small leaves would make the log loss explode. So the return probability counts
    in each leaf as `prior_strength` labels: many, because cohorts overlap and the same customer's silence is
    counted week after week. Before the first label it is all there is.
    `splits_on` names the columns the tree may look at (default: all), since the cost of a label grows with
    them. A leaf is tried for a split every `grace_period` labels; there are at most 2^`max_depth` leaves.
    """

    name: ClassVar[str] = "hoeffding_tree"
    portable: ClassVar[bool] = False
    space: ClassVar[Mapping[str, Dimension]] = {
        "grace_period": Range(50, 2000, log=True, whole=True),
        "max_depth": Range(2, 10, whole=True),
        "prior_strength": Range(30.0, 10_000.0, log=True),
    }

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        splits_on: Sequence[str] | None = None,
        grace_period: int = 200,
        max_depth: int = 6,
        prior_strength: float = 1000.0,
    ) -> None:
        super().__init__(columns, offset)
        self._splits_on = self.columns if splits_on is None else tuple(splits_on)
        self._indices = [self.columns.index(name) for name in self._splits_on]
        self._prior_strength = prior_strength
        self._river = _River(
            grace_period=grace_period, max_depth=max_depth, leaf_prediction="mc", binary_split=True
        )

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        learn_one = self._river.learn_one
        for row, label in zip(X[:, self._indices].tolist(), y.tolist(), strict=True):
            learn_one(dict(zip(self._splits_on, row, strict=True)), label)

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """The share of churners in River's leaf for this row, smoothed by the return probability."""
        row = dict(zip(self.columns, self._row(x)[0].tolist(), strict=True))
        hits, total = self._river.leaf_counts(row)
        prior = float(expit(np.clip(row[self.columns[self.offset]], -RAW_BOUND, RAW_BOUND)))
        p = (hits + self._prior_strength * prior) / (total + self._prior_strength)
        return {False: 1.0 - p, True: p}

    def scorer(self) -> TreeScorer:
        """The tree of now, flattened in preorder."""
        nodes: list[tuple[int, float, int, int, float, float]] = []
        self._flatten(self._river.root, nodes)
        feature, threshold, left, right, positives, totals = zip(*nodes, strict=True)
        return TreeScorer(
            columns=self.columns,
            feature=feature,
            threshold=threshold,
            left=left,
            right=right,
            positives=positives,
            totals=totals,
            offset=self.offset,
            prior_strength=self._prior_strength,
        )

    def _flatten(self, node: Any, nodes: list[tuple[int, float, int, int, float, float]]) -> int:
        """Append `node` and all below it; give its index."""
        index = len(nodes)
        nodes.append((-1, 0.0, 0, 0, *_counts(node)))
        if isinstance(node, tree.nodes.branch.NumericBinaryBranch):
            left, right = (self._flatten(child, nodes) for child in node.children)
            hits, total = (nodes[left][i] + nodes[right][i] for i in (4, 5))
            column = self.columns.index(node.feature)
            nodes[index] = (column, float(node.threshold), left, right, hits, total)
        return index

    def state(self) -> bytes:
        """A pickle: to be signed, kept on the trainer's disk and never sent (see `models.signing`)."""
        return pickle.dumps((self.columns, self._splits_on, self.labels, self._river))

    def restore(self, state: bytes) -> None:
        """Go on from `state`, which must be our own: unpickling runs code. Open it with `open_signed`."""
        columns, splits_on, labels, river = pickle.loads(state)  # noqa: S301  # signed by us, see above
        if (columns, splits_on) != (self.columns, self._splits_on):
            raise StateMismatchError("the state belongs to other columns")
        self.labels, self._river = labels, river
