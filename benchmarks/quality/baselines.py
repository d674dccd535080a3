"""Baselines without a refit: rules, BG/NBD, and what River's users begin with."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from river import compose, linear_model, preprocessing

from models.versions import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.quality.cohorts import JudgedCohort

#: The recency rule ranks by days / this many days.
_RECENCY_SCALE: Final = 4096.0


class BgNbd:
    """The return probability as the product issued it: refit at each decision time on all customers."""

    name = "BG/NBD"
    settings = "as issued"
    ranks_only = False

    def learn(self, _: Sequence[JudgedCohort]) -> None:
        """It learns from purchases alone."""

    def predict(self, cohort: JudgedCohort) -> NDArray[np.float64]:
        """See `Baseline`."""
        return cohort.return_probability


class RecencyRule:
    """The longer since the last purchase, the likelier gone."""

    name = "recency rule"
    settings = "days since the last purchase"
    ranks_only = True

    def learn(self, _: Sequence[JudgedCohort]) -> None:
        """There is nothing to learn."""

    def predict(self, cohort: JudgedCohort) -> NDArray[np.float64]:
        """See `Baseline`."""
        return np.minimum(cohort.recency / _RECENCY_SCALE, 1.0)


class BaseRate:
    """The share of churners among all labels so far; a half before the first."""

    name = "base rate"
    settings = "all labels so far"
    ranks_only = False

    def __init__(self) -> None:
        self._labels = self._churned = 0

    def learn(self, matured: Sequence[JudgedCohort]) -> None:
        """See `Baseline`."""
        self._labels += sum(len(cohort) for cohort in matured)
        self._churned += sum(int(cohort.churned.sum()) for cohort in matured)

    def predict(self, cohort: JudgedCohort) -> NDArray[np.float64]:
        """See `Baseline`."""
        return np.full(len(cohort), self._churned / self._labels if self._labels else 0.5)


class RiverDefault:
    """River's scaled logistic regression with every setting as it comes, one label at a time.

    Before the first label BG/NBD speaks for it, as for all that learn from labels.
    """

    name = "River LR, defaults"
    settings = f"StandardScaler | LogisticRegression, river {version('river')}"
    ranks_only = False

    def __init__(self) -> None:
        self._model = compose.Pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
        self._learned = False

    def learn(self, matured: Sequence[JudgedCohort]) -> None:
        """See `Baseline`."""
        for cohort in matured:
            self.learn_rows(cohort.inputs, cohort.churned)

    def learn_rows(self, inputs: NDArray[np.float32], churned: NDArray[np.bool_]) -> None:
        """Learn labels (n,) of rows (n, d) in their order."""
        for row, label in zip(inputs.tolist(), churned.tolist(), strict=True):
            self._model.learn_one(dict(zip(COLUMNS, row, strict=True)), label)
        self._learned = True

    def predict(self, cohort: JudgedCohort) -> NDArray[np.float64]:
        """See `Baseline`."""
        return self.predict_rows(cohort.inputs) if self._learned else cohort.return_probability

    def predict_rows(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(churn) of rows (n, d), by River's own mini-batch."""
        frame = pd.DataFrame(inputs.astype(np.float64), columns=list(COLUMNS))
        return np.asarray(self._model.predict_proba_many(frame)[True], np.float64)
