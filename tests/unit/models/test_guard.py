"""Which steps are believable, by the shop's own past."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from features.layout import DAY_MS
from models.guard import LONGEST_DAYS, YOUNG, Guard, Hold, recent_orders
from tests.building import day

WATCHED = 1_000


class Shop:
    """A guard that is shown one step a day."""

    def __init__(self, watched: int = WATCHED) -> None:
        self.guard, self.watched, self.days = Guard(), watched, 0

    def step(
        self, share: float | None = 0.01, orders: float = 1.0, usual: float = 400.0, *, sure: bool = True
    ) -> Hold | None:
        self.days += 1
        crossed = None if share is None else round(share * self.watched)
        bought = round(orders * usual)
        return self.guard.judge(day(self.days), crossed, self.watched, bought, usual, sure=sure)

    def grow_old(self, **step: Any) -> Shop:
        rng = np.random.default_rng(1)
        for _ in range(3 * YOUNG):
            assert self.step(rng.uniform(0.005, 0.02), rng.uniform(0.85, 1.15), **step) is None
        return self


def test_the_first_sweep_is_never_held():
    shop = Shop()

    assert [shop.step(share, orders) for share, orders in ((None, 0.1), (0.9, 0.0))] == [None, None]


def test_half_the_shop_crossing_at_once_is_held_and_says_why():
    shop = Shop().grow_old()

    hold = shop.step(0.55)

    assert hold is not None
    assert (hold.why, hold.since, hold.value) == ("crossing", day(shop.days), 0.55)
    assert 0.05 < hold.limit < 0.1
    assert shop.guard.held == [hold]
    assert (shop.guard.crossed, shop.guard.bought) == (0.55, 1.0)


def test_a_shop_without_orders_is_held_though_nobody_crosses_yet():
    hold = Shop().grow_old().step(0.01, orders=0.1)

    assert hold is not None
    assert (hold.why, hold.value) == ("orders", 0.1)
    assert hold.limit <= 0.5


def test_a_young_history_is_held_only_beyond_doubt():
    shop = Shop()
    shop.step(0.02)

    assert shop.step(0.2, orders=0.5) is None
    assert shop.step(0.4) is not None
    assert shop.step(0.01, orders=0.2) is not None
    assert shop.step(0.01) is None


def test_what_a_shop_is_used_to_is_believable():
    lively = Shop()
    rng = np.random.default_rng(2)
    shares = [lively.step(share) for share in rng.uniform(0.02, 0.18, 60)]
    uneven = Shop()
    orders = [uneven.step(0.01, orders) for orders in np.exp(rng.normal(0, 0.5, 60))]

    assert shares == [None] * 60
    assert sum(each is not None for each in orders) <= 1


def test_of_few_customers_and_few_orders_nothing_is_concluded():
    assert Shop(watched=30).grow_old().step(0.3) is None
    assert Shop().grow_old(usual=15.0).step(0.01, orders=0.0, usual=15.0) is None


def test_it_ends_by_itself_when_the_step_is_believable_again():
    shop = Shop().grow_old()
    first = shop.step(0.5, orders=0.0)
    second = shop.step(0.52, orders=0.0)

    assert first is not None
    assert second is not None
    assert second.since == first.since
    assert shop.step(0.01) is None
    assert shop.guard.held == [first]
    # What was held did not become what is usual.
    assert shop.step(0.5) is not None


def test_a_true_rise_over_weeks_is_not_held():
    shop = Shop().grow_old()

    # Two in a hundred more of the shop come into risk on every day for a month.
    assert [shop.step(0.01 + 0.002 * n, orders=0.98**n) for n in range(30)] == [None] * 30


def test_a_new_state_is_held_for_four_weeks_at_most_and_is_usual_then():
    shop = Shop().grow_old()
    held = [shop.step(0.4, orders=0.2) for _ in range(LONGEST_DAYS)]
    assert None not in held

    released = shop.step(0.4, orders=0.2)
    assert released is None
    assert shop.guard.usual_from == held[0].since // DAY_MS if held[0] else False
    assert [shop.step(0.3, orders=1.0, usual=80) for _ in range(20)] == [None] * 20


@pytest.mark.parametrize("orders", [0.0, 1.0])
def test_a_step_in_which_closings_changed_ends_no_hold(orders: float):
    shop = Shop().grow_old()
    first = shop.step(0.5, orders=0.0)
    assert first is not None

    for _ in range(2 * LONGEST_DAYS):
        hold = shop.step(0.01, orders, sure=False)
        assert hold is not None
        assert hold.since == first.since
    assert shop.step(0.01) is None


def test_nobody_gets_used_to_a_step_that_was_misjudged():
    shop = Shop().grow_old()
    before = list(shop.guard.crossings)

    assert shop.step(0.03, sure=False) is None
    assert shop.guard.crossings == before


def test_a_hold_ends_by_an_answer_to_what_it_is_for():
    shop = Shop().grow_old()
    first = shop.step(0.01, orders=0.0)
    assert first is not None

    # How many buy is not known for a while: that so few cross says nothing of it.
    assert [shop.step(0.01, usual=0.0) for _ in range(3)] == [first] * 3
    assert shop.step(0.01) is None


def test_what_a_hold_is_for_may_change_and_when_it_began_does_not():
    shop = Shop().grow_old()
    first = shop.step(0.01, orders=0.0)
    then = shop.step(0.5)
    assert first is not None
    assert then is not None

    assert (then.why, then.since) == ("crossing", first.since)
    assert shop.step(0.01, usual=0.0) is None


def test_the_step_behind_a_long_hold_is_guarded():
    shop = Shop().grow_old()
    held = [shop.step(0.4, orders=0.2) for _ in range(LONGEST_DAYS)]

    assert None not in held
    assert shop.step(0.4, orders=0.2) is None
    assert shop.step(0.5) is not None


def test_it_goes_on_from_a_checkpoint():
    shop = Shop().grow_old()
    shop.step(0.5)
    again = Shop()
    again.guard, again.days = (
        msgspec.msgpack.decode(msgspec.msgpack.encode(shop.guard), type=Guard),
        shop.days,
    )

    assert again.step(0.4) == shop.step(0.4)
    assert again.guard == shop.guard


@pytest.mark.parametrize(("step", "expected"), [(7, (49, 70.0)), (1, (49, 70.0)), (14, (119, 140.0))])
def test_orders_of_more_days_are_added_up_until_there_are_enough(step: int, expected: tuple[int, float]):
    buyers, usual = np.array([10.0] * 7 + [7.0] * 7), np.full(14, 10.0)

    assert recent_orders(buyers, usual, step) == expected
    untold = np.where(np.arange(14) % 7 == 3, np.nan, buyers)
    assert recent_orders(untold, usual, step)[1] == expected[1] * 6 / 7
    assert recent_orders(buyers, np.full(14, np.nan), step) == (0, 0.0)
