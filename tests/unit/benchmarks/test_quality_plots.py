"""A comparison can be looked at: three pictures, of whatever logs could be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.quality import plots
from benchmarks.quality.cohorts import JudgedCohort, labels_of
from benchmarks.quality.comparison import BATCH, CHAMPION, COLD, Comparison, half, losses
from features.layout import DAY_MS
from features.returns import ReturnHistogram
from tests.building import START

if TYPE_CHECKING:
    from pathlib import Path

TIMES, MEMBERS = 6, 40
NAMES = (CHAMPION, BATCH, COLD, "weekly LR", "base rate")


def cohort(time: int, rng: np.random.Generator) -> JudgedCohort:
    forecast = rng.random(MEMBERS)
    return JudgedCohort(
        decision_time=START + time * 7 * DAY_MS,
        users=np.arange(MEMBERS, dtype=np.uint64),
        inputs=np.zeros((MEMBERS, 1), np.float32),
        churned=rng.random(MEMBERS) < forecast,
        issued={"pool": forecast},
        champion=forecast,
        leader="pool",
        recency=np.zeros(MEMBERS, np.uint16),
        rhythm=np.zeros((MEMBERS, 3), np.int32),
        customers=ReturnHistogram.merge([]),
    )


def comparison(title: str) -> Comparison:
    rng = np.random.default_rng(1)
    cohorts = [cohort(time, rng) for time in range(TIMES)]
    said = {name: rng.random(TIMES * MEMBERS) for name in NAMES}
    said[CHAMPION] = np.concatenate([each.champion for each in cohorts])
    test = np.arange(TIMES) >= TIMES // 2
    return Comparison(
        title=title,
        ours=(CHAMPION,),
        baselines=NAMES[1:],
        leaders=("pool",),
        settings={},
        test=half(cohorts, said, test, frozenset(), 20),
        start=None,
        times=tuple(each.decision_time for each in cohorts),
        losses={name: losses(cohorts, each) for name, each in said.items()},
    )


def test_the_log_loss_by_decision_time_is_that_of_each_cohort_alone():
    rng = np.random.default_rng(2)
    cohorts = [cohort(time, rng) for time in range(TIMES)]
    said = np.concatenate([each.champion for each in cohorts])
    churned = labels_of(cohorts)
    lost = -np.where(churned, np.log(said), np.log1p(-said)).reshape(TIMES, MEMBERS)

    # Probabilities are judged on a grid of a millionth.
    assert losses(cohorts, said) == pytest.approx(lost.mean(axis=1), abs=1e-4)


def test_three_pictures_are_drawn_of_all_logs_together(tmp_path: Path):
    plots.draw([comparison("one log"), comparison("another")], tmp_path)

    names = {"quality-against-batch.png", "quality-over-time.png", "quality-reliability.png"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_every_log_has_its_panel_and_every_model_its_line():
    drawn = plots._over_time([comparison("one log"), comparison("another")])

    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["one log", "another"]
    for axes in drawn.axes:
        assert {line.get_label() for line in axes.lines} == {CHAMPION, BATCH, COLD, "base rate"}
        assert all(len(line.get_xdata()) == TIMES for line in axes.lines)


def test_nothing_is_drawn_of_a_log_without_a_test_half(tmp_path: Path):
    plots.draw([Comparison("log", (), (), (), {}, None, None)], tmp_path / "plots")

    assert not (tmp_path / "plots").exists()
