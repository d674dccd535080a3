"""One event at a time: what each adds to a record. Whole logs are recounted in test_table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.columns import columns
from features.events import (
    AddToCart,
    Delivery,
    Event,
    Item,
    Purchase,
    Refund,
    Review,
    Support,
    Survey,
    ViewItem,
)
from features.layout import DAY_MS, Layout
from features.money import Currencies
from features.updates import MOST_ITEMS, facts, update

FRIDAY = 18_264 * DAY_MS  # 2020-01-03
HOUR_MS = 3_600_000
EUROS = Currencies("EUR", {"USD": 0.5})


def after(topic: str, *each: Event) -> Any:
    """The record of a customer who did just that."""
    rows = np.zeros(1, Layout().dtype)
    batch = columns(topic, list(each), range(len(each)))
    update(rows, np.zeros(len(batch), np.intp), facts(batch, EUROS.micros))
    return rows[0]


def bought(ts: int = FRIDAY, value: float = 10.0, currency: str = "EUR", **fields: Any) -> Purchase:
    own = {"event_id": f"e{ts}", "transaction_id": f"t{ts}", "user_id": "u", "ts": ts}
    return Purchase(value=value, currency=currency, **own, **fields)


def item(quantity: float, category: str | None = None) -> Item:
    return Item(item_id="i", item_category=category, price=1, quantity=quantity)


#   Friday        Saturday      Sunday        Monday
#   |--------|#####|============|============|--------|#####|
#            18:00 evening      weekend               18:00
@pytest.mark.parametrize(
    ("ts", "weekend", "evening"),
    [
        (FRIDAY + 18 * HOUR_MS - 1, 0, 0),
        (FRIDAY + 18 * HOUR_MS, 0, 1),
        (FRIDAY + DAY_MS - 1, 0, 1),
        (FRIDAY + DAY_MS, 1, 0),
        (FRIDAY + 3 * DAY_MS - 1, 1, 1),
        (FRIDAY + 3 * DAY_MS, 0, 0),
    ],
)
def test_weekends_and_evenings_begin_and_end_to_the_millisecond(ts: int, weekend: int, evening: int):
    row = after("orders", bought(ts))

    assert (row["weekend_orders"], row["evening_orders"]) == (weekend, evening)


def test_money_is_kept_in_micros_of_the_configured_currency():
    row = after("orders", bought(value=3.2), bought(FRIDAY + 1, value=10.01, currency="USD"))

    assert (row["value_sum"], row["value_max"]) == (8_205_000, 5_005_000)


def test_a_sum_of_absurd_amounts_stops_at_the_largest_number_instead_of_turning_negative():
    row = after("orders", *(bought(FRIDAY + i, value=1e12) for i in range(25)))

    assert row["value_sum"] == 2**63 - 1024


def test_an_order_whose_items_are_unknown_counts_for_one_item():
    assert after("orders", bought())["items"] == 1
    assert after("orders", bought(items=(item(2), item(0.6))))["items"] == 3


def test_units_of_one_order_are_bounded():
    assert after("orders", bought(items=(item(1e6),)))["items"] == MOST_ITEMS


def test_categories_of_items_and_of_clicks_are_the_same_set():
    by_order = after("orders", bought(items=(item(1, "shoes"), item(1, None), item(1, "hats"))))
    by_clicks = after(
        "clickstream",
        ViewItem(event_id="1", user_id="u", ts=FRIDAY, item_category="hats"),
        ViewItem(event_id="2", user_id="u", ts=FRIDAY, item_category="shoes"),
        ViewItem(event_id="3", user_id="u", ts=FRIDAY),
    )

    assert by_order["categories"] == by_clicks["categories"]
    assert int(by_clicks["categories"]).bit_count() == 2


@pytest.mark.parametrize(("late_days", "late"), [(None, 0), (-1.0, 0), (0.0, 0), (0.5, 1)])
def test_a_delivery_is_late_after_the_promised_day_only(late_days: float | None, late: int):
    sent = Delivery(event_id="e", user_id="u", ts=FRIDAY, transaction_id="t", late_days=late_days)

    assert after("orders", sent)["late_deliveries"] == late


def test_refunds_are_summed_apart_from_purchases():
    back = Refund(event_id="e", user_id="u", ts=FRIDAY, transaction_id="t", value=4, currency="USD")
    row = after("orders", back)

    assert (row["refunds"], row["refund_sum"], row["orders"], row["last_purchase"]) == (1, 2_000_000, 0, 0)


def test_a_review_without_rating_is_a_review_and_no_rating():
    row = after(
        "reviews",
        Review(event_id="1", user_id="u", ts=FRIDAY, rating=2.0),
        Review(event_id="2", user_id="u", ts=FRIDAY + 1, rating=4.555),
        Review(event_id="3", user_id="u", ts=FRIDAY + 2, text="hm"),
    )

    assert (row["reviews"], row["ratings"], row["rating_sum"], row["low_ratings"]) == (3, 2, 656, 1)
    assert row["last_review"] == FRIDAY + 2


def test_surveys_and_support_are_kept_apart_from_reviews():
    row = after(
        "reviews",
        Survey(event_id="1", user_id="u", ts=FRIDAY, score=9.5),
        Support(event_id="2", user_id="u", ts=FRIDAY + 1, text="", channel="chat"),
    )

    assert (row["surveys"], row["survey_sum"], row["supports"], row["reviews"]) == (1, 950, 1, 0)
    assert (row["last_support"], row["last_review"], row["last_ts"]) == (FRIDAY + 1, 0, FRIDAY + 1)


def test_decayed_sums_halve_with_every_half_life():
    row = after(
        "clickstream",
        AddToCart(event_id="1", user_id="u", ts=FRIDAY),
        AddToCart(event_id="2", user_id="u", ts=FRIDAY + 30 * DAY_MS),
    )
    carts = row["decayed"][:, 2]

    np.testing.assert_allclose(carts, [1 + 0.5 ** (30 / 7), 1.5, 1 + 0.5 ** (1 / 3)], rtol=1e-12)


def test_of_many_purchases_the_newest_eight_times_are_kept_newest_first():
    #        day   0 1 2 3 4 5 6 7 8 9 ... 24   arriving mixed up, all in one poll
    times = [FRIDAY + i * DAY_MS for i in range(25)]
    row = after("orders", *(bought(ts) for ts in times[::2] + times[1::2]))

    assert row["purchases"].tolist() == times[::-1][:8]
    assert (row["first_purchase"], row["last_purchase"], row["order_days"]) == (times[0], times[-1], 25)


def test_two_orders_of_one_day_are_one_day_of_purchase():
    row = after("orders", bought(FRIDAY), bought(FRIDAY + DAY_MS - 1), bought(FRIDAY + DAY_MS))

    assert (row["orders"], row["order_days"]) == (3, 2)
    assert row["purchase_days"].tolist() == [0b11, 0, 0]


#   day   0                             192       300            the set remembers 192 days
#         x                              x         x             all in one poll
def test_days_of_purchase_further_apart_than_the_set_reaches_count_in_one_poll_as_in_many():
    days = (0, 192, 192, 300, 0)
    orders = [bought(FRIDAY + day * DAY_MS + i) for i, day in enumerate(days)]
    at_once = after("orders", *orders)

    rows = np.zeros(1, Layout().dtype)
    for one in sorted(orders, key=lambda order: order.ts):
        update(rows, np.zeros(1, np.intp), facts(columns("orders", [one], [0]), EUROS.micros))

    assert at_once["order_days"] == rows["order_days"][0] == 3
    assert at_once["purchase_days"].tolist() == rows["purchase_days"][0].tolist()
