"""Days on which nobody could buy, and customers who are looked at as if the clock had stood still."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.hashing import partition_of
from features.layout import DAY_MS
from models.closings import (
    LONGEST_DAYS,
    Trade,
    buyers_by_day,
    days_in,
    mostly_closed,
    open_time,
    runs_of,
)
from tests.building import START, Feed, config, core, day

FIRST = 1_000


def trade(*weeks: list[int]) -> Trade:
    found = Trade()
    found.add(FIRST, [count for week in weeks for count in week])
    return found


WEEK = [50, 60, 55, 52, 70, 0, 40]


def silent(found: Trade) -> list[int]:
    return sorted(day - FIRST for day in found.silent_days())


def test_a_holiday_is_found_and_the_weekday_on_which_nobody_ever_buys_belongs_to_it_only_inside():
    found = trade(WEEK, WEEK, WEEK, [50, 60, 0, 1, 0, 0, 0], [0, 30, *WEEK[2:]])

    # Both ends are days of trade; Saturday lies between.
    assert silent(found) == [23, 24, 25, 26, 27, 28]


def test_one_day_is_enough_in_a_shop_of_many_orders():
    assert silent(trade(WEEK, WEEK, [50, 60, 0, *WEEK[3:]])) == [16]


def test_a_shop_of_few_orders_needs_more_days():
    few = [2, 3, 2, 2, 3, 0, 2]

    assert silent(trade(few, few, few, [0] * 5)) == []
    assert silent(trade(few, few, few, [0] * 7, [0, 0, 0, 2])) == list(range(21, 31))


def test_half_of_the_usual_orders_are_no_closing():
    assert silent(trade(WEEK, WEEK, WEEK, [count // 2 for count in WEEK])) == []


def test_what_is_usual_is_known_after_two_weeks():
    assert silent(trade(WEEK, [0] * 7)) == []
    assert silent(trade(WEEK, WEEK, [0] * 7)) == [14, 15, 16, 17, 18, 19, 20]


def test_a_silence_of_many_weeks_is_a_season_and_no_closing():
    before = [WEEK] * 10
    closed = trade(*before, *[[0] * 7] * (LONGEST_DAYS // 7))
    season = trade(*before, *[[0] * 7] * (LONGEST_DAYS // 7 + 1))

    assert len(silent(closed)) == LONGEST_DAYS
    assert silent(season) == []


def test_a_known_closing_is_not_found_again_and_does_not_count_as_usual():
    found = trade(WEEK, [0] * 7, WEEK, [0] * 7)
    known = set(range(FIRST + 7, FIRST + 14))

    assert sorted(day - FIRST for day in found.silent_days(known)) == list(range(21, 28))


def test_counts_that_come_again_and_gaps_between_them_do_no_harm():
    found = Trade()
    found.add(FIRST, [1, 2])
    found.add(FIRST + 1, [2, 3])
    found.add(FIRST + 5, [6])

    assert (found.first, found.buyers) == (FIRST, [1, 2, 3, 0, 0, 6])


@pytest.mark.parametrize("partitions", [1, 3])
def test_buyers_of_partitions_add_up_to_those_of_the_shop(partitions: int):
    counts = np.zeros(3, np.int64)
    for partition in range(partitions):
        target = core(config(partitions=partitions), partition)
        feed = Feed(target)
        mine = [n for n in range(30) if partition_of(f"u{n}".encode(), partitions) == partition]
        for moment in (0.1, 1.2, 1.4, 2.5):
            for number in (each for each in mine if moment < 2 or each % 2):
                feed.buys(f"u{number}", moment)
        feed.until(day(3))
        as_of = target.table.as_of(target.table.live_slots(), day(3))
        counts += buyers_by_day(target.table.rows, as_of, day(3), 3)

    assert counts.tolist() == [30, 30, 15]


@given(st.sets(st.integers(0, 60)))
def test_runs_hold_exactly_their_days(days: set[int]):
    runs = runs_of(days)

    assert [day for first, last in runs for day in range(first, last + 1)] == sorted(days)
    assert all(b[0] > a[1] + 1 for a, b in pairwise(runs))
    assert days_in(runs, 10, 40) == len(days & set(range(10, 40)))


@given(
    st.sets(st.integers(0, 40), max_size=20),
    st.lists(st.integers(0, 40 * DAY_MS - 1), min_size=1, max_size=20),
)
def test_nobody_is_more_silent_than_the_shop_was_open(closed: set[int], last: list[int]):
    now, last_ts = 41 * DAY_MS, np.array(last)

    at = np.broadcast_to(open_time(last_ts, now, runs_of(closed)), last_ts.shape)

    assert (at > last_ts).all()
    for moment, event in zip(at.tolist(), last, strict=True):
        assert now - moment == DAY_MS * sum(day > event // DAY_MS for day in closed)


def test_a_horizon_is_mostly_closed_beyond_half_of_its_days():
    start, first = START, START // DAY_MS

    assert not mostly_closed(((first - 9, first + 4),), start, 10)
    assert mostly_closed(((first + 2, first + 7),), start, 10)
