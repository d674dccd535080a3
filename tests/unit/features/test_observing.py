"""From records to judged events: the verdict is a function of the log, wherever polls cut it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import TopicClock
from features.decoding import EventDecoder
from features.events import Login
from features.layout import DAY_MS
from features.observing import REPLAY_HEADER, Judged, Record, judge
from tests.examples import examples
from tests.oracle import recount
from tests.oracle.logs import START, empty_table, feed, one_poll

if TYPE_CHECKING:
    import random

HOUR_MS = 3_600_000


def login(offset: int, ts: int, user: str = "ada", **record: Any) -> Record:
    event = {"type": "login", "event_id": f"e{offset}", "user_id": user, "ts": ts}
    return Record(offset, **{"key": user.encode(), "value": json.dumps(event).encode(), **record})


def tick(offset: int, ts: int) -> Record:
    return Record(offset, None, json.dumps({"type": "tick", "ts": ts}).encode())


def judged(records: list[Record], clock: TopicClock | None = None, lateness_ms: int = HOUR_MS) -> Judged:
    decoder = EventDecoder("clickstream")
    return judge(records, decoder, clock or TopicClock(), lateness_ms, (), lambda user: user != "stranger")


#   ts     0h    1h    2h    3h
#          |     a     |     |           bound 0h afterwards
#          |     |     |     b           bound 2h
#          |     |  c  |     |           late: 1.5h < 2h
#          |     |     d     |           at the bound itself: not late
def test_an_event_is_late_when_it_lies_below_the_bound_at_its_place_in_the_log():
    hours = (1, 3, 1.5, 2)

    found = judged([login(i, START + int(hour * HOUR_MS)) for i, hour in enumerate(hours)])

    assert found.late.tolist() == [False, False, True, False]


def test_a_tick_promises_that_nothing_before_it_follows():
    clock = TopicClock()

    found = judged([login(0, START), tick(1, START + 5), login(2, START + 4), login(3, START + 5)], clock)

    assert found.late.tolist() == [False, True, False]
    assert [each.ts for each in found.ticks] == [START + 5]
    assert clock.bound == START + 5


def test_a_tick_that_promises_less_than_was_known_takes_nothing_back():
    clock = TopicClock()

    found = judged([login(0, START + 2 * HOUR_MS), tick(1, START), login(2, START + HOUR_MS - 1)], clock)

    assert found.late.tolist() == [False, True]
    assert clock.bound == START + HOUR_MS


def test_rejected_records_move_no_watermark_and_are_handed_back_with_their_reason():
    clock = TopicClock()
    records = [
        Record(3, b"ada", b"{"),
        login(4, START + 50 * DAY_MS, key=b"bob"),
        login(5, START + 50 * DAY_MS, user="stranger"),
        login(6, START),
    ]

    found = judged(records, clock)

    assert [(record.offset, why.reason) for record, why in found.rejected] == [
        (3, "malformed_json"),
        (4, "misrouted"),
        (5, "misrouted"),
    ]
    assert found.batch.offsets.tolist() == [6]
    assert (clock.offset, clock.bound) == (6, START - HOUR_MS)


def test_records_that_were_read_before_are_skipped_and_judged_by_nothing():
    clock = TopicClock()
    judged([login(0, START), login(1, START + 9 * HOUR_MS)], clock)

    found = judged([login(0, START), login(1, START + 9 * HOUR_MS), login(4, START + 9 * HOUR_MS)], clock)

    assert (found.skipped, found.batch.offsets.tolist(), clock.offset) == (2, [4], 4)
    assert found.late.tolist() == [False]


def test_a_poll_of_nothing_new_leaves_the_clock_alone():
    clock = TopicClock(offset=7, bound=START)

    found = judged([login(3, START)], clock)

    assert (found.skipped, len(found.batch), clock) == (1, 0, TopicClock(offset=7, bound=START))
    assert len(judged([], clock).batch) == 0


def test_a_rejected_record_at_the_end_is_read_too():
    clock = TopicClock()
    judged([Record(9, None, None)], clock)

    assert clock.offset == 9


@pytest.mark.parametrize(
    ("headers", "replayed"),
    [((), False), (((REPLAY_HEADER, b"1"),), True), ((("ce_id", b"1"), (REPLAY_HEADER, b"")), True)],
)
def test_events_of_a_replay_are_known_by_their_header(headers: Any, replayed: bool):
    assert judged([login(0, START, headers=headers)]).replayed.tolist() == [replayed]


entry = st.tuples(st.sampled_from(["event", "event", "event", "tick", "broken"]), st.integers(0, 12))


@given(st.lists(entry, max_size=25), st.randoms(use_true_random=False))
@examples(20)
def test_the_verdict_is_the_same_wherever_polls_cut_the_log_and_however_often_they_repeat(
    log: list[tuple[str, int]], rng: random.Random
):
    make = {"event": login, "tick": tick, "broken": lambda offset, _: Record(offset, None, b"")}
    records = [make[what](i, START + hour * HOUR_MS) for i, (what, hour) in enumerate(log)]
    whole, clock = judged(records), TopicClock()
    late: list[bool] = []
    start = 0
    while start < len(records):
        end = rng.randint(start + 1, len(records))
        late += judged(records[rng.randint(0, start) : end], clock).late.tolist()
        start = end

    assert late == whole.late.tolist()


def test_late_events_change_nothing_in_the_table():
    table = empty_table()
    records = [
        login(0, START),
        login(1, START + 9 * HOUR_MS),
        login(2, START + HOUR_MS),
        login(3, START, "bob"),
    ]

    found = judged(records)
    usable = found.batch.take(np.flatnonzero(~found.late))
    feed(table, one_poll("clickstream", *usable.events))

    on_time = [
        Login(event_id=f"e{i}", user_id="ada", ts=START + hours * HOUR_MS) for i, hours in enumerate((0, 9))
    ]
    row = table.rows[table.index["ada"]]
    known = {name: row[name] for name in table.layout.rolling if name != "boundary"}
    assert found.late.tolist() == [False, False, True, True]
    assert not recount.differences(known, recount.record(recount.frame(on_time), 3))
    assert table.slot("bob") is None
