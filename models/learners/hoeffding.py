"""Hoeffding trees that learn from each label once: River's, their leaves smoothed by the return model."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import expit, logit

from models.learners.base import Learner, StateMismatchError
from models.learners.space import Dimension, Range
from models.scorers import RAW_BOUND, CountedLeaves, Trees, TreeScorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def river_tree() -> Any:
    """River's package of trees; loads River."""
    from river import tree  # noqa: PLC0415 - see `models.learners`

    return tree


def root_of(river: Any) -> Any:
    """The root node of one of River's trees; None before its first label."""
    return river._root  # noqa: SLF001  # River shows it nowhere else


class HoeffdingLearner(Learner):
    """One or more of River's Hoeffding trees over some of the columns; their log-odds are averaged.

    Leaves hold plain label counts (River's `mc`), and a split starts its leaves with what was seen since the
    split before; raw shares of small leaves would make the log loss explode. So the return probability counts
    in each leaf as `prior_strength` labels: many, because cohorts overlap and the same customer's silence is
    counted week after week. Before the first label it is all there is. `river` weighs each label by
    `label_weight` in the mean, and the prior is weighed alike.
    `splits_on` names the columns the trees may look at (default: all), since the cost of a label grows with
    them.
    """

    portable = False
    space: ClassVar[Mapping[str, Dimension]] = {
        "grace_period": Range(50, 2000, log=True, whole=True),
        "max_depth": Range(2, 10, whole=True),
        "prior_strength": Range(30.0, 10_000.0, log=True),
    }

    def __init__(
        self,
        columns: Sequence[str],
        river: Any,
        *,
        offset: str,
        splits_on: Sequence[str] | None,
        prior_strength: float,
        label_weight: float = 1.0,
    ) -> None:
        super().__init__(columns, offset)
        self._splits_on = self.columns if splits_on is None else tuple(splits_on)
        self._indices = [self.columns.index(name) for name in self._splits_on]
        self._prior_strength = prior_strength * label_weight
        self._river = river

    def _roots(self) -> list[Any]:
        """The root of each tree, None for one that has learned nothing."""
        return [root_of(self._river)]

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        learn_one = self._river.learn_one
        for row, label in zip(X[:, self._indices].tolist(), y.tolist(), strict=True):
            learn_one(dict(zip(self._splits_on, row, strict=True)), label)

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """The share of churners in River's leaf for this row, smoothed by the return probability."""
        row = dict(zip(self.columns, self._row(x)[0].tolist(), strict=True))
        prior = expit(np.clip(row[self.columns[self.offset]], -RAW_BOUND, RAW_BOUND))
        counts = np.array([_counts(_leaf(root, row)) for root in self._roots()])
        shares = (counts[:, 0] + self._prior_strength * prior) / (counts[:, 1] + self._prior_strength)
        p = float(expit(np.mean(logit(shares))))
        return {False: 1.0 - p, True: p}

    def _flattened(self) -> tuple[Trees, CountedLeaves]:
        """The trees of now, each in preorder."""
        nodes: list[tuple[int, float, int, int, float, float]] = []
        roots = tuple(self._flatten(root, nodes) for root in self._roots())
        feature, threshold, left, right, positives, totals = zip(*nodes, strict=True)
        trees = Trees(feature=feature, threshold=threshold, left=left, right=right, roots=roots)
        return trees, CountedLeaves(positives=positives, totals=totals, prior_strength=self._prior_strength)

    def _flatten(self, node: Any, nodes: list[tuple[int, float, int, int, float, float]]) -> int:
        """Append `node` and all below it; give its index."""
        index = len(nodes)
        nodes.append((-1, 0.0, 0, 0, *_counts(node)))
        if isinstance(node, river_tree().nodes.branch.NumericBinaryBranch):
            left, right = (self._flatten(child, nodes) for child in node.children)
            hits, total = (nodes[left][i] + nodes[right][i] for i in (4, 5))
            column = self.columns.index(node.feature)
            nodes[index] = (column, float(node.threshold), left, right, hits, total)
        return index

    def state(self) -> bytes:
        """A pickle: to be signed, kept on the trainer's disk and never sent (see `models.signing`)."""
        return pickle.dumps((self.name, self.columns, self._splits_on, self.labels, self._river))

    def restore(self, state: bytes) -> None:
        """Go on from `state`, which must be our own: unpickling runs code. Open it with `open_signed`."""
        *whose, labels, river = pickle.loads(state)  # noqa: S301  # signed by us, see above
        if whose != [self.name, self.columns, self._splits_on]:
            raise StateMismatchError("the state belongs to another learner or to other columns")
        self.labels, self._river = labels, river


def _leaf(node: Any, x: Mapping[str, float]) -> Any:
    """Where `x` ends; alternate trees, which River grows beside a branch, are not asked."""
    branch = river_tree().nodes.branch.DTBranch
    while isinstance(node, branch):
        node = node.next(x)
    return node


def _counts(leaf: Any) -> tuple[float, float]:
    """Churned and all labels (fractional after a split) of a leaf, or of a tree that learned nothing."""
    stats = leaf.stats if leaf is not None else {}
    # A split estimates its children's counts from fitted normals; rounding may leave them below 0.
    hits, misses = max(float(stats.get(True, 0.0)), 0.0), max(float(stats.get(False, 0.0)), 0.0)
    return hits, hits + misses


class HoeffdingTree(HoeffdingLearner):
    """Very fast decision tree (Domingos & Hulten 2000); see `HoeffdingLearner`.

    A leaf is tried for a split every `grace_period` labels; there are at most 2^`max_depth` leaves.
    """

    name: ClassVar[str] = "hoeffding_tree"
    space: ClassVar[Mapping[str, Dimension]] = {
        "grace_period": Range(50, 2000, log=True, whole=True),
        "max_depth": Range(2, 10, whole=True),
        "prior_strength": Range(30.0, 10_000.0, log=True),
    }
    #: River's name of its kind of tree.
    _kind: ClassVar[str] = "HoeffdingTreeClassifier"
    _settings: ClassVar[dict[str, Any]] = {}

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
        river = getattr(river_tree(), self._kind)(
            grace_period=grace_period,
            max_depth=max_depth,
            leaf_prediction="mc",
            binary_split=True,
            **self._settings,
        )
        super().__init__(columns, river, offset=offset, splits_on=splits_on, prior_strength=prior_strength)

    def scorer(self) -> TreeScorer:
        """The tree of now."""
        trees, leaves = self._flattened()
        return TreeScorer(
            columns=self.columns,
            feature=trees.feature,
            threshold=trees.threshold,
            left=trees.left,
            right=trees.right,
            positives=leaves.positives,
            totals=leaves.totals,
            offset=self.offset,
            prior_strength=leaves.prior_strength,
        )


class HoeffdingAdaptiveTree(HoeffdingTree):
    """Hoeffding tree that regrows a branch whose errors rise (Bifet & Gavaldà 2009).

    Each branch and leaf watches its errors with ADWIN. Where they rise an alternate branch grows beside the
    old one, and takes its place once it errs less; until then the old one speaks. Labels are not resampled,
    so that a leaf's counts stay counts of labels.
    """

    name: ClassVar[str] = "hoeffding_adaptive_tree"
    _kind: ClassVar[str] = "HoeffdingAdaptiveTreeClassifier"
    _settings: ClassVar[dict[str, Any]] = {"bootstrap_sampling": False, "seed": 0}
