"""LightGBM, refit now and then on the newest labels: the batch team's model as one contender among others."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import numpy as np
from scipy.special import expit

from models.learners.base import Learner, StateMismatchError
from models.learners.space import Dimension, Range
from models.scorers import RAW_BOUND, BoostedLeaves, EnsembleScorer, Trees

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_SETTINGS: Final = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.05,
    "min_data_in_leaf": 50,
    "lambda_l2": 10.0,
    # The same rows in the same order give the same trees, to the bit.
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 0,
    "verbosity": -1,
}

#: What LightGBM's dump would say of a tree that corrects nothing.
_NOTHING: Final[dict[str, Any]] = {"tree_structure": {"leaf_value": 0.0}}


class MissingExtraError(ValueError):
    """A learner was chosen whose library is an extra that is not installed."""


def require_lightgbm() -> None:
    """Raise `MissingExtraError` where LightGBM is not installed."""
    if find_spec("lightgbm") is None:
        install = "pip install '.[lightgbm]' in a clone of churnwatch"
        raise MissingExtraError(f"the learner 'lightgbm' needs LightGBM: {install}")


class _State(msgspec.Struct, kw_only=True, tag="lightgbm"):
    columns: tuple[str, ...]
    memory: int
    labels: int
    rows: bytes
    answers: bytes
    reference: float
    #: LightGBM's own text of its model; none before the first fit.
    model: str | None


class LightGbm(Learner):
    """Gradient-boosted trees (Ke et al. 2017) fit anew on the last `memory` labels.

    A fit follows every `refit_every` labels, so it depends only on how many labels came, not on how they were
    sliced; labels since the last fit are stored and not yet known to the model. Each fit begins at the return
    probability (LightGBM's `init_score`), which the trees correct; before the first it is all there is.
    `rounds` is the number of trees. Raises `MissingExtraError` where LightGBM is not installed.
    """

    name: ClassVar[str] = "lightgbm"
    space: ClassVar[Mapping[str, Dimension]] = {
        "memory": Range(10_000, 200_000, log=True, whole=True),
        "rounds": Range(20, 300, log=True, whole=True),
    }
    portable: ClassVar[bool] = False

    def __init__(
        self,
        columns: Sequence[str],
        *,
        offset: str = "no_purchase_logit",
        memory: int = 50_000,
        refit_every: int = 5_000,
        rounds: int = 100,
    ) -> None:
        super().__init__(columns, offset)
        require_lightgbm()
        self._lightgbm: Any = importlib.import_module("lightgbm")
        self._memory, self._refit_every, self._rounds = memory, refit_every, rounds
        self._rows = np.empty((0, len(self.columns)), dtype=np.float32)
        self._answers = np.empty(0, dtype=bool)
        self._reference = 0.0
        self._booster: Any = None
        self._exported = self._export()

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        start = 0
        while start < len(y):
            until_fit = self._refit_every - (self.labels + start) % self._refit_every
            rows = slice(start, start + until_fit)
            self._rows = np.concatenate((self._rows, X[rows]))[-self._memory :]
            self._answers = np.concatenate((self._answers, y[rows]))[-self._memory :]
            if len(y[rows]) == until_fit:
                self._fit()
            start += until_fit

    def _fit(self) -> None:
        offsets = self._offsets(self._rows)
        self._reference = float(offsets.mean())
        data = self._lightgbm.Dataset(self._rows, label=self._answers, init_score=offsets)
        self._booster = self._lightgbm.train(_SETTINGS, data, num_boost_round=self._rounds)
        self._exported = self._export()

    def _offsets(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.clip(X[:, self.offset].astype(np.float64), -RAW_BOUND, RAW_BOUND)

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """LightGBM's own correction of the return probability for this row."""
        row = self._row(x)
        log_odds = self._offsets(row)
        if self._booster is not None:
            log_odds += self._booster.predict(row, raw_score=True, num_threads=1)
        p = float(expit(log_odds[0]))
        return {False: 1.0 - p, True: p}

    def scorer(self) -> EnsembleScorer:
        """The trees of the last fit."""
        return self._exported

    def _export(self) -> EnsembleScorer:
        nodes: list[tuple[int, float, int, int, float]] = []
        trees = [_NOTHING] if self._booster is None else self._booster.dump_model()["tree_info"]
        roots = tuple(_flatten(tree["tree_structure"], nodes)[0] for tree in trees)
        feature, threshold, left, right, values = zip(*nodes, strict=True)
        return EnsembleScorer(
            columns=self.columns,
            offset=self.offset,
            trees=Trees(feature=feature, threshold=threshold, left=left, right=right, roots=roots),
            leaves=BoostedLeaves(values=values, reference=self._reference),
        )

    def state(self) -> bytes:
        """The stored labels and LightGBM's text of its model; large, so kept on the trainer's disk."""
        return msgspec.msgpack.encode(
            _State(
                columns=self.columns,
                memory=self._memory,
                labels=self.labels,
                rows=self._rows.tobytes(),
                answers=self._answers.tobytes(),
                reference=self._reference,
                model=None if self._booster is None else self._booster.model_to_string(),
            )
        )

    def restore(self, state: bytes) -> None:
        """Go on from `state`; when the next fit is due and how it is made stays as constructed."""
        try:
            kept = msgspec.msgpack.decode(state, type=_State)
        except msgspec.DecodeError as error:
            raise StateMismatchError(f"not the state of a LightGBM learner: {error}") from error
        if (kept.columns, kept.memory) != (self.columns, self._memory):
            raise StateMismatchError("the state belongs to other columns or to another memory")
        self.labels, self._reference = kept.labels, kept.reference
        self._rows = np.frombuffer(kept.rows, np.float32).reshape(-1, len(self.columns))
        self._answers = np.frombuffer(kept.answers, np.bool_)
        self._booster = None if kept.model is None else self._lightgbm.Booster(model_str=kept.model)
        self._exported = self._export()


def _flatten(node: Mapping[str, Any], nodes: list[tuple[int, float, int, int, float]]) -> tuple[int, float]:
    """Append `node` of LightGBM's dump and all below it in preorder; give its index and its labels.

    A branch's value is the mean of its leaves by their labels: LightGBM's own is rounded in its text, so
    that a restored model would not be the same.
    """
    index = len(nodes)
    if "leaf_value" in node:
        nodes.append((-1, 0.0, 0, 0, float(node["leaf_value"])))
        return index, float(node.get("leaf_count", 1))
    assert node["decision_type"] == "<=", "every column is a number"
    nodes.append((-1, 0.0, 0, 0, 0.0))
    (left, n_left), (right, n_right) = (_flatten(node[side], nodes) for side in ("left_child", "right_child"))
    labels = n_left + n_right
    value = (n_left * nodes[left][4] + n_right * nodes[right][4]) / labels
    nodes[index] = (int(node["split_feature"]), float(node["threshold"]), left, right, value)
    return index, labels
