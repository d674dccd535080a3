"""The weekly protocol: at a decision time t, learn what matured by t, then predict the cohort of t.

t0        t0+H
│─────────│         labels of t0 are known from t0+H on,
          t         so the first cohort that may be predicted with them is that of t ≥ t0+H
"""

from __future__ import annotations

import inspect
import sys
from collections import deque
from typing import TYPE_CHECKING, Protocol

import numpy as np
import xxhash

from features.layout import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.quality.cohorts import JudgedCohort


class Baseline(Protocol):
    """What our contenders are set against."""

    @property
    def name(self) -> str:
        """The name in tables."""

    @property
    def settings(self) -> str:
        """How it is set, with the versions of what it is made of: for people, and part of the cache's key."""

    @property
    def ranks_only(self) -> bool:
        """Whether it claims no probability."""

    def learn(self, matured: Sequence[JudgedCohort]) -> None:
        """Take cohorts whose labels became known, oldest first."""

    def predict(self, cohort: JudgedCohort) -> NDArray[np.float64]:
        """P(churn) of each member (n,), or a rank in [0, 1]; `cohort.churned` must not be looked at."""


def predictions(
    cohorts: Sequence[JudgedCohort],
    horizon_days: int,
    baseline: Baseline,
    judged_from: int = 0,
    say: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float64]:
    """What `baseline` would have said of all members of the cohorts from `judged_from` on, rounded to 1e-6.

    `cohorts` in rising order of decision time; `say` is told the number of those done.
    """
    waiting, found = deque(cohorts), [np.zeros(0)]
    for done, cohort in enumerate(cohorts):
        say(done)
        matured = []
        while waiting and waiting[0].decision_time + horizon_days * DAY_MS <= cohort.decision_time:
            matured.append(waiting.popleft())
        if matured:
            baseline.learn(matured)
        if cohort.decision_time >= judged_from:
            found.append(np.round(baseline.predict(cohort), 6))
    return np.concatenate(found)


class Cache:
    """Predictions of baselines in a folder, by what they follow from.

    The key is a hash of all cohorts without what our learners said of them, of the protocol, and of the
    baseline's settings and source code: a change of our learners leaves it alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def predictions(
        self,
        cohorts: Sequence[JudgedCohort],
        horizon_days: int,
        baseline: Baseline,
        judged_from: int = 0,
        say: Callable[[int], None] = lambda _: None,
    ) -> NDArray[np.float64]:
        """As `predictions`, from the folder if they are there."""
        protocol = f"{horizon_days} {judged_from} {baseline.settings} {_source(baseline)} {_source(Cache)}"
        key = xxhash.xxh3_128_hexdigest(protocol.encode() + _digest(cohorts))
        slug = "".join(c if c.isalnum() else "-" for c in baseline.name.lower())
        path = self._folder / f"{slug}-{key}.npy"
        if path.exists():
            return np.asarray(np.load(path), np.float64)
        found = predictions(cohorts, horizon_days, baseline, judged_from, say)
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, found)
        partial.replace(path)
        return found


def _source(thing: object) -> str:
    kind = thing if isinstance(thing, type) else type(thing)
    return inspect.getsource(sys.modules[kind.__module__])


def _digest(cohorts: Sequence[JudgedCohort]) -> bytes:
    digest = xxhash.xxh3_128()
    for each in cohorts:
        digest.update(str((each.decision_time, each.inputs.shape)).encode())
        columns = (each.users, each.inputs, each.churned, each.recency, each.rhythm)
        for column in (*columns, each.customers.cells, each.customers.sums):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.digest()
