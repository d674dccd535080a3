"""Bulk delivery: what is admitted, what is read again, what may be committed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiokafka.errors import IllegalStateError
from faust.types.tuples import TP
from hypothesis import example, given
from hypothesis import strategies as st

from streams.app import faust_app
from streams.batches import BrokenBatch
from streams.guard import HoleGuard
from streams.settings import load
from streams.stopping import cancelled
from streams.window import RECORD_BYTES, Window
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.bulk import BulkConsumer, BulkMessage

ORDERS = TP("orders", 0)
OTHER = TP("orders", 1)
REVIEWS = TP("reviews", 0)


class Record(NamedTuple):
    """As much of a consumer record as the consumer looks at."""

    offset: int
    timestamp: int = 1_000
    timestamp_type: int = 0
    value: bytes | None = b""


def records(*offsets: int) -> list[Any]:
    return [Record(offset) for offset in offsets]


def offsets(found: Iterable[Any]) -> list[int]:
    return [record.offset for record in found]


def expecting(offset: int, *, armed: bool) -> HoleGuard:
    """A guard that has seen everything before `offset`."""
    guard = HoleGuard()
    guard.admit(ORDERS, records(offset - 1))
    if armed:
        guard.arm(ORDERS)
    return guard


def test_the_first_batch_of_a_partition_nothing_is_known_of_is_delivered():
    guard = HoleGuard()

    assert guard.admit(ORDERS, records(7, 8)) == (records(7, 8), None)
    assert guard.next[ORDERS] == 9


def test_an_armed_guard_doubts_once_that_nothing_was_dropped_at_the_end_of_a_log():
    guard = expecting(5, armed=True)

    assert guard.doubt(ORDERS) == 5
    assert guard.doubt(ORDERS) is None
    assert guard.admit(ORDERS, records(5, 6)) == (records(5, 6), None)
    assert guard.doubt(ORDERS) is None
    guard.arm(ORDERS)
    assert guard.doubt(ORDERS) == 7


def test_an_armed_guard_drops_a_batch_that_begins_too_late_and_reads_again():
    guard = expecting(5, armed=True)

    assert guard.admit(ORDERS, records(8, 9)) == ((), 5)
    assert guard.admit(ORDERS, records(5, 6, 7)) == (records(5, 6, 7), None)
    assert guard.admit(ORDERS, records(8, 9)) == (records(8, 9), None)
    assert guard.mended == 1


def test_a_gap_without_any_drop_is_natural_and_costs_no_second_read():
    guard = expecting(5, armed=False)

    assert guard.admit(ORDERS, records(8)) == (records(8), None)
    assert guard.mended == 0


def test_a_gap_that_is_still_there_when_read_again_is_natural_and_nothing_was_mended():
    guard = expecting(5, armed=True)

    assert guard.admit(ORDERS, records(8)) == ((), 5)
    assert guard.admit(ORDERS, records(8)) == (records(8), None)
    assert guard.admit(ORDERS, records(9)) == (records(9), None)
    assert guard.mended == 0


def test_what_is_dropped_while_it_is_read_again_is_read_once_more():
    guard = expecting(5, armed=True)
    assert guard.admit(ORDERS, records(8)) == ((), 5)

    guard.arm(ORDERS)  # the records from 5 on came, and were dropped as well

    assert guard.admit(ORDERS, records(8)) == ((), 5)
    assert guard.admit(ORDERS, records(5, 6, 7, 8)) == (records(5, 6, 7, 8), None)


def test_records_from_before_the_expected_offset_are_skipped():
    guard = expecting(5, armed=True)

    assert guard.admit(ORDERS, records(3, 4)) == ((), None)
    admitted, again = guard.admit(ORDERS, records(4, 5, 6))
    assert (offsets(admitted), again) == ([5, 6], None)


def test_a_batch_that_is_skipped_whole_leaves_the_guard_armed():
    guard = expecting(5, armed=True)

    guard.admit(ORDERS, records(3, 4))

    assert guard.admit(ORDERS, records(8)) == ((), 5)


def test_a_seek_sets_the_expected_offset_and_arms():
    guard = expecting(50, armed=False)

    guard.expect({ORDERS: 20})

    assert guard.admit(ORDERS, records(50)) == ((), 20)
    assert offsets(guard.admit(ORDERS, records(20, 21))[0]) == [20, 21]


def test_a_forgotten_partition_starts_with_whatever_comes():
    guard = expecting(5, armed=True)
    guard.admit(ORDERS, records(8))

    guard.forget({ORDERS})

    assert ORDERS not in guard.next
    assert guard.admit(ORDERS, records(9)) == (records(9), None)
    assert guard.mended == 0


def test_partitions_do_not_mix():
    guard = expecting(5, armed=True)

    assert guard.admit(OTHER, records(8)) == (records(8), None)
    assert guard.admit(ORDERS, records(8)) == ((), 5)


# -- a model of a consumer that fetches, and of Faust that drops

log_offsets = st.lists(st.integers(1, 3), min_size=1, max_size=15).map(
    lambda steps: [sum(steps[:end]) for end in range(1, len(steps) + 1)]
)
fates = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(["deliver", "drop", "deliver", "rebalance"])), max_size=20
)


@examples(60)
@given(log=log_offsets, polls=fates, committed_share=st.floats(0, 1))
@example(
    log=[1, 2, 3, 4], polls=[(1, "deliver"), (1, "drop"), (1, "deliver"), (1, "drop")], committed_share=1
)
def test_whatever_is_dropped_is_delivered_once_and_in_order(
    log: list[int], polls: list[tuple[int, str]], committed_share: float
):
    # A drop is noticed by what comes next; until then the lag of the partition shows it.
    log = [*log, log[-1] + 1]
    guard, delivered, position, drops, rereads = HoleGuard(), [], 0, 1, 0
    guard.expect({ORDERS: 0})
    rest = [(6, "deliver")] * len(log)
    known = log[:-1]
    for size, fate in [*polls, *rest, (1, "next"), *rest]:
        if fate == "next":
            known = log
        if fate == "rebalance":
            # What was delivered and not committed is delivered again.
            position = delivered[int(committed_share * (len(delivered) - 1))] if delivered else 0
            delivered = [offset for offset in delivered if offset < position]
            guard.expect({ORDERS: position})
            drops += 1
            continue
        fetched = records(*[offset for offset in known if offset >= position][:size])
        if not fetched:
            continue
        position = fetched[-1].offset + 1
        if fate == "drop":
            guard.arm(ORDERS)
            drops += 1
            continue
        admitted, again = guard.admit(ORDERS, fetched)
        assert not (admitted and again is not None)
        delivered += offsets(admitted)
        if again is not None:
            position = again
            rereads += 1

    assert delivered == log
    assert rereads <= drops
    assert guard.mended <= rereads


# -- the consumer


@pytest.fixture
async def consumer(monkeypatch: pytest.MonkeyPatch):
    """A consumer without a broker; `fetch` says what the next poll brings."""
    app = faust_app(load())
    app.consumer_generation_id = 1
    consumer = app.consumer
    polled: dict[TP, list[Any]] = {}

    async def wait_next_records(_timeout: float) -> tuple[dict[TP, list[Any]], set[TP]]:
        return dict(polled), set(polled)

    sought: list[dict[TP, int]] = []

    class Thread:
        async def seek_wait(self, places: dict[TP, int]) -> None:
            sought.append(places)

    monkeypatch.setattr(consumer, "_wait_next_records", wait_next_records)
    monkeypatch.setattr(consumer, "_thread", Thread())
    monkeypatch.setattr(consumer, "highwater", lambda _: 100)
    consumer.polled, consumer.sought = polled, sought
    consumer._dealt = consumer._sought = 1
    consumer.resume_flow()
    return consumer


async def poll(consumer: BulkConsumer, **found: list[Any]) -> list[tuple[TP, BulkMessage]]:
    consumer.polled.clear()
    consumer.polled.update({TP(topic, 0): value for topic, value in found.items()})
    return [delivered async for delivered in consumer.getmany(1.0)]


async def test_a_poll_is_one_message_for_each_partition(consumer: Any):
    found = await poll(consumer, orders=records(3, 4, 5), reviews=records(7))

    assert [(tp.topic, message.first_offset, message.offset) for tp, message in found] == [
        ("orders", 3, 5),
        ("reviews", 7, 7),
    ]
    assert offsets(found[0][1].value) == [3, 4, 5]
    assert found[0][1].generation_id == 1


async def test_each_batch_names_the_one_before_it_in_its_partition_unless_its_place_was_sought(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    commits(consumer, monkeypatch, 0)
    (_, first), (_, other) = await poll(consumer, orders=records(0), reviews=records(0))
    ((_, second),) = await poll(consumer, orders=records(1))
    await consumer.perform_seek()
    ((_, again),) = await poll(consumer, orders=records(0, 1))

    assert (first.after, other.after, again.after) == (None, None, None)
    assert second.after == first.number
    assert len({message.number for message in (first, other, second, again)}) == 4


async def test_only_the_acknowledged_prefix_of_the_batches_is_committed(consumer: Any):
    messages = [(await poll(consumer, orders=records(*span)))[0][1] for span in [(0, 1), (2,), (3, 4), (5,)]]
    one, two, three, four = messages

    three.acked = four.acked = True
    assert consumer._new_offset(ORDERS) is None
    one.acked = True
    assert consumer._new_offset(ORDERS) == 2
    assert consumer._new_offset(ORDERS) is None
    two.acked = True
    assert consumer._new_offset(ORDERS) == 6


async def test_what_is_acknowledged_while_a_commit_is_under_way_is_committed_before_the_consumer_goes(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    first, second = [(await poll(consumer, orders=records(offset)))[0][1] for offset in (0, 1)]
    committed, answered = [], asyncio.Event()

    async def commit(*_: Any, **__: Any) -> bool:
        committed.append(consumer._new_offset(ORDERS))
        await answered.wait()
        return True

    monkeypatch.setattr(consumer, "force_commit", commit)
    first.acked = True
    under_way = asyncio.create_task(consumer.commit())
    await asyncio.sleep(0)
    second.acked = True
    stopping = asyncio.create_task(consumer.on_stop())
    await asyncio.sleep(0)
    answered.set()
    await asyncio.gather(under_way, stopping)

    assert committed == [1, 2]


async def test_a_log_that_ends_with_markers_is_at_its_end_once_a_poll_has_looked(consumer: Any):
    """The last record is 97, behind it are markers up to 100, the log's end."""
    await poll(consumer, orders=records(97))
    consumer.standing = Positions({ORDERS: 100})
    assert not consumer.at_end(ORDERS), "what comes yet may lie before the position"

    await poll(consumer)

    assert consumer.at_end(ORDERS)
    assert consumer.sought == []


async def test_a_partition_that_was_just_taken_away_is_not_read_again_and_ends_nothing(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    """Found by a storm: the group had dealt anew, and the worker ended with "No current assignment"."""
    await poll(consumer, orders=records(0))
    consumer.guard.arm(ORDERS)

    async def seek_wait(_: dict[TP, int]) -> None:
        raise IllegalStateError(f"No current assignment for partition {ORDERS}")

    with monkeypatch.context() as patched:
        patched.setattr(consumer._thread, "seek_wait", seek_wait)
        assert await poll(consumer, orders=records(2)) == []
        consumer.at_end(ORDERS)
        assert await poll(consumer) == []

    assert not consumer.guard.is_sure(ORDERS)
    assert await poll(consumer, orders=records(2)) == []
    assert consumer.sought == [{ORDERS: 1}], "once it is ours again, the hole is still known"


async def test_to_ask_while_a_batch_is_on_its_way_does_not_let_it_pass_for_one_that_was_read_again(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    await poll(consumer, orders=records(4))
    consumer.guard.arm(ORDERS)
    consumer.standing = Positions({ORDERS: 100})

    async def asked(_timeout: float) -> tuple[dict[TP, list[Any]], set[TP]]:
        assert not consumer.at_end(ORDERS)
        return {ORDERS: records(99)}, {ORDERS}

    monkeypatch.setattr(consumer, "_wait_next_records", asked)

    assert [delivered async for delivered in consumer.getmany(1.0)] == []
    assert consumer.sought == [{ORDERS: 5}]


async def test_who_doubts_reads_again_before_the_end_counts(consumer: Any):
    await poll(consumer, orders=records(4))
    consumer.guard.arm(ORDERS)
    consumer.standing = Positions({ORDERS: 100})
    assert not consumer.at_end(ORDERS)

    await poll(consumer)

    assert consumer.sought == [{ORDERS: 5}]
    assert not consumer.at_end(ORDERS)
    await poll(consumer)
    assert consumer.at_end(ORDERS)


class Positions:
    """How far partitions were read."""

    def __init__(self, known: dict[TP, int]) -> None:
        self._known = known

    def position(self, tp: TP) -> int | None:
        return self._known.get(tp)


async def test_what_was_delivered_is_under_way_until_it_is_acknowledged(consumer: Any):
    assert not consumer.has_unacknowledged(ORDERS)
    ((_, message),) = await poll(consumer, orders=records(0, 1))
    assert consumer.has_unacknowledged(ORDERS)

    message.acked = True

    assert not consumer.has_unacknowledged(ORDERS)


async def test_natural_gaps_are_committed_over(consumer: Any):
    for span in [(0, 1), (10, 20)]:
        ((_, message),) = await poll(consumer, orders=records(*span))
        message.acked = True

    assert consumer._new_offset(ORDERS) == 21


async def test_records_fetched_before_a_rebalance_are_not_delivered_and_read_again_after_it(consumer: Any):
    await poll(consumer, orders=records(0))

    async def changed(_timeout: float) -> tuple[dict[TP, list[Any]], set[TP]]:
        consumer.stop_flow()
        return {ORDERS: records(1, 2)}, {ORDERS}

    async def no_seek() -> None:
        raise RuntimeError("not assigned")

    waiting, consumer._wait_next_records = consumer._wait_next_records, changed
    consumer.perform_seek = no_seek
    assert [each async for each in consumer.getmany(1.0)] == []

    consumer._wait_next_records = waiting
    consumer.resume_flow()
    assert offsets((await poll(consumer, orders=records(1, 2, 3)))[0][1].value) == [1, 2, 3]
    assert consumer.sought == [{ORDERS: 1}]


async def test_records_fetched_in_an_older_generation_are_not_delivered_in_a_newer_one(consumer: Any):
    """They may lie behind what the newer one has to read first: it would be skipped as if it was counted."""

    await poll(consumer, orders=records(0))

    async def fetched_before(_timeout: float) -> tuple[dict[TP, list[Any]], set[TP]]:
        consumer.app.consumer_generation_id = 2
        return {ORDERS: records(7, 8)}, {ORDERS}

    waiting, consumer._wait_next_records = consumer._wait_next_records, fetched_before
    assert [each async for each in consumer.getmany(1.0)] == []
    consumer._wait_next_records = waiting
    await poll(consumer)

    assert consumer.sought == [{ORDERS: 1}], "though nothing follows"


async def test_what_is_read_once_the_flow_is_resumed_belongs_to_the_generation_of_then(consumer: Any):
    """Else the first poll of each generation would be dropped, and read again."""
    consumer.stop_flow()
    consumer.polled[ORDERS] = records(0, 1)
    polling = asyncio.create_task(anext(consumer.getmany(1.0)))
    await asyncio.sleep(0)

    consumer.app.consumer_generation_id = 2
    consumer.resume_flow()

    _, message = await asyncio.wait_for(polling, 1)
    assert (offsets(message.value), message.generation_id) == ([0, 1], 2)


def commits(consumer: Any, monkeypatch: pytest.MonkeyPatch, offset: int) -> None:
    """The broker knows this offset of ORDERS, which is ours."""

    async def committed() -> dict[TP, int]:
        return {ORDERS: offset}

    monkeypatch.setattr(consumer, "seek_to_committed", committed)
    monkeypatch.setattr(consumer, "assignment", lambda: {ORDERS})


async def test_what_is_read_anew_is_delivered_though_a_batch_of_before_finds_room_only_then(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    """Found by a storm: Faust noted that batch as read after the seek, and dropped what ended before it."""
    commits(consumer, monkeypatch, 2)
    arrived, room = asyncio.Queue(), asyncio.Event()

    async def into_a_full_buffer(message: BulkMessage) -> None:
        arrived.put_nowait(offsets(message.value))
        await room.wait()

    async def one_poll(_timeout: float) -> tuple[dict[TP, list[Any]], set[TP]]:
        return {ORDERS: await polls.get()}, {ORDERS}

    polls: asyncio.Queue[list[Any]] = asyncio.Queue()
    consumer.callback, consumer._wait_next_records = into_a_full_buffer, one_poll
    draining = asyncio.create_task(consumer._drain_messages(consumer.app._fetcher))
    polls.put_nowait(records(*range(10)))
    assert await asyncio.wait_for(arrived.get(), 1) == [*range(10)]

    await consumer.perform_seek()
    room.set()
    polls.put_nowait(records(2, 3, 4))

    assert await asyncio.wait_for(arrived.get(), 1) == [2, 3, 4]
    await cancelled(draining)


async def test_a_rebalance_that_ends_late_lets_nothing_be_read_in_the_midst_of_the_next(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    """Faust seeks for the one, and reads on though meanwhile everything was revoked for the other."""
    commits(consumer, monkeypatch, 2)

    async def done(*_: Any) -> None:
        pass

    monkeypatch.setattr(consumer, "_on_partitions_assigned", done)
    monkeypatch.setattr(consumer, "_on_partitions_revoked", done)

    await consumer.perform_seek()
    await consumer.on_partitions_revoked({ORDERS})
    consumer.resume_flow()
    assert not consumer.flow_active, "revoked since"
    await consumer.perform_seek()
    consumer.resume_flow()
    assert not consumer.flow_active, "sought, but where the group has not dealt yet"
    await consumer.on_partitions_assigned({ORDERS}, 2)
    consumer.resume_flow()
    assert not consumer.flow_active, "dealt, but not sought since"
    await consumer.perform_seek()
    consumer.resume_flow()
    assert consumer.flow_active


async def test_a_seek_that_takes_longer_than_faust_waits_for_it_resumes_the_flow_when_it_is_through(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    """Faust would end the task that resumes it, and nobody would hear of it."""
    commits(consumer, monkeypatch, 2)
    back, committed = asyncio.Event(), consumer.seek_to_committed

    async def while_the_coordinator_is_away() -> dict[TP, int]:
        await back.wait()
        return await committed()

    monkeypatch.setattr(consumer, "seek_to_committed", while_the_coordinator_is_away)
    consumer._seek_seconds = 0.01
    consumer.stop_flow()
    consumer._sought = None

    await asyncio.wait_for(consumer.perform_seek(), 1)
    consumer.resume_flow()
    assert not consumer.flow_active
    back.set()
    await asyncio.wait_for(consumer.can_resume_flow.wait(), 1)

    assert consumer.guard.next == {ORDERS: 2}


async def test_a_late_seek_that_fails_ends_the_consumer_instead_of_leaving_it_still(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    async def fails() -> dict[TP, int]:
        await asyncio.sleep(0.03)
        raise OSError("gone")

    monkeypatch.setattr(consumer, "seek_to_committed", fails)
    consumer._seek_seconds = 0.01

    await consumer.perform_seek()
    await asyncio.wait_for(consumer._seeking, 1)

    assert isinstance(consumer.crash_reason, OSError)


async def test_records_of_a_partition_that_is_not_active_yet_are_read_again(consumer: Any):
    await poll(consumer, orders=records(0), reviews=records(0))

    async def inactive(_timeout: float) -> tuple[dict[TP, list[Any]], set[TP]]:
        return {ORDERS: records(1)}, set()

    waiting, consumer._wait_next_records = consumer._wait_next_records, inactive
    assert [each async for each in consumer.getmany(1.0)] == []

    consumer._wait_next_records = waiting
    assert await poll(consumer) == []
    assert consumer.sought == [{ORDERS: 1}], "though nothing follows"


async def test_a_generation_that_changes_between_two_partitions_stops_the_delivery(consumer: Any):
    consumer.polled.update({ORDERS: records(0), TP("reviews", 0): records(0)})
    delivered = []
    async for tp, _ in consumer.getmany(1.0):
        delivered.append(tp.topic)
        consumer.app.consumer_generation_id = 2

    assert delivered == ["orders"]


async def test_revoked_partitions_are_forgotten(consumer: Any):
    await poll(consumer, orders=records(0))

    await consumer.on_partitions_revoked({ORDERS})

    assert consumer._new_offset(ORDERS) is None
    assert ORDERS not in consumer.guard.next


async def test_what_is_passed_over_or_never_delivered_leaves_nothing_to_apply(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    """Held triggers would wait for the next record of a topic on which nothing may come for months."""
    commits(consumer, monkeypatch, 90)
    await poll(consumer, orders=[*records(90, 91), BROKEN._replace(offset=92, until=100)])
    assert consumer.has_delivered_beyond(ORDERS, 91), "reading stands before what comes"

    consumer.pass_over(ORDERS, consumer.broken[ORDERS])
    await poll(consumer)
    assert not consumer.has_delivered_beyond(ORDERS, 91)
    assert consumer.has_delivered_beyond(ORDERS, 90), "delivered and not applied yet"

    await consumer.perform_seek()
    consumer.guard.expect({ORDERS: 100})
    assert not consumer.has_delivered_beyond(ORDERS, -1), "nothing of it since a log that was emptied"


# -- a partition that has no room


@pytest.fixture
def asked(consumer: Any, monkeypatch: pytest.MonkeyPatch) -> list[set[TP]]:
    """Which partitions each poll asked for: ORDERS, OTHER and REVIEWS are active, and nothing comes."""
    polls: list[set[TP]] = []

    async def getmany(active: set[TP], _timeout: float) -> dict[TP, list[Any]]:
        polls.append(active)
        return {}

    monkeypatch.setattr(consumer, "_wait_next_records", lambda timeout: polled(consumer, timeout))
    monkeypatch.setattr(consumer._thread, "getmany", getmany, raising=False)
    consumer.app.bulk_topic("orders", "reviews")
    return polls


async def polled(consumer: Any, seconds: float) -> tuple[dict[TP, list[Any]], set[TP]]:
    """As Faust's, with what the test says came first."""
    active = {ORDERS, OTHER, REVIEWS}
    found, _ = dict(consumer.polled), consumer.polled.clear()
    return found or await consumer._getmany(active, seconds), active


async def test_a_partition_of_which_too_much_is_under_way_stands_still_with_all_its_topics_and_alone(
    consumer: Any, asked: list[set[TP]]
):
    consumer.window = Window(3 * RECORD_BYTES)
    ((_, message),) = await poll(consumer, orders=records(0, 1))

    await poll(consumer)
    assert asked == [{OTHER}]
    consumer.ack(message)
    await poll(consumer)

    assert asked[1:] == [{ORDERS, OTHER, REVIEWS}]


async def test_where_nothing_has_room_an_acknowledgement_ends_the_wait(consumer: Any, asked: list[set[TP]]):
    consumer.window = Window(1)
    found = await poll(consumer, orders=records(0))
    consumer.polled[OTHER] = records(0)
    found += [delivered async for delivered in consumer.getmany(1.0)]
    reading = asyncio.create_task(poll(consumer))
    await asyncio.sleep(0.01)
    assert (reading.done(), asked) == (False, [])

    consumer.ack(found[0][1])

    assert await asyncio.wait_for(reading, 0.5) == []


async def test_a_poll_without_room_ends_in_time_with_nothing(consumer: Any, asked: list[set[TP]]):
    consumer.window = Window(1)
    await poll(consumer, orders=records(0))
    consumer.polled[OTHER] = records(0)
    assert [message.offset async for _, message in consumer.getmany(1.0)] == [0]

    assert [each async for each in consumer.getmany(0.001)] == []
    assert asked == []


async def test_an_acknowledged_batch_gives_its_records_up_before_its_offset_is_committed(consumer: Any):
    ((_, message),) = await poll(consumer, orders=records(0, 1))

    consumer.ack(message)

    assert not message.value
    assert consumer._new_offset(ORDERS) == 2


async def test_what_is_revoked_or_read_anew_takes_no_room_and_is_acknowledged_in_vain(consumer: Any):
    ((_, one),) = await poll(consumer, orders=records(0, 1))
    ((_, other),) = await poll(consumer, reviews=records(0))

    await consumer.on_partitions_revoked({ORDERS})
    assert consumer.window.used == RECORD_BYTES
    consumer.forget({REVIEWS})
    for message in (one, other):
        consumer.ack(message)

    assert consumer.window.used == 0


async def test_the_schema_passes_records_on_as_they_are(consumer: Any):
    ((_, message),) = await poll(consumer, orders=records(0, 1))
    topic = consumer.app.bulk_topic("orders")

    event = await topic.schema.compile(consumer.app)(message)

    assert event.value is message.value
    assert event.message is message


# -- batches that cannot be unpacked


BROKEN = BrokenBatch(5, 8, "its checksum is another", b"bytes")


async def test_before_a_broken_batch_its_partition_stands_still_and_the_others_go_on(consumer: Any):
    found = await poll(consumer, orders=[*records(3, 4), BROKEN], reviews=records(7))

    assert [(tp.topic, offsets(message.value)) for tp, message in found] == [
        ("orders", [3, 4]),
        ("reviews", [7]),
    ]
    assert consumer.broken == {ORDERS: BROKEN}
    assert consumer.guard.next[ORDERS] == 5
    assert not consumer.at_end(ORDERS)


async def test_a_partition_that_stands_before_a_broken_batch_is_not_read(consumer: Any, asked: list[set[TP]]):
    await poll(consumer, orders=[BROKEN])
    await poll(consumer)

    assert asked == [{OTHER, REVIEWS}]


async def test_nothing_is_passed_over_that_nobody_passed_over(consumer: Any):
    await poll(consumer, orders=[BROKEN])
    assert await poll(consumer, orders=[BROKEN]) == []

    consumer.pass_over(ORDERS, BROKEN._replace(offset=4))
    consumer.pass_over(OTHER, BROKEN)
    assert await poll(consumer) == []

    assert consumer.broken == {ORDERS: BROKEN}
    assert consumer.sought == []


async def test_what_was_passed_over_is_read_on_behind_it(consumer: Any):
    await poll(consumer, orders=[*records(4), BROKEN])

    consumer.pass_over(ORDERS, BROKEN)
    ((_, message),) = await poll(consumer, orders=records(8, 9))

    assert offsets(message.value) == [8, 9]
    assert consumer.sought == [{ORDERS: 8}]
    assert consumer.broken == {}


async def test_a_hole_before_a_broken_batch_is_mended_first(consumer: Any):
    consumer.guard.expect({ORDERS: 3})

    assert await poll(consumer, orders=[BROKEN]) == []
    assert (consumer.sought, consumer.broken) == ([{ORDERS: 3}], {})

    ((_, message),) = await poll(consumer, orders=[*records(3, 4), BROKEN])
    assert offsets(message.value) == [3, 4]
    assert consumer.broken == {ORDERS: BROKEN}


async def test_a_seek_lets_a_partition_go_that_stood_still_since_what_comes_before_is_read_again(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
):
    commits(consumer, monkeypatch, 3)
    await poll(consumer, orders=[*records(3, 4), BROKEN])
    await consumer.perform_seek()
    assert consumer.broken == {}
    ((_, message),) = await poll(consumer, orders=[*records(3, 4), BROKEN])

    assert offsets(message.value) == [3, 4]
    assert consumer.broken == {ORDERS: BROKEN}


async def test_a_partition_that_goes_stands_still_for_nobody(consumer: Any, monkeypatch: pytest.MonkeyPatch):
    commits(consumer, monkeypatch, 0)
    await poll(consumer, orders=[BROKEN])
    await consumer.on_partitions_revoked({ORDERS})

    assert consumer.broken == {}
