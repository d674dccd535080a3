"""A shop that changes at once, as the benchmark makes it up."""

from __future__ import annotations

import pytest

from benchmarks.quality.shifts import CHANGE, CUSTOMERS, SHIFTS, lines, purchases


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shop_is_the_same_each_time_and_differs_by_seed(shift: str):
    assert purchases(shift, 1, 50) == purchases(shift, 1, 50) != purchases(shift, 2, 50)


@pytest.mark.parametrize("shift", sorted(set(SHIFTS) - {"level"}))
def test_until_the_day_of_the_change_all_shops_are_the_same(shift: str):
    """But for the one whose customers begin to leave."""
    one, other = ([each for each in purchases(name, 0, 50) if each[0] < CHANGE] for name in (shift, "rhythm"))

    assert one == other


def test_a_closed_shop_sells_nothing():
    days = {day for day, _ in purchases("closing and return", 3, CUSTOMERS)}

    assert not days & set(range(CHANGE, CHANGE + 42))
    assert days & set(range(CHANGE + 42, CHANGE + 60))


def test_orders_come_in_order_of_time():
    times = [line.ts for line in lines(purchases("level", 0, 50))]

    assert times == sorted(times)
