"""Where a log's own time begins and ends, whatever single rows claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.layout import DAY_MS
from models.observation import Hole, Observation, holes, observation
from tests.examples import examples

#: A year in which every day brings a few orders.
YEAR = np.repeat(np.arange(19_000, 19_365), 3)


def seen(days: np.ndarray, horizon: int = 60) -> tuple[int, int]:
    first, last = observation(np.sort(days) * DAY_MS, horizon)
    return first // DAY_MS, last // DAY_MS


@pytest.mark.parametrize(
    "strays",
    [
        [46_000],
        [19_365 + 61],
        [7_500, 7_500],
        [7_500, 19_900, 23_000, 46_000],
        [46_000] * 10,
    ],
    ids=["a sentinel", "two months ahead", "old ones", "typing errors everywhere", "one in a hundred"],
)
def test_a_few_rows_far_from_all_others_are_not_observed_time(strays: list[int]):
    assert seen(np.append(YEAR, strays)) == (19_000, 19_364)


def test_a_small_log_may_hold_a_typing_error_too():
    assert seen(np.append(np.arange(19_000, 19_040), 9_000)) == (19_000, 19_039)


def test_a_date_that_stands_for_none_is_left_out_however_often_it_stands_there():
    assert seen(np.append(YEAR, [10_957] * 300)) == (19_000, 19_364)


def test_a_shop_that_begins_slowly_or_rests_for_months_was_observed_all_along():
    slow = np.arange(18_000, 19_000, 40)
    seasons = np.concatenate([np.arange(start, start + 60) for start in range(17_000, 19_400, 365)])

    assert seen(np.concatenate([slow, YEAR])) == (18_000, 19_364)
    assert seen(seasons) == (17_000, seasons.max())


@pytest.mark.parametrize("days", [[5], [5, 5], [5, 900], [1, 500, 1000, 5000]])
def test_of_a_handful_of_rows_none_is_a_stray(days: list[int]):
    assert seen(np.array(days)) == (min(days), max(days))


def test_rows_within_the_horizon_of_the_others_are_never_strays():
    assert seen(np.append(YEAR, 19_364 + 60), horizon=60) == (19_000, 19_424)


@given(
    st.lists(st.integers(0, 5_000), min_size=1, max_size=60),
    st.integers(1, 200),
    st.integers(0, 40_000),
)
@examples(60)
def test_what_was_observed_holds_nearly_all_rows_and_moves_with_the_calendar(
    days: list[int], horizon: int, shift: int
):
    times = np.sort(np.array(days)) * DAY_MS
    found = observation(times, horizon)

    inside = ((times >= found.first) & (times <= found.last)).sum()
    assert found.first in times
    assert found.last in times
    assert inside >= 1
    moved = observation(times + shift * DAY_MS, horizon)
    assert moved == Observation(found.first + shift * DAY_MS, found.last + shift * DAY_MS)


def test_weeks_without_a_row_in_a_log_of_every_day_are_a_hole_and_the_usual_pause_is_none():
    kept = YEAR[(YEAR < 19_100) | (YEAR >= 19_121)]

    assert holes(kept * DAY_MS) == [Hole(19_100, 19_120)]
    assert Hole(19_100, 19_120).days == 21
    assert holes(YEAR * DAY_MS) == []
    assert holes(np.arange(0, 900, 20) * DAY_MS) == []
    assert holes(np.zeros(0, np.int64)) == []
