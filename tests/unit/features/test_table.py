"""The table against a recount of the raw log: whatever the order of arrival, the same is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.events import Cancel, Event, Login, Purchase, Refund
from features.layout import DAY_MS, LIVE
from tests.examples import examples
from tests.oracle import recount
from tests.oracle.logs import (
    START,
    TOPICS,
    Log,
    Poll,
    arrivals,
    empty_table,
    everything,
    feed,
    feed_all,
    logs,
    one_poll,
)

if TYPE_CHECKING:
    import random

    from features.table import UserTable

#: All decision times of these tests lie before it.
SWEPT = START + 10_000 * DAY_MS


def rolling(table: UserTable, user: str) -> dict[str, Any]:
    slot = table.slot(user)
    return {name: table.rows[name][slot] for name in recount.fields(table.layout)}


def stored(table: UserTable) -> dict[str, bytes]:
    return {user: table.rows[slot].tobytes() for user, slot in table.index.items()}


def login(number: int = 0, ts: int = START, user: str = "ada") -> Login:
    return Login(event_id=f"e{number}", user_id=user, ts=ts)


@given(logs(days=260, size=25), st.integers(0, 3), st.randoms(use_true_random=False))
@examples(12)
def test_every_rolling_field_equals_a_recount_of_the_log_however_it_arrives(
    log: Log, lateness_days: int, rng: random.Random
):
    table = feed_all(empty_table(), arrivals(log, rng, lateness_days * DAY_MS), SWEPT)
    raw = recount.frame(everything(log))

    assert set(table.index) == set(raw.user)
    for user in table.index:
        expected = recount.record(raw[raw.user == user], table.layout.purchase_words)
        assert not recount.differences(rolling(table, user), expected)


@given(logs(days=20, size=25), st.randoms(use_true_random=False))
@examples(12)
def test_a_poll_that_is_delivered_again_changes_nothing(log: Log, rng: random.Random):
    polls = list(arrivals(log, rng, DAY_MS))
    table = feed_all(empty_table(), polls)
    before = stored(table)

    # Kafka goes back to some offset of a topic and sends everything from there once more, cut differently.
    for topic in TOPICS:
        sent = [event for poll in polls if poll.topic == topic for event in poll.events]
        back = rng.randint(0, len(sent))
        assert not feed(table, Poll(topic, back, sent[back:])).any()

    assert stored(table) == before


@given(logs(days=20, size=20), st.randoms(use_true_random=False))
@examples(12)
def test_events_that_the_platform_sends_again_under_new_offsets_count_once(log: Log, rng: random.Random):
    table = feed_all(empty_table(), arrivals(log, rng, DAY_MS))
    before = {user: rolling(table, user) for user in table.index}

    for topic in TOPICS:
        latest: dict[str, list[Event]] = {}
        for event in log[topic]:
            latest.setdefault(event.user_id, []).append(event)
        again = [event for each in latest.values() if len(each) <= 8 for event in each]
        assert not feed(table, Poll(topic, 1000, again)).any()

    for user, fields in before.items():
        assert not recount.differences(rolling(table, user), fields)


def test_a_retried_order_with_a_new_event_id_is_known_by_its_transaction():
    own: dict[str, Any] = {"user_id": "ada", "ts": START, "transaction_id": "t1"}
    paid = {"value": 5.0, "currency": "EUR"}
    orders: list[Event] = [
        Purchase(event_id="a", **own, **paid),
        Refund(event_id="b", **own, **paid),
        Cancel(event_id="c", **own),
    ]
    retried = [msgspec.structs.replace(event, event_id=f"{event.event_id}-again") for event in orders]
    table = empty_table()

    assert feed(table, Poll("orders", 0, orders)).tolist() == [True, True, True]
    assert feed(table, Poll("orders", 3, retried)).tolist() == [False, False, False]
    known = rolling(table, "ada")
    assert (known["orders"], known["refunds"], known["cancels"]) == (1, 1, 1)


def test_a_day_of_purchase_counts_once_however_many_polls_bring_its_orders():
    table = empty_table()
    for number, ts in enumerate([START, START + 2 * DAY_MS, START + 5, START + 2 * DAY_MS + 5]):
        own = {"event_id": f"e{number}", "transaction_id": f"t{number}", "user_id": "ada", "ts": ts}
        feed(table, one_poll("orders", Purchase(value=1, currency="EUR", **own), offset=number), SWEPT)

    known = rolling(table, "ada")
    assert (known["orders"], known["order_days"]) == (4, 2)
    assert known["purchase_days"].tolist() == [0b101, 0, 0]


def test_stamps_are_kept_for_each_topic_and_customer():
    table = empty_table()
    feed(table, one_poll("clickstream", login(1, user="ada"), login(2, user="bob"), offset=5))

    assert table.rows["stamps"][table.slot("ada")].tolist() == [5, -1, -1, -1, -1]
    assert table.rows["stamps"][table.slot("bob")].tolist() == [6, -1, -1, -1, -1]


def test_a_table_grows_without_losing_anybody():
    table = empty_table()
    users = [f"u{i}" for i in range(3000)]

    for start in range(0, 3000, 700):
        batch = [login(i, START + i, users[i]) for i in range(start, min(start + 700, 3000))]
        feed(table, Poll("clickstream", start, batch))

    slots = table.live_slots()
    assert len(table) == 3000
    assert [table.name(slot) for slot in slots.tolist()] == users
    assert table.rows["first_ts"][slots].tolist() == [START + i for i in range(3000)]
    assert (table.rows["boundary"][slots] == LIVE).all()


def test_a_removed_customer_comes_back_as_a_new_one():
    table = empty_table()
    feed(table, one_poll("clickstream", login(1, START), login(2, START + 5 * DAY_MS)))
    table.remove("ada")

    assert table.slot("ada") is None
    assert len(table) == 0
    assert feed(table, one_poll("clickstream", login(1, START + 9), offset=7)).all()
    assert rolling(table, "ada")["logins"] == 1


def test_removing_somebody_unknown_is_no_error():
    empty_table().remove("nobody")


def test_an_empty_poll_changes_nothing():
    table = empty_table()

    assert feed(table, one_poll("orders")).tolist() == []
    assert len(table) == 0


@given(logs(days=6, size=20), st.randoms(use_true_random=False))
@examples(12)
def test_a_table_that_is_restored_from_its_records_goes_on_as_the_first_would(log: Log, rng: random.Random):
    polls = list(arrivals(log, rng, DAY_MS))
    half = rng.randint(0, len(polls))
    first, second = feed_all(empty_table(), polls[:half]), empty_table()
    for user, slot in first.index.items():
        second.put(user, first.rows[[slot, *first.forks(slot)]])

    for table in (first, second):
        feed_all(table, polls[half:])

    assert stored(second) == stored(first)
    chains = [[t.rows[t.forks(s)].tobytes() for s in t.index.values()] for t in (first, second)]
    assert chains[0] == chains[1]


def test_records_put_in_bulk_replace_customers_and_their_forks():
    table, other = empty_table(), empty_table()
    feed(table, one_poll("clickstream", login(1, START), login(2, START + 3 * DAY_MS)))
    feed(other, one_poll("clickstream", login(3, START + 1, "bob"), login(4, START + 2, "ada")), SWEPT)
    assert table.forks(table.index["ada"])

    slots = table.put_many(list(other.index), other.rows[other.live_slots()])

    assert stored(table) == stored(other)
    assert [table.name(slot) for slot in slots.tolist()] == ["bob", "ada"]
    assert table.forks(table.index["ada"]) == []


def test_slots_that_were_given_back_are_empty_and_used_again():
    table = empty_table()
    feed(table, one_poll("clickstream", login(1, START), login(2, START + 3 * DAY_MS)))
    table.remove("ada")

    assert not np.frombuffer(table.rows.tobytes(), np.uint8).any()
    feed(table, one_poll("clickstream", login(1, START, "bob"), login(2, START + 3 * DAY_MS, "bob")))
    assert len(table.names) == 3  # a live record and forks as of two days
