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


def trade(*weeks: list[int] | list[int | None]) -> Trade:
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


@pytest.mark.parametrize("weeks", [4, 5, 6, 20])
def test_of_a_silence_of_many_weeks_the_first_four_stay_closed(weeks: int):
    found = trade(*[WEEK] * 10, *[[0] * 7] * weeks, *[WEEK] * 2)

    assert silent(found) == list(range(70, 70 + LONGEST_DAYS))


COUNTS = st.one_of(st.none(), st.just(0), st.integers(0, 9), st.integers(30, 60))


@given(st.lists(COUNTS, max_size=60), st.lists(st.sampled_from([None, 0, 0, 0, 0, 2, 50]), max_size=60))
def test_a_day_that_was_found_closed_stays_closed_whatever_follows(
    first: list[int | None], then: list[int | None]
):
    """Taken back, it would make every customer older at once."""
    found, before = Trade(), set[int]()
    for number, count in enumerate([*WEEK * 2, *first, *then]):
        found.add(FIRST + number, [count])
        now = found.silent_days()
        assert before <= now
        before = now


def test_a_known_closing_is_not_found_again_and_does_not_count_as_usual():
    found = trade(WEEK, [0] * 7, WEEK, [0] * 7)
    known = set(range(FIRST + 7, FIRST + 14))

    assert sorted(day - FIRST for day in found.silent_days(known)) == list(range(21, 28))


def test_days_nobody_told_of_are_neither_silent_nor_usual():
    untold: list[int | None] = [None] * 7

    assert silent(trade(WEEK, WEEK, untold)) == []
    assert silent(trade(WEEK, untold, WEEK, untold, [0] * 7)) == list(range(28, 35))
    assert silent(trade(WEEK, WEEK, [0, 0, None, 0, 0, None, None])) == [14, 15, 17, 18]


def test_counts_that_come_again_and_gaps_between_them_do_no_harm():
    found = Trade()
    found.add(FIRST, [1, 2])
    found.add(FIRST + 1, [2, 3])
    found.add(FIRST + 5, [6])

    assert (found.first, found.buyers) == (FIRST, [1, 2, 3, None, None, 6])


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
