"""The trainer's watches: when they begin, what they tell, and that they go on from what they kept."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from models import watching
from models.drift import LOSS, InputHistogram
from models.progressive import ScoreCounts
from models.versions import COLUMNS
from models.watching import FEWEST_LABELS, Watches
from tests.building import day


@cache
def inputs(n: int, shift: float = 0.0) -> InputHistogram:
    """A normal in every column, the same numbers each time; the first column is shifted."""
    found = np.random.default_rng(1).normal(size=(n, len(COLUMNS))).astype(np.float32)
    found[:, 0] += shift
    return InputHistogram.of(found)


def forecast(right: float, n: int = 400) -> ScoreCounts:
    """Half of the customers leave; forecasts of 0.8 and 0.2 that are on the right side so often."""
    said = np.tile([0.8, 0.2], n // 2)
    wrong = np.arange(n) % 100 >= 100 * right
    return ScoreCounts.of(said, (said > 0.5) ^ wrong)


def watches(**changes: int) -> Watches:
    return Watches(**{"horizon_days": 2, "every_days": 1, "min_labels": 100} | changes)


def through(target: Watches, shifts: list[float], labels: int = 1000, start: int = 1) -> Watches:
    for number, shift in enumerate(shifts, start):
        target.turn()
        target.see_inputs(day(number), [inputs(300, shift), inputs(200, shift)], labels)
    return target


class TestInputs:
    def test_a_shift_is_told_for_the_decision_time_whose_customers_it_is_about(self):
        target = through(watches(), [0, 0, 0, 2])

        assert [(d.what, d.measure, d.level) for d in target.drifts] == [(COLUMNS[0], "psi", "large")]
        assert (target.drifts[0].at, target.drifts[0].since) == (day(3), day(1))
        assert target.stability[COLUMNS[0]] > 1
        assert target.stability[COLUMNS[1]] < 0.1

    def test_partitions_are_added_up(self):
        apart, whole = watches(), watches()
        for number, shift in enumerate([0, 0, 0, 1], start=1):
            apart.see_inputs(day(number), [inputs(300, shift), inputs(200, 0)], 1000)
            both = InputHistogram.merge([inputs(300, shift), inputs(200, 0)])
            whole.see_inputs(day(number), [both], 1000)

        assert apart.state() == whole.state()

    @pytest.mark.parametrize(("labels", "least"), [(99, 100), (0, 0)])
    def test_of_a_young_log_nothing_is_told_until_the_reference_has_labels_enough(
        self, labels: int, least: int
    ):
        target = through(watches(min_labels=least), [0, 0, 5, 5], labels)
        through(target, [10, 10], start=5)

        assert (target.drifts, target.stability) == ([], {}), "the reference is young, and the log is not"
        through(target, [15], start=7)
        assert target.stability[COLUMNS[0]] > 1

    def test_what_moves_on_as_it_did_in_the_young_log_is_this_shops_usual(self):
        target = through(watches(), [0, 1, 2, 3], labels=0)
        through(target, [4, 5, 6, 7, 8], start=5)

        assert target.stability[COLUMNS[0]] > 1
        assert target.drifts == []
        through(target, [8, 8, 8, 10], start=10)
        assert [drift.at for drift in target.drifts] == [day(12)]

    def test_where_no_partition_sent_inputs_nothing_is_seen(self):
        target = watches()
        target.see_inputs(day(1), [], 1000)

        assert (target.drifts, target.stability) == ([], {})


class TestLoss:
    @staticmethod
    def told(target: Watches, quality: list[float], n: int = 400) -> list[int]:
        """On which days a rise of the loss is told."""
        days = []
        for number, right in enumerate(quality):
            target.turn()
            target.see_loss(day(number), forecast(right, n))
            days += [number] if target.loss_rose else []
        return days

    def test_a_lasting_rise_is_told_once_after_some_horizons_and_not_before(self):
        target = watches()
        days = self.told(target, [0.8] * 40 + [0.5] * 40)

        assert len(days) == 1
        assert 40 <= days[0] < 60
        assert [(d.what, d.measure, d.at) for d in target.drifts] == [(LOSS, "page_hinkley", day(days[0]))]

    def test_what_was_told_is_no_news_when_the_next_decision_time_is_learned(self):
        target = watches()
        self.told(target, [0.8] * 40 + [0.5] * 40)

        assert (target.loss_rose, target.news) == (False, [])

    def test_decision_times_of_few_labels_are_left_out(self):
        assert self.told(watches(), [0.8] * 40 + [0.5] * 40, n=FEWEST_LABELS - 2) == []

    def test_a_grid_coarser_than_the_horizon_is_watched_too(self):
        assert self.told(watches(horizon_days=7, every_days=14), [0.8] * 30 + [0.4] * 10) != []


@pytest.mark.parametrize("cut", [1, 3, 45])
def test_they_go_on_from_what_was_kept_as_if_nothing_had_happened(cut: int):
    straight, resumed = watches(), watches()
    for number in range(60):
        if number == cut:
            kept, resumed = resumed.state(), watches()
            resumed.restore(kept)
        for target in (straight, resumed):
            target.turn()
            target.see_loss(day(number), forecast(0.8 if number < 40 else 0.5))
            if number % 10 == 0:
                target.see_inputs(day(number), [inputs(200, number // 20)], 1000)

    assert resumed.state() == straight.state()
    assert {d.measure for d in straight.drifts} == {"psi", "page_hinkley"}
    assert resumed.drifts == straight.drifts


def test_settings_of_now_count_and_not_those_that_were_kept():
    target = watches(every_days=1)
    target.restore(watches(every_days=2).state())

    assert target.state() == watches(every_days=1).state()


def test_of_very_many_drifts_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "KEPT", 2)
    target = through(watches(horizon_days=1), [0, 0, 2, 4, 6, 8, 10, 10, 10, 20, 20])

    assert len(target.drifts) == 2
    assert target.drifts[-1].at == day(9)
