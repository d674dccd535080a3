"""The weekly protocol: no label is used before it is known, and what is kept is of the same task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.quality.baselines import BaseRate, BgNbd, RecencyRule, RiverDefault
from benchmarks.quality.cohorts import JudgedCohort
from benchmarks.quality.pareto import ParetoNbd
from benchmarks.quality.protocol import Cache, predictions
from features.layout import DAY_MS
from features.returns import ReturnHistogram
from models.versions import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.quality.protocol import Baseline

WEEKS = 8
HORIZON = 16


def cohort(week: int, members: int = 6) -> JudgedCohort:
    """A cohort with labels and vectors of its own."""
    rng = np.random.default_rng(week)
    rhythm = np.stack([np.arange(members), np.full(members, 10), np.full(members, 20 + 7 * week)], axis=1)
    p = rng.random(members)
    return JudgedCohort(
        decision_time=week * 7 * DAY_MS,
        users=np.arange(members, dtype=np.uint64),
        inputs=rng.normal(size=(members, len(COLUMNS))).astype(np.float32),
        churned=np.arange(members) % 2 == week % 2,
        issued={"ours": p},
        champion=p,
        leader="ours",
        recency=np.arange(members, dtype=np.uint16),
        rhythm=rhythm.astype(np.int32),
        customers=ReturnHistogram.from_arrays(*rhythm.T),
    )


COHORTS = [cohort(week) for week in range(1, WEEKS + 1)]


class Diary:
    """A baseline that notes what it was given, and predicts how many labels it knows."""

    name = "diary"
    settings = "none"
    ranks_only = False

    def __init__(self) -> None:
        self.learned: list[int] = []
        self.known_at: dict[int, list[int]] = {}

    def learn(self, matured: Sequence[JudgedCohort]) -> None:
        self.learned += [each.decision_time for each in matured]

    def predict(self, judged: JudgedCohort) -> np.ndarray:
        self.known_at[judged.decision_time] = list(self.learned)
        return np.full(len(judged), len(self.learned) / 100)


def test_at_each_time_exactly_the_labels_that_are_known_by_then_were_learned():
    diary = Diary()

    predictions(COHORTS, HORIZON, diary)

    times = [each.decision_time for each in COHORTS]
    for t, learned in diary.known_at.items():
        assert learned == [t0 for t0 in times if t0 + HORIZON * DAY_MS <= t]
    assert diary.known_at[times[-1]]


@pytest.mark.parametrize("make", [BaseRate, BgNbd, RecencyRule, RiverDefault, lambda: ParetoNbd(HORIZON)])
def test_no_baseline_knows_labels_that_are_not_mature(make: Callable[[], Baseline]):
    last = COHORTS[-1].decision_time
    unknown = [
        each if each.decision_time + HORIZON * DAY_MS <= last else replace(each, churned=~each.churned)
        for each in COHORTS
    ]

    assert (predictions(COHORTS, HORIZON, make()) == predictions(unknown, HORIZON, make())).all()


def test_times_that_are_not_judged_are_learned_from_all_the_same():
    start = COHORTS[5].decision_time

    judged = predictions(COHORTS, HORIZON, Diary(), judged_from=start)

    assert (judged == predictions(COHORTS, HORIZON, Diary())[-len(judged) :]).all()
    assert len(judged) == sum(len(each) for each in COHORTS[5:])


def test_kept_predictions_stay_when_only_our_learners_change(tmp_path: Path):
    cache, again = Cache(tmp_path), Diary()
    changed = [replace(each, issued={"new": each.champion}, champion=each.champion / 2) for each in COHORTS]

    first = cache.predictions(COHORTS, HORIZON, Diary())
    second = cache.predictions(changed, HORIZON, again)

    assert (first == second).all()
    assert not again.known_at


@pytest.mark.parametrize("what", ["labels", "inputs", "settings", "horizon"])
def test_kept_predictions_are_not_those_of_another_task(tmp_path: Path, what: str):
    cache, again, horizon = Cache(tmp_path), Diary(), HORIZON
    cache.predictions(COHORTS, HORIZON, Diary())
    cohorts = list(COHORTS)
    if what == "labels":
        cohorts[0] = replace(cohorts[0], churned=~cohorts[0].churned)
    elif what == "inputs":
        cohorts[0] = replace(cohorts[0], inputs=cohorts[0].inputs + 1)
    elif what == "settings":
        again.settings = "others"
    else:
        horizon += 1

    cache.predictions(cohorts, horizon, again)

    assert again.known_at


def test_until_a_label_is_known_the_return_probability_speaks_for_a_learner():
    first = predictions(COHORTS[:2], HORIZON, RiverDefault())

    assert first == pytest.approx(np.concatenate([each.return_probability for each in COHORTS[:2]]), abs=1e-6)
