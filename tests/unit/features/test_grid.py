from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.grid import DecisionGrid
from features.layout import DAY_MS
from tests.examples import examples

grids = st.builds(DecisionGrid, st.integers(1, 30), st.integers(-3, 20_000).map(lambda day: day * DAY_MS))
times = st.integers(-(10**12), 4 * 10**12)


@examples(30)
@given(grids, times)
def test_decision_times_lie_on_the_grid_around_every_moment(grid: DecisionGrid, ts: int):
    for point in (grid.floor(ts), grid.after(ts), grid.before(ts)):
        assert (point - grid.anchor) % grid.every_ms == 0

    assert grid.floor(ts) <= ts < grid.after(ts) == grid.floor(ts) + grid.every_ms
    assert grid.before(ts) < ts <= grid.before(ts) + grid.every_ms


@examples(30)
@given(grids, st.integers(-100, 100))
def test_a_decision_time_is_its_own_floor_and_not_before_itself(grid: DecisionGrid, k: int):
    point = grid.anchor + k * grid.every_ms

    assert grid.floor(point) == point
    assert grid.after(point) - point == point - grid.before(point) == grid.every_ms


@pytest.mark.parametrize(("every_days", "anchor"), [(0, 0), (-1, 0), (1, 1), (7, DAY_MS // 2)])
def test_a_grid_is_made_of_whole_days(every_days: int, anchor: int):
    with pytest.raises(ValueError, match="decision grid"):
        DecisionGrid(every_days, anchor)
