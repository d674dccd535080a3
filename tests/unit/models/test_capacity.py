"""Tiers that fit the shop: thresholds from a capacity."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.capacity import HALF_LIFE_DAYS, Capacity, RecentLevels
from models.progressive import GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.episodes import Thresholds

POINTS = st.lists(st.integers(0, GRID), min_size=1, max_size=60)


def issued(points: list[int]) -> NDArray[np.float64]:
    return np.round(np.array(points) / GRID, 6)


def spread(low: float, high: float, n: int = 10_000) -> NDArray[np.float64]:
    return np.round(np.linspace(low, high, n), 6)


def placed(probabilities: NDArray[np.float64], capacity: Capacity | None = None) -> Thresholds:
    recent = RecentLevels()
    recent.see(probabilities, 0)
    return recent.thresholds(capacity or Capacity())


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.3), (0.4, 0.6), (0.7, 1.0), (0.001, 0.01)])
def test_tiers_hold_the_shares_that_were_asked_for_whatever_the_churn_rate(low: float, high: float):
    probabilities = spread(low, high)

    tiers = placed(probabilities).tiers(probabilities)

    for tier, share in ((3, 0.02), (2, 0.05), (1, 0.15)):
        assert 0.75 * share <= (tiers >= tier).mean() <= share


@given(POINTS)
def test_no_tier_holds_more_than_its_capacity_unless_they_are_certain(points: list[int]):
    probabilities = issued([min(p, GRID - 1) for p in points])
    capacity = Capacity(critical=0.1, high=0.2, medium=0.5)

    thresholds = placed(probabilities, capacity)
    tiers = thresholds.tiers(probabilities)

    shares = [(tiers >= tier).mean() for tier in (3, 2, 1)]
    assert (np.array(shares) <= (0.1, 0.2, 0.5)).all()
    assert 0 < thresholds.closes <= thresholds.medium


def test_equals_are_not_told_apart_by_chance():
    thresholds = placed(np.full(100, 0.4))

    assert not thresholds.tiers(np.array([0.4])).any()


def test_the_margin_below_medium_holds_a_quarter_more_of_the_customers():
    probabilities = spread(0.2, 0.9)

    kept = (probabilities >= placed(probabilities).closes).mean()

    assert 0.17 <= kept <= 1.25 * 0.15


def test_a_decision_time_counts_half_after_the_half_life():
    recent, capacity = RecentLevels(), Capacity(critical=0.1, high=0.2, medium=0.6)
    recent.see(np.full(50, 0.3), 0)
    recent.see(np.full(7_000, 0.6), HALF_LIFE_DAYS)
    recent.see(np.full(1, 0.9), 0)

    # Sweeps weigh 1/2, 1 and 1 of 5/2, however many customers each had.
    found = recent.thresholds(capacity)
    assert 0.6 < found.medium <= 0.9
    assert found.high > 0.9


def test_one_odd_day_of_many_moves_thresholds_little():
    recent, rng = RecentLevels(), np.random.default_rng(1)
    daily = [np.round(rng.beta(2, 5, 2_000), 6) for _ in range(30)]
    for each in daily:
        recent.see(each, 1)
    before = recent.thresholds(Capacity())
    recent.see(np.round(np.minimum(daily[0] + 0.2, 1), 6), 1)
    after = recent.thresholds(Capacity())

    assert 0 < after.medium - before.medium < 0.1


def test_a_customer_who_stands_still_is_not_alarmed_again_and_again():
    recent, rng = RecentLevels(), np.random.default_rng(2)
    for _ in range(20):
        recent.see(np.round(rng.beta(2, 5, 400), 6), 1)
    placed = [recent.thresholds(Capacity())]
    for _ in range(100):
        recent.see(np.round(rng.beta(2, 5, 400), 6), 1)
        placed.append(recent.thresholds(Capacity()))
    still = float(np.median([each.medium for each in placed]))

    opened, inside = 0, False
    for each in placed:
        if not inside and still >= each.medium:
            opened, inside = opened + 1, True
        elif inside and still < each.closes:
            inside = False

    # The threshold itself crosses where they stand many times.
    assert sum((a.medium > still) != (b.medium > still) for a, b in pairwise(placed)) > 5
    assert opened == 1


def test_a_state_goes_on_to_the_bit():
    recent, rng = RecentLevels(), np.random.default_rng(3)
    for _ in range(3):
        recent.see(np.round(rng.random(100), 6), 1)
    again = RecentLevels()
    again.restore(recent.state())
    for each in (recent, again):
        each.see(np.array([0.5]), 7)

    assert again.state() == recent.state()


@pytest.mark.parametrize("bad", [(0.0, 0.1, 0.2), (0.2, 0.1, 0.3), (0.1, 0.3, 0.2), (0.1, 0.2, 1.0)])
def test_shares_that_do_not_rise_are_no_capacity(bad: tuple[float, float, float]):
    with pytest.raises(ValueError, match="capacity"):
        Capacity(*bad)
