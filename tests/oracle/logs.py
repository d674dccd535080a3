"""Random logs, the ways in which they may arrive, and a table that is fed with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from hypothesis import strategies as st

from features.columns import columns
from features.grid import DecisionGrid
from features.layout import DAY_MS, Layout
from features.money import Currencies
from features.table import UserTable
from tests.strategies import events

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from features.events import Event

TOPICS = ("clickstream", "orders", "reviews")
#: A midnight UTC.
START = 18_262 * DAY_MS
USERS = ("ada", "bob", "cyd")

Log = dict[str, list["Event"]]


class Poll(NamedTuple):
    """Consecutive events of one topic, the first of which has this offset."""

    topic: str
    offset: int
    events: list[Event]


def moments(days: int) -> st.SearchStrategy[int]:
    """Times within `days` days, often at midnight or a moment beside it, where days and cohorts part."""
    at_midnight = st.builds(
        lambda day, beside: START + day * DAY_MS + beside,
        st.integers(1, days - 1),
        st.sampled_from([-1, 0, 1]),
    )
    return at_midnight | st.integers(START, START + days * DAY_MS - 1)


def logs(days: int, size: int) -> st.SearchStrategy[Log]:
    """At most `size` valid events of few customers, by topic, with ids of their own."""
    one = st.one_of([st.tuples(st.just(topic), events(topic, st.sampled_from(USERS))) for topic in TOPICS])
    return st.lists(st.tuples(one, moments(days)), max_size=size).map(_numbered)


def _numbered(drawn: list[tuple[tuple[str, Event], int]]) -> Log:
    log: Log = {topic: [] for topic in TOPICS}
    for number, ((topic, event), ts) in enumerate(drawn):
        own = {"event_id": f"e{number}", "ts": ts}
        if hasattr(event, "transaction_id"):
            own["transaction_id"] = f"t{number}"
        log[topic].append(msgspec.structs.replace(event, **own))
    return log


def everything(log: Log) -> list[Event]:
    """The events of all topics."""
    return [event for each in log.values() for event in each]


def arrivals(log: Log, rng: random.Random, lateness_ms: int) -> Iterator[Poll]:
    """One way for `log` to arrive without a late event.

    Every topic is shuffled within the allowed lateness and cut into polls anywhere; the polls of all topics
    interleave.
    """
    waiting = [list(_polls(topic, _shuffled(log[topic], rng, lateness_ms), rng)) for topic in TOPICS]
    while waiting := [each for each in waiting if each]:
        yield rng.choice(waiting).pop(0)


def _shuffled(log: list[Event], rng: random.Random, lateness_ms: int) -> list[Event]:
    # Delayed by at most the lateness, no event is overtaken by more than that.
    return sorted(log, key=lambda event: event.ts + rng.choice([0, rng.randint(0, lateness_ms)]))


def _polls(topic: str, log: list[Event], rng: random.Random) -> Iterator[Poll]:
    start = 0
    while start < len(log):
        end = start + rng.randint(1, len(log) - start)
        yield Poll(topic, start, log[start:end])
        start = end


def empty_table(every_days: int = 1, layout: Layout | None = None) -> UserTable:
    """A table without customers."""
    return UserTable(layout or Layout(), DecisionGrid(every_days), Currencies().micros)


def feed(table: UserTable, poll: Poll, swept: int = START - DAY_MS) -> NDArray[np.bool_]:
    """Let `table` take a poll; returns which of its events counted."""
    batch = columns(poll.topic, poll.events, range(poll.offset, poll.offset + len(poll.events)))
    slots = np.array([_slot(table, user) for user in batch.users], np.intp)
    fresh = table.fresh(batch, slots)
    index = np.flatnonzero(fresh)
    table.apply(batch.take(index), slots[index], swept)
    return fresh


def _slot(table: UserTable, user: str) -> int:
    slot = table.slot(user)
    return int(table.add([user], [len(table)])[0]) if slot is None else slot


def feed_all(table: UserTable, polls: Iterable[Poll], swept: int = START - DAY_MS) -> UserTable:
    """Let `table` take polls one after the other; returns it."""
    for poll in polls:
        feed(table, poll, swept)
    return table


def one_poll(topic: str, *each: Event, offset: int = 0) -> Poll:
    """These events as one poll."""
    return Poll(topic, offset, list(each))
