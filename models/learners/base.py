"""What every learner promises, in River's words; tests/unit/models/test_learners.py checks each promise.

A learner
- predicts before its first label (the return probability speaks then), and predicting changes nothing;
- learns rows in order: `learn_many` equals `learn_one` row by row, to the bit, however the rows are sliced;
- stays finite: non-finite input is refused before anything is learned;
- is bounded in memory;
- goes on after `state` → `restore` as if nothing had happened;
- exports a `Scorer` whose probabilities equal its own to 1e-9.

Rows come transformed and imputed by the feature catalogue, columns in the order given at construction.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, TypeVar

import msgspec
import numpy as np

from models.scorers import require_finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.learners.space import Dimension
    from models.scorers import MemberScorer


T = TypeVar("T")


class StateMismatchError(ValueError):
    """The state was saved by another kind of learner, or for other columns or settings."""


def decoded(state: bytes, kind: type[T], whose: str) -> T:
    """The JSON `state` of a portable learner as its struct; raises `StateMismatchError`, naming `whose`."""
    try:
        return msgspec.json.decode(state, type=kind)
    except msgspec.DecodeError as error:
        raise StateMismatchError(f"not the state of {whose}: {error}") from error


class Learner(abc.ABC):
    """An online binary classifier: what a row of features says about churn (True)."""

    #: The kind of learner, by which a state knows whose it is; `models.contenders` has the names to choose.
    name: ClassVar[str]
    #: Whether `state` is plain JSON that may travel; otherwise it is a pickle, to be signed and kept local.
    portable: ClassVar[bool]
    #: Which constructor arguments a search may set, and where it may look.
    space: ClassVar[Mapping[str, Dimension]] = {}

    def __init__(self, columns: Sequence[str], offset: str) -> None:
        """`offset` names the column that holds the logit of the return model's no-purchase probability."""
        if len(set(columns)) != len(columns):
            raise ValueError("columns must be distinct")
        if offset not in columns:
            raise ValueError(f"the offset {offset!r} is not among the columns")
        self.columns = tuple(columns)
        self.offset = self.columns.index(offset)
        #: Labels learned so far.
        self.labels = 0

    def learn_one(self, x: Mapping[str, float], y: bool) -> None:
        """Learn one label. `x` needs every column (KeyError); other names are ignored."""
        self.learn_many(self._row(x), np.array([y]))

    def learn_many(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        """Learn the labels `y` (bool[n], True = churned) of the rows `X` (float32[n, d]) in their order.

        Raises `NonFiniteError` and keeps what was known before if a row, or what it leads to, is not finite.
        """
        if X.shape != (len(y), len(self.columns)):
            raise ValueError(f"expected {len(y)} rows of {len(self.columns)} columns, got shape {X.shape}")
        if not len(y):
            return
        require_finite("the rows to learn", X)
        self._learn(np.asarray(X, dtype=np.float32), np.asarray(y, dtype=bool))
        self.labels += len(y)

    def _row(self, x: Mapping[str, float]) -> NDArray[np.float32]:
        return np.array([[x[name] for name in self.columns]], dtype=np.float32)

    @abc.abstractmethod
    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        """Learn checked rows, or raise `NonFiniteError` with nothing changed."""

    def forget(self, days: float) -> None:  # noqa: B027 - most learners forget nothing
        """Let `days` of event time pass: a learner that forgets becomes less sure of what it knows."""

    @abc.abstractmethod
    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """River's own {False: P(stays), True: P(churns)} for a row as in `learn_one`; changes nothing."""

    @abc.abstractmethod
    def scorer(self) -> MemberScorer:
        """A frozen snapshot for scoring; raises `NonFiniteError` rather than export a broken model."""

    @abc.abstractmethod
    def state(self) -> bytes:
        """Everything needed to go on learning elsewhere, as bytes."""

    @abc.abstractmethod
    def restore(self, state: bytes) -> None:
        """Take over what `state` gave; raises `StateMismatchError` where it does not fit."""
