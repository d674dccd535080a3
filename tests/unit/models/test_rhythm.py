"""How often customers of a shop order, who is late by it, and whether the horizon suits it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import NAMES, raw_features
from features.layout import DAY_MS
from features.returns import ReturnHistogram
from features.speaking import facts
from features.view import View
from models.rhythm import ShopRhythm, overdue
from tests.building import START, Feed, constant_models, core, day
from tests.examples import examples


def histogram(*customers: tuple[int, int]) -> ReturnHistogram:
    """Customers by repeat days and by days from the first to the last."""
    x, span = (np.array([each[i] for each in customers]) for i in range(2))
    return ReturnHistogram.from_arrays(x, span, span + 10)


class TestTheShop:
    def test_half_of_its_repeat_customers_usually_order_within_the_usual_gap(self):
        """Gaps of 10, 20, 30, 40 and 50 days; two customers ordered once."""
        found = ShopRhythm.of(histogram((1, 10), (1, 20), (2, 60), (3, 120), (1, 50), (0, 0), (0, 0)), 35)

        assert found is not None
        assert (found.customers, found.usual_gap) == (5, 30.0)

    def test_those_who_are_slower_than_the_horizon_are_counted(self):
        found = ShopRhythm.of(histogram((1, 10), (1, 20), (2, 60), (3, 120), (1, 50)), 35)

        assert found is not None
        assert found.beyond_horizon == 0.4
        # Four of five order within 40 days, which are six weeks.
        assert found.suggested_horizon == 42

    def test_nobody_who_came_back_is_no_rhythm(self):
        assert ShopRhythm.of(histogram((0, 0), (0, 0)), 35) is None

    @given(
        st.lists(st.tuples(st.integers(0, 30), st.integers(1, 900)), min_size=1, max_size=30),
        st.integers(1, 4),
    )
    @examples(50)
    def test_partitions_change_nothing(self, customers: list[tuple[int, int]], partitions: int):
        customers = [(x, max(span, x)) if x else (0, 0) for x, span in customers]
        parts = [customers[p::partitions] for p in range(partitions)]
        merged = ReturnHistogram.merge(histogram(*part) for part in parts if part)

        assert ShopRhythm.of(merged, 35) == ShopRhythm.of(histogram(*customers), 35)

    def test_it_travels_as_json(self):
        found = ShopRhythm.of(histogram((1, 10), (7, 123)), 35)

        assert msgspec.json.decode(msgspec.json.encode(found), type=ShopRhythm) == found


#: A shop whose customers usually order every 30 days.
SHOP = ShopRhythm(customers=9, usual_gap=30.0, beyond_horizon=0.2, suggested_horizon=42)


@pytest.mark.parametrize(
    ("days", "at", "shop", "late"),
    [
        ((0.5, 20.5, 40.5), 60.5, SHOP, False),  # 20 days, where every 20 is usual
        ((0.5, 20.5, 40.5), 61.5, SHOP, True),
        ((0.5, 144.5), 150.5, SHOP, False),  # 6 days after an order, with a usual gap of 144
        ((0.5,), 30.5, SHOP, False),  # by the shop's rhythm
        ((0.5,), 31.6, SHOP, True),
        ((0.5,), 1.0, None, True),  # nobody knows what late would be
        ((0.1, 0.2, 0.9), 31.6, SHOP, True),  # one day of orders is no rhythm
        ((0.5, 1.5), 2.6, SHOP, False),
        ((0.5, 1.5), 4.0, SHOP, True),
    ],
)
def test_late_is_who_waits_longer_than_is_usual(
    days: tuple[float, ...], at: float, shop: ShopRhythm | None, late: bool
):
    target = core()
    Feed(target).buys("u", *days)

    assert overdue(target.table.rows, np.arange(1), day(at), shop).tolist() == [late]


@given(
    st.lists(st.integers(0, 400 * 24), min_size=1, max_size=6),
    st.integers(1, 300 * 24),
    st.none() | st.floats(1, 200),
)
@examples(60)
def test_the_gate_and_the_sentences_agree_on_who_is_late(hours: list[int], later: int, gap: float | None):
    target = core()
    Feed(target).buys("u", *(hour / 24 for hour in sorted(hours)))
    ts = START + (max(hours) + later) * DAY_MS // 24
    shop = None if gap is None else msgspec.structs.replace(SHOP, usual_gap=gap)
    view = View(target.table.rows[:1], ts, 60, constant_models(0.5).returns)
    raw = dict(zip(NAMES, raw_features(view)[0].tolist(), strict=True))
    known = facts(raw) if gap is None else facts(raw, gap)

    assert overdue(target.table.rows, np.arange(1), ts, shop).tolist() == [bool(known["overdue"])]
