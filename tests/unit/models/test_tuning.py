"""The tape of a replay, and what a learner with other settings would have forecast."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from scipy.special import logit

from features.catalogue import OFFSET
from features.grid import DecisionGrid
from features.layout import DAY_MS
from features.money import Currencies
from models.backtest import Backtest, Line
from models.contenders import CONTENDERS, new_learner, settings_of, space_of
from models.learners import ReturnProbability
from models.learners.space import Choice, Range
from models.progressive import ScoreCounts
from models.record import merged
from models.trainer_config import TrainerConfig
from models.tuning import Moment, Tape, grid, progressive
from models.versions import COLUMNS
from tests.building import config, day, event, quick_fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.scorers import LinearScorer

HORIZON = 6
LEARNERS = ("second_order", "logistic", "return_probability")


@cache
def replayed() -> tuple[Backtest, Tape]:
    """A log in which some stop buying, judged by three learners."""
    rng = random.Random(0)
    found = []
    for number in range(40):
        until = rng.choice([15, 45])
        times = sorted(rng.uniform(0, until) for _ in range(8))
        found += [event("purchase", f"u{number}", day(t), event_id=f"{number}-{t}") for t in times]
    found.sort(key=lambda each: each["ts"])
    lines = [Line("orders", each["user_id"], each["ts"], msgspec.json.encode(each)) for each in found]
    settings = config(horizon_days=HORIZON, active_within_days=15, grid=DecisionGrid(3), evict_after_days=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.trainer.fit", quick_fit)
        backtest = Backtest(settings, TrainerConfig(1, HORIZON, contenders=LEARNERS), Currencies())
        return backtest, Tape.of(backtest.run(lines), HORIZON)


class BaseRate(ReturnProbability):
    """Forecasts the share of churners among the labels that it was told, with one of each to begin with."""

    churned = 0

    def _learn(self, X: NDArray[np.float32], y: NDArray[np.bool_]) -> None:
        self.churned += int(y.sum())

    def scorer(self) -> LinearScorer:
        weights = (0.0,) * len(self.columns)
        log_odds = float(logit((self.churned + 1) / (self.labels + 2)))
        return msgspec.structs.replace(super().scorer(), intercept=log_odds, weights=weights)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_that_is_told_the_tape_forecasts_what_it_did_in_the_backtest(name: str):
    backtest, tape = replayed()

    counts, expected = progressive(new_learner(name), tape), backtest.trainer.record[name]

    assert counts.labels == expected.labels > 100
    assert counts.to_json() == expected.to_json()


def test_every_decision_time_is_forecast_from_the_labels_that_were_known_by_then_and_no_others():
    _, tape = replayed()
    cohorts = [each for moment in tape.moments for each in moment.matured]
    expected = []
    for each in cohorts:
        ts = each.cohort.decision_time
        known = [m.churned for m in cohorts if m.cohort.decision_time + HORIZON * DAY_MS <= ts]
        labels = np.concatenate([*known, [True, False]])
        expected.append(ScoreCounts.of(np.full(len(each.churned), labels.mean()), each.churned))

    counts = progressive(BaseRate(COLUMNS, offset=OFFSET), tape)

    assert counts.to_json() == merged(expected).to_json()
    assert len(counts.points) > 5


def test_the_first_part_holds_no_label_that_was_known_only_later():
    _, tape = replayed()
    split = tape.split(0.6)
    known = [m.cohort.decision_time for moment in tape.until(split).moments for m in moment.matured]

    assert max(known) + HORIZON * DAY_MS == split
    assert len(tape.until(split).moments) < len(tape.moments)


def test_what_is_judged_before_a_time_and_from_it_on_is_all_there_is():
    _, tape = replayed()
    everything = progressive(new_learner("second_order"), tape)
    split = tape.split(0.6)

    rest = progressive(new_learner("second_order"), tape, split)
    first = progressive(new_learner("second_order"), tape.until(split + HORIZON * DAY_MS - 1))

    assert first.merge(rest).to_json() == everything.to_json()


@pytest.mark.parametrize(("first", "what"), [(0.2, "longer than two horizons"), (0.99, "leave nothing")])
def test_a_part_too_short_to_tell_settings_apart_is_refused(first: float, what: str):
    _, tape = replayed()

    with pytest.raises(ValueError, match=what):
        tape.split(first)


def test_a_fingerprint_is_that_of_everything_told():
    _, tape = replayed()
    *most, last = tape.moments
    other = Moment(last.ts, tuple(replace(m, churned=~m.churned) for m in last.matured), last.returns)

    found = {Tape(HORIZON, moments).fingerprint() for moments in ((*most, last), (*most, other), (*most,))}

    assert len(found) == 3
    assert Tape(HORIZON, tape.moments).fingerprint() in found


class TestSpace:
    def test_a_grid_holds_every_combination_once(self):
        space = {"rate": Range(0.01, 1.0, log=True), "knots": Choice(((), (0.0,)))}

        found = grid(space, 7)

        assert [(each["rate"], each["knots"]) for each in found] == [
            (rate, knots) for rate in (0.01, 0.1, 1.0) for knots in ("()", "(0.0,)")
        ]

    def test_a_grid_is_as_fine_as_trials_allow(self):
        space = {"depth": Range(2, 4, whole=True), "share": Range(0.0, 1.0)}

        assert [len(grid(space, trials)) for trials in (4, 8, 9, 15, 100)] == [4, 4, 9, 15, 99]

    def test_a_grid_of_more_points_than_trials_is_refused(self):
        with pytest.raises(ValueError, match="the smallest grid over a, b has 4 points"):
            grid({"a": Range(0, 1), "b": Range(0, 1)}, 3)

    def test_a_number_found_has_three_digits_and_an_option_its_type(self):
        assert Range(0.001, 0.1).value(0.0123456) == 0.0123
        assert Range(1, 9, whole=True).value(3.0) == 3
        assert Choice(((-1.0, 1.0), None)).value("None") is None

    @pytest.mark.parametrize("name", CONTENDERS)
    def test_a_learner_can_be_made_at_the_ends_of_what_is_searched(self, name: str):
        if name == "lightgbm":
            pytest.importorskip(name)
        space = space_of(name)

        assert space.keys() <= settings_of(name).keys()
        for key, dimension in space.items():
            for point in dimension.points(2):
                assert new_learner(name, **{key: dimension.value(point)}).labels == 0
