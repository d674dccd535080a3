"""When a customer's numbers speak for leaving, in the sentence that a marketer reads."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import speaking
from features.catalogue import BY_NAME, CATALOGUE, NAMES
from features.speaking import facts, is_overdue
from features.wording import LANGUAGES
from tests.examples import examples

if TYPE_CHECKING:
    from features.feature import Feature

UNKNOWN = dict.fromkeys(NAMES, math.nan)

#: A customer who orders every 20 days, browses, and is late by all accounts.
LATE = {
    "days_since_purchase": 50.0,
    "gap_mean": 20.0,
    "gap_deviation": 4.0,
    "order_frequency": 1.5,
    "mean_order_value": 40.0,
    "activity_90d": 30.0,
    "activity_30d": 12.0,
    "orders_90d": 2.0,
    "orders_30d": 0.4,
    "days_since_activity": 21.0,
    "active_days_90d": 18.0,
    "carts_30d": 2.0,
}


def speaks(name: str, shop_gap: float = math.nan, **raw: float) -> bool:
    """Whether `name` is a reason for leaving of a customer like LATE, but for `raw`."""
    rule = BY_NAME[name].speaks
    return rule is not None and rule(facts({**UNKNOWN, **LATE, **raw}, shop_gap))


@pytest.mark.parametrize(
    ("name", "for_leaving", "against"),
    [
        ("no_purchase_probability", 0.8, 0.3),
        ("days_since_purchase", 50.0, 20.0),
        ("last_gap_ratio", 2.0, 1.0),
        ("orders", 1.0, 50.0),
        ("order_days", 2.0, 50.0),
        ("orders_30d", 0.3, 3.0),
        ("orders_90d", 2.0, 9.0),
        ("orders_trend", math.log(0.4), math.log(5.5)),
        ("spend_trend", math.log(0.2), 0.0),
        ("discount_share", 0.7, 0.1),
        ("tenure_days", 60.0, 800.0),
        ("days_since_activity", 21.0, 2.0),
        ("activity_7d", 0.2, 40.0),
        ("activity_90d", 0.2, 40.0),
        ("activity_trend", math.log(0.2), math.log(2.0)),
        ("active_days_90d", 0.0, 9.0),
        ("activity_30d", 0.4, 20.0),
        ("active_days_30d", 1.0, 9.0),
        ("views_30d", 0.1, 12.0),
        ("carts_30d", 0.1, 4.0),
        ("cart_abandonment", 0.9, 0.2),
        ("category_breadth", 1.0, 20.0),
        ("refund_share", 0.5, 0.0),
        ("refunded_value_share", 0.5, 0.0),
        ("cancel_share", 0.3, 0.0),
        ("late_delivery_share", 0.3, 0.0),
        ("mean_rating", 1.5, 5.0),
        ("low_rating_share", 1.0, 0.0),
        ("satisfaction", 3.0, 10.0),
        ("days_since_support", 5.0, 400.0),
    ],
)
def test_a_value_speaks_for_leaving_only_where_its_sentence_does(
    name: str, for_leaving: float, against: float
):
    assert speaks(name, **{name: for_leaving})
    assert not speaks(name, **{name: against})
    assert not speaks(name, **{name: math.nan})


@pytest.mark.parametrize(
    "name", [feature.name for feature in CATALOGUE if feature.theme == "rhythm" and feature.speaks]
)
def test_nothing_of_the_rhythm_but_widening_gaps_speaks_while_the_next_order_is_not_late(name: str):
    in_time = {"days_since_purchase": 6.0, "gap_mean": 144.0}
    rare = {"no_purchase_probability": 0.9, "orders": 2.0, "order_days": 2.0, "orders_trend": -4.0}

    assert not speaks(name, 20.0, **in_time, **rare)


def test_an_irregular_customer_is_late_beyond_what_that_explains():
    assert speaks("overdue_deviations", days_since_purchase=50.0, gap_deviation=18.0)
    assert not speaks("overdue_deviations", days_since_purchase=37.0, gap_deviation=18.0)
    assert not speaks("overdue_deviations", gap_deviation=math.nan)


def test_the_rhythm_of_the_shop_stands_in_for_one_that_is_not_known():
    once = {"gap_mean": math.nan, "days_since_purchase": 50.0}

    assert speaks("days_since_purchase", 30.0, **once)
    assert not speaks("days_since_purchase", 90.0, **once)
    assert speaks("days_since_purchase", **once)


def test_one_order_is_rare_beside_customers_who_order_more_often():
    assert speaks("order_frequency", 20.0, order_frequency=0.5)
    assert not speaks("order_frequency", 20.0, order_frequency=1.4)
    assert not speaks("order_frequency", order_frequency=0.1)


def test_less_is_spent_only_where_orders_go_on():
    assert speaks("spend_30d", spend_30d=20.0, orders_30d=1.0)
    assert not speaks("spend_30d", spend_30d=38.0, orders_30d=1.0)
    assert not speaks("spend_30d", spend_30d=0.1, orders_30d=0.2)
    assert not speaks("spend_30d", spend_30d=0.0, orders_30d=2.0, mean_order_value=0.0)


def test_spending_is_told_only_where_it_falls_faster_than_orders_do():
    """Orders stand at 0.3 of the usual rate by themselves."""
    assert not speaks("spend_trend", spend_trend=math.log(0.5), orders_30d=0.2, orders_90d=2.0)
    assert speaks("spend_trend", spend_trend=math.log(0.2), orders_30d=0.2, orders_90d=2.0)


@pytest.mark.parametrize(
    "name", [feature.name for feature in CATALOGUE if feature.theme == "browsing" and feature.speaks]
)
def test_what_a_shop_does_not_record_is_no_sign_of_leaving(name: str):
    silent = {each: 0.0 for each in NAMES if BY_NAME[each].theme == "browsing"}
    only_orders = {"activity_90d": 2.0, "orders_90d": 2.0, "days_since_activity": 50.0}

    assert not speaks(name, **{**silent, **only_orders})


@given(
    st.floats(0, 5000, allow_nan=False),
    st.floats(0, 5000, allow_nan=False),
    st.sampled_from(["days_since_purchase", "overdue_ratio"]),
)
@examples(200)
def test_whoever_is_late_is_so_in_the_days_that_the_sentence_shows(days: float, gap: float, name: str):
    if is_overdue(days, gap):
        said = LANGUAGES["en"].tell(name, {**UNKNOWN, "days_since_purchase": days, "gap_mean": gap})
        shown = [int(word.replace(",", "")) for word in said.split() if word.replace(",", "").isdigit()]

        assert shown[0] > (shown[1] if len(shown) > 1 else 1)


@pytest.mark.parametrize("feature", CATALOGUE, ids=NAMES)
def test_every_feature_says_whether_more_of_it_is_riskier_and_when_it_speaks(feature: Feature):
    """What reads neither way is never a reason; what reads one way must say when."""
    with pytest.raises(ValueError, match=feature.name):
        replace(feature, speaks=None if feature.speaks else lambda _: True)


def test_the_examples_in_the_docstrings_hold():
    found = doctest.testmod(speaking)

    assert (found.failed, found.attempted >= 2) == (0, True)
