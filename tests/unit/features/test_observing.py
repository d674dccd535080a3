"""From records to judged events: the verdict is a function of the log, wherever polls cut it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import BEGINNING, TopicClock
from features.decoding import EventDecoder
from features.events import Login
from features.layout import DAY_MS
from features.observing import BY_BROKER, MAX_SKEW_MS, REPLAY_HEADER, Judged, Record, judge
from tests.examples import examples
from tests.oracle import recount
from tests.oracle.logs import START, empty_table, feed, one_poll

if TYPE_CHECKING:
    import random

HOUR_MS = 3_600_000


def login(offset: int, ts: int, user: str = "ada", **record: Any) -> Record:
    event = {"type": "login", "event_id": f"e{offset}", "user_id": user, "ts": ts}
    return Record(offset, **{"key": user.encode(), "value": json.dumps(event).encode(), **record})


def tick(offset: int, ts: int, session: str = "s") -> Record:
    return Record(offset, None, json.dumps({"type": "tick", "ts": ts, "session": session}).encode())


def judged(
    records: list[Record],
    clock: TopicClock | None = None,
    lateness_ms: int = HOUR_MS,
    now: int | None = None,
) -> Judged:
    decoder, clock = EventDecoder("clickstream"), clock or TopicClock()
    return judge(
        records,
        decoder,
        clock,
        lateness_ms,
        (),
        lambda user: user != "stranger",
        follows=lambda session, sent: session == "s" and sent <= START + 900 * DAY_MS,
        now=now,
    )


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


#   a phone 23 hours fast, and everybody else two minutes after what happened
def test_a_device_whose_clock_runs_ahead_makes_nobody_late_but_itself():
    clock, minute = TopicClock(), 60_000
    fast = login(0, START + 23 * HOUR_MS, user="fast", timestamp=START)
    honest = [login(1 + i, START + i - 2 * minute, timestamp=START + i) for i in range(20)]

    found = judged([fast, *honest], clock)

    assert not found.late.any()
    assert not found.rejected
    assert clock.bound == START - HOUR_MS


def test_an_event_without_a_record_time_promises_what_it_says_itself():
    clock = TopicClock()
    judged([login(0, START + 5 * HOUR_MS, timestamp=0)], clock)

    assert clock.bound == START + 4 * HOUR_MS


@pytest.mark.parametrize(
    ("timestamp", "by", "reasons"),
    [
        (START, 0, []),
        (START + MAX_SKEW_MS, 0, []),
        (START + MAX_SKEW_MS + 1, 0, ["bad_timestamp"]),
        (START + MAX_SKEW_MS + 1, None, ["bad_timestamp"]),
        (START + MAX_SKEW_MS + 1, BY_BROKER, []),
        (START + 30 * DAY_MS, 0, ["bad_timestamp"]),
        (0, 0, ["bad_timestamp"]),
        (-1, BY_BROKER, ["bad_timestamp"]),
        (START - 900 * DAY_MS, 0, []),
    ],
)
def test_a_record_whose_producer_lives_in_the_future_is_refused_and_moves_nothing(
    timestamp: int, by: int | None, reasons: list[str]
):
    clock = TopicClock()
    one = login(0, min(timestamp, START) if timestamp > 0 else START, timestamp=timestamp, timestamp_type=by)

    found = judged([one], clock, now=START)

    assert [why.reason for _, why in found.rejected] == reasons
    assert (clock.bound == BEGINNING) == bool(reasons)


def test_a_tick_that_promises_what_was_not_past_when_it_was_written_is_refused():
    clock, ahead = TopicClock(), tick(0, START + 1)._replace(timestamp=START)

    found = judged([ahead, tick(1, START - 5)._replace(timestamp=START)], clock)

    assert [(record.offset, why.reason) for record, why in found.rejected] == [(0, "bad_timestamp")]
    assert clock.bound == START - 5


def test_a_tick_of_no_session_and_one_that_was_sent_after_its_session_are_refused_and_move_nothing():
    clock, afterwards = TopicClock(), START + 901 * DAY_MS

    found = judged(
        [tick(0, START, ""), tick(1, START, "x"), tick(2, START)._replace(timestamp=afterwards)], clock
    )

    assert [why.reason for _, why in found.rejected] == ["stray_tick"] * 3
    assert (clock.bound, found.ticks) == (BEGINNING, [])


clocks = st.lists(st.tuples(st.integers(0, 48), st.integers(-30, 24)), min_size=1, max_size=30)


@given(clocks)
@examples(50)
def test_no_event_counts_as_later_than_its_record_whatever_the_clocks_say(log: list[tuple[int, int]]):
    """Each entry: the hour of its record, nondecreasing in the log, and how far its device is ahead."""
    hours = sorted(hour for hour, _ in log)
    records = [
        login(i, START + (hour + ahead) * HOUR_MS, timestamp=START + hour * HOUR_MS)
        for i, (hour, (_, ahead)) in enumerate(zip(hours, log, strict=True))
    ]
    clock = TopicClock()

    found = judged(records, clock)

    assert clock.bound <= START + (hours[-1] - 1) * HOUR_MS
    on_time = [ahead >= -1 for _, ahead in log]
    assert not (found.late & np.array(on_time)).any()


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
    known = {name: row[name] for name in recount.fields(table.layout)}
    assert found.late.tolist() == [False, False, True, True]
    assert not recount.differences(known, recount.record(recount.frame(on_time), 3))
    assert table.slot("bob") is None
