"""What there is to learn of cohorts whose labels are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.catalogue import OFFSET
from models.versions import COLUMNS, TREATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from features.returns import ReturnModel
    from models.parts import Matured


def by_decision_time(matured: Iterable[Matured]) -> list[tuple[int, list[Matured]]]:
    """Cohorts in groups of one decision time, in its order: what is learned together."""
    by_time: dict[int, list[Matured]] = {}
    for each in matured:
        by_time.setdefault(each.cohort.decision_time, []).append(each)
    return sorted(by_time.items())


def examples(
    group: Sequence[Matured], returns: ReturnModel, horizon_days: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Inputs (n, d) and labels (n,) of all members of a decision time, in the order of their hash.

    Return probabilities are those of then by the parameters of now, `returns`: a learner that starts from
    what was believed of the first weeks would learn to correct errors that nobody makes any more.
    """
    order = np.argsort(np.concatenate([m.cohort.hashes for m in group]), kind="stable")
    inputs = np.concatenate([m.cohort.inputs for m in group])[order]
    inputs[:, COLUMNS.index(TREATED)] = np.concatenate([m.treated for m in group])[order]
    if all(len(m.cohort.rhythm) for m in group):  # an older release did not store it
        x, t_x, age = np.concatenate([m.cohort.rhythm for m in group])[order].T
        inputs[:, COLUMNS.index(OFFSET)] = returns.no_purchase_logit(x, t_x, age, horizon_days)
    return inputs, np.concatenate([m.churned for m in group])[order]
