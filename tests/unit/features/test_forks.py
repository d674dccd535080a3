"""As of a decision time exactly the events before it are known, however far the log has run ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.clock import TopicClock
from features.events import Event, Login
from features.layout import DAY_MS, LIVE
from tests.examples import examples
from tests.oracle import recount
from tests.oracle.logs import (
    START,
    TOPICS,
    USERS,
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

DAYS = 6
SWEPT = START - DAY_MS


def as_of(table: UserTable, user: str, ts: int) -> dict[str, Any]:
    """The rolling fields of `user` as of `ts`; those of nobody if there is no record."""
    slot = table.slot(user)
    if slot is None:
        return {name: np.zeros((), table.layout.dtype)[name] for name in recount.fields(table.layout)}
    found = table.as_of(np.array([slot]), ts)[0]
    return {name: table.rows[name][found] for name in recount.fields(table.layout)}


def before(log: Log, ts: int) -> Log:
    return {topic: [event for event in log[topic] if event.ts < ts] for topic in TOPICS}


def in_order(log: Log) -> UserTable:
    """The table of a log that arrives in order and in which no decision time is pending."""
    table = empty_table()
    for topic in TOPICS:
        feed(table, Poll(topic, 0, sorted(log[topic], key=lambda e: e.ts)), START + 1000 * DAY_MS)
    return table


def assert_as_of(table: UserTable, log: Log, ts: int) -> None:
    expected = in_order(before(log, ts))
    for user in USERS:
        assert not recount.differences(as_of(table, user, ts), as_of(expected, user, LIVE))


#        swept      pending     pending      pending
#          |           |           |            |
#   events   e      e      e   e      e e    e      e       all arrive before the first sweep
@given(logs(DAYS, size=20), st.integers(1, 3), st.randoms(use_true_random=False))
@examples(15)
def test_of_many_pending_decision_times_each_sees_exactly_the_events_before_it(
    log: Log, every_days: int, rng: random.Random
):
    table = empty_table(every_days)
    swept = table.grid.floor(SWEPT)
    feed_all(table, arrivals(log, rng, 2 * DAY_MS), swept)

    while (swept := table.grid.after(swept)) <= START + (DAYS + every_days) * DAY_MS:
        assert_as_of(table, log, swept)


@given(logs(DAYS, size=15), st.randoms(use_true_random=False))
@examples(10)
def test_a_pending_decision_time_agrees_with_a_recount_of_the_raw_log(log: Log, rng: random.Random):
    table = feed_all(empty_table(), arrivals(log, rng, 2 * DAY_MS), SWEPT)
    ts = START + rng.randint(0, DAYS) * DAY_MS
    raw = recount.frame(event for event in everything(log) if event.ts < ts)

    for user in set(raw.user):
        expected = recount.record(raw[raw.user == user], table.layout.purchase_words)
        assert not recount.differences(as_of(table, user, ts), expected)


@given(logs(DAYS, size=25), st.randoms(use_true_random=False))
@examples(15)
def test_sweeps_between_polls_see_what_one_after_all_events_would_see(log: Log, rng: random.Random):
    """Swept as soon as the watermark allows, forks dropped now or later, as writes become durable."""
    table, lateness, swept = empty_table(), rng.choice([0, DAY_MS // 2, 2 * DAY_MS]), SWEPT
    clocks = {topic: TopicClock() for topic in TOPICS}
    for poll in arrivals(log, rng, lateness):
        feed(table, poll, swept)
        clocks[poll.topic].pass_over(np.array([event.ts - lateness for event in poll.events]))
        watermark = min(clock.bound for clock in clocks.values())
        while (following := table.grid.after(swept)) <= watermark:
            assert_as_of(table, log, following)
            swept = following
        if rng.random() < 0.5:
            table.drop_forks(swept)

    while (swept := table.grid.after(swept)) <= START + (DAYS + 1) * DAY_MS:
        assert_as_of(table, log, swept)
    table.drop_forks(swept)
    assert_as_of(table, log, LIVE)
    assert all(table.forks(slot) == [] for slot in table.index.values())


def login(number: int, ts: int, user: str = "ada") -> Event:
    return Login(event_id=f"e{number}", user_id=user, ts=ts)


#   day   0     1     2     3     4
#         |  a  |     |  b  |     |      a before b, b splits off the record as of day 2
#         |     | c   |     |     |      c then splits the record as of day 1 from it
def test_an_event_between_splits_a_fork_once_more():
    table = empty_table()
    noon = START + DAY_MS // 2
    for number, (day, forks) in enumerate([(0, [0]), (2, [2, 0]), (1, [2, 1, 0])]):
        feed(table, one_poll("clickstream", login(number, noon + day * DAY_MS), offset=number), SWEPT)
        boundaries = table.rows["boundary"][table.forks(table.index["ada"])]
        assert ((boundaries - START) // DAY_MS).tolist() == forks

    counts = [int(as_of(table, "ada", START + day * DAY_MS)["logins"]) for day in range(5)]
    assert counts == [0, 1, 2, 3, 3]


def test_an_event_before_the_next_decision_time_needs_no_fork():
    table = empty_table()
    feed(table, one_poll("clickstream", login(1, START + DAY_MS - 1)), START)

    assert table.forks(table.index["ada"]) == []


def test_an_event_at_a_decision_time_belongs_to_the_next_one():
    table = empty_table()
    feed(table, one_poll("clickstream", login(1, START + DAY_MS)), START)

    assert as_of(table, "ada", START + DAY_MS)["clicks"] == 0
    assert as_of(table, "ada", START + 2 * DAY_MS)["clicks"] == 1


def test_a_fork_does_not_share_memory_with_the_record_it_was_split_from():
    table = empty_table()
    feed(table, one_poll("clickstream", login(1, START), login(2, START + DAY_MS)), START)
    fork = table.forks(table.index["ada"])[0]
    kept = table.rows[fork].tobytes()

    table.rows["active_days"][table.index["ada"]] = 0
    feed(table, one_poll("clickstream", login(3, START + DAY_MS + 1), offset=9), START)

    assert table.rows[fork].tobytes() == kept


def test_a_customer_who_came_after_a_decision_time_is_nobody_as_of_it():
    table = empty_table()
    feed(table, one_poll("clickstream", login(1, START + DAY_MS + 5, "eve")), START)

    known = as_of(table, "eve", START + DAY_MS)
    assert not any(np.any(value) for value in known.values())
    assert as_of(table, "eve", START + 2 * DAY_MS)["first_ts"] == START + DAY_MS + 5


def test_dropping_forks_keeps_those_of_later_decision_times_and_names_who_had_any():
    table = empty_table()
    poll = one_poll(
        "clickstream",
        login(1, START + DAY_MS, "ada"),
        login(2, START + 3 * DAY_MS, "ada"),
        login(3, START + 3 * DAY_MS, "bob"),
        login(4, START, "cyd"),
    )
    feed(table, poll, START)
    ada, bob, cyd = (table.index[user] for user in ("ada", "bob", "cyd"))

    assert table.drop_forks(START) == []
    assert table.drop_forks(START + 2 * DAY_MS) == [ada]
    assert [len(table.forks(slot)) for slot in (ada, bob, cyd)] == [1, 1, 0]
    assert sorted(table.drop_forks(START + 3 * DAY_MS)) == sorted([ada, bob])
    assert [len(table.forks(slot)) for slot in (ada, bob, cyd)] == [0, 0, 0]


def test_a_hundred_forks_of_many_customers_fit_into_a_growing_table():
    table = empty_table()
    users = [f"u{i}" for i in range(100)]
    first = [login(i, START, user) for i, user in enumerate(users)]
    later = [login(i, START + (i % 5 + 1) * DAY_MS, user) for i, user in enumerate(users * 5, 100)]
    feed(table, Poll("clickstream", 0, first), START)
    feed(table, Poll("clickstream", 100, later), START)

    live = table.live_slots()
    for day in range(6):
        known = table.rows["logins"][table.as_of(live, START + day * DAY_MS)]
        expected = [
            sum(e.user_id == user and e.ts < START + day * DAY_MS for e in first + later) for user in users
        ]
        assert known.tolist() == expected if day else known.tolist() == [1] * 100
