"""The return probability as a contender: BG/NBD alone, which every other learner has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np
from scipy.special import expit

from models.learners.base import Learner, StateMismatchError, decoded
from models.scorers import RAW_BOUND, LinearScorer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


class _State(msgspec.Struct, tag="return_probability"):
    columns: tuple[str, ...]
    labels: int


class ReturnProbability(Learner):
    """P(churn) = sigmoid of the offset. It learns nothing from labels: BG/NBD is fitted to buying rhythms."""

    name: ClassVar[str] = "return_probability"
    portable: ClassVar[bool] = True

    def __init__(self, columns: Sequence[str], *, offset: str = "no_purchase_logit") -> None:
        super().__init__(columns, offset)

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        pass

    def predict_proba_one(self, x: Mapping[str, float]) -> dict[bool, float]:
        """The return probability itself."""
        p = float(expit(np.clip(self._row(x)[0, self.offset], -RAW_BOUND, RAW_BOUND)))
        return {False: 1.0 - p, True: p}

    def scorer(self) -> LinearScorer:
        """The offset's log-odds as they are."""
        zeros = (0.0,) * len(self.columns)
        return LinearScorer(
            columns=self.columns,
            intercept=0.0,
            weights=tuple(float(j == self.offset) for j in range(len(self.columns))),
            mean=zeros,
            scale=zeros,
            raw=frozenset({self.columns[self.offset]}),
        )

    def state(self) -> bytes:
        """How many labels went by."""
        return msgspec.json.encode(_State(self.columns, self.labels))

    def restore(self, state: bytes) -> None:
        """Go on from `state`."""
        kept = decoded(state, _State, "a return probability")
        if kept.columns != self.columns:
            raise StateMismatchError("the state belongs to other columns")
        self.labels = kept.labels
