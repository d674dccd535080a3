"""The window: what is read and not acknowledged, reckoned in bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from features.observing import Record
from streams.window import LEAST_RECORDS, MOST_RECORDS, RECORD_BYTES, Window
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.observing import RecordLike


@dataclass
class Batch:
    """As much of a message as the window looks at."""

    value: Sequence[RecordLike] = field(default_factory=list)
    lane: int = 0
    weight: int = 0


def batch(*values: bytes | None, lane: int = 0) -> Batch:
    return Batch([Record(offset, b"u", value) for offset, value in enumerate(values)], lane)


def poll(window: Window, lane: int) -> Batch:
    """The largest batch of small records that the window lets a poll bring."""
    return batch(*[b""] * window.records(), lane=lane)


def test_a_record_weighs_its_value_and_what_becomes_of_it():
    window = Window(1 << 20)

    window.add(batch(b"12345", None))

    assert window.used == 5 + 2 * RECORD_BYTES


def test_a_lane_may_hold_as_much_as_it_leaves_free():
    window = Window(4 * RECORD_BYTES)
    one, two = batch(b""), batch(b"")

    window.add(one)
    assert not window.is_full(0)
    window.add(two)
    assert window.is_full(0)
    window.remove(one)
    assert not window.is_full(0)


def test_who_holds_nothing_is_never_full():
    window = Window(1)
    window.add(batch(b"x" * 1_000))

    assert window.is_full(0)
    assert not window.is_full(1)


async def test_whoever_waits_goes_on_as_soon_as_something_is_acknowledged():
    window, large = Window(1), batch(b"x" * 1_000)
    window.add(large)
    waiting = asyncio.create_task(window.less(60))
    await asyncio.sleep(0)

    window.remove(large)

    await asyncio.wait_for(waiting, 1)


async def test_and_in_time_if_nothing_is():
    await Window(1).less(0.001)


def test_a_poll_brings_fewer_records_the_less_is_free_and_always_some():
    window = Window(MOST_RECORDS * 4 * RECORD_BYTES)
    assert window.records() == MOST_RECORDS

    window.add(batch(*[b""] * MOST_RECORDS * 3))
    assert window.records() == MOST_RECORDS // 2
    window.add(batch(*[b""] * MOST_RECORDS * 2))
    assert window.records() == LEAST_RECORDS


@examples(100)
@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=60))
def test_however_many_stand_still_all_is_bounded_and_who_goes_on_has_room(steps: list[tuple[int, bool]]):
    """Lane 8 acknowledges whatever it reads; the others only sometimes."""
    limit, lanes = 32 << 20, 8
    window, held = Window(limit), {lane: [] for lane in range(lanes)}

    for lane, reads in steps:
        assert not window.is_full(lanes)
        if not reads and held[lane]:
            window.remove(held[lane].pop())
        elif not window.is_full(lane):
            found = poll(window, lane)
            window.add(found)
            held[lane].append(found)
        assert window.used <= limit + lanes * LEAST_RECORDS * RECORD_BYTES


def test_one_that_stands_still_alone_takes_half_and_all_of_them_no_more_than_there_is():
    window = Window(32 << 20)
    while not window.is_full(0):
        window.add(poll(window, 0))

    assert 0.5 <= window.used / (32 << 20) < 0.75
    for lane in range(1, 12):
        while not window.is_full(lane):
            window.add(poll(window, lane))
    assert window.used < 1.2 * (32 << 20)


@examples(100)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans())))
def test_what_is_used_is_the_sum_of_what_is_in_it_however_often_a_batch_is_removed(
    steps: list[tuple[int, bool]],
):
    window = Window(1)
    batches = [batch(b"x" * size, lane=size % 2) for size in range(6)]
    inside: set[int] = set()

    for number, comes in steps:
        if not comes:
            window.remove(batches[number])
            inside.discard(number)
        elif number not in inside:
            window.add(batches[number])
            inside.add(number)

    assert window.used == sum(number + RECORD_BYTES for number in inside)
    assert [window.is_full(lane) for lane in (0, 1)] == [
        any(number % 2 == lane for number in inside) for lane in (0, 1)
    ]
