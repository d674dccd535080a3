"""The window: what is read and not acknowledged, reckoned in bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from features.observing import Record
from streams.window import RECORD_BYTES, Window
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.observing import RecordLike


@dataclass
class Batch:
    """As much of a message as the window looks at."""

    value: Sequence[RecordLike] = field(default_factory=list)
    weight: int = 0


def batch(*values: bytes | None) -> Batch:
    return Batch([Record(offset, b"u", value) for offset, value in enumerate(values)])


def test_a_record_weighs_its_value_and_what_becomes_of_it():
    window = Window(1 << 20)

    window.add(batch(b"12345", None))

    assert window.used == 5 + 2 * RECORD_BYTES


async def test_there_is_room_below_the_limit_and_none_from_it_on():
    window = Window(2 * RECORD_BYTES)
    one, two = batch(b""), batch(b"")

    window.add(one)
    assert await window.has_room(0)
    window.add(two)
    assert not await window.has_room(0)
    window.remove(one)
    assert await window.has_room(0)


async def test_whoever_waits_goes_on_as_soon_as_there_is_room():
    window, large = Window(1), batch(b"x" * 1_000)
    window.add(large)
    waiting = asyncio.create_task(window.has_room(60))
    await asyncio.sleep(0)

    window.remove(large)

    assert await asyncio.wait_for(waiting, 1)


async def test_a_batch_larger_than_the_limit_passes_when_nothing_else_is_under_way():
    window = Window(1)

    assert await window.has_room(0)


@examples(100)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans())))
def test_what_is_used_is_the_sum_of_what_is_in_it_however_often_a_batch_is_removed(
    steps: list[tuple[int, bool]],
):
    window = Window(1)
    batches = [batch(b"x" * size) for size in range(6)]
    inside: set[int] = set()

    for number, comes in steps:
        if not comes:
            window.remove(batches[number])
            inside.discard(number)
        elif number not in inside:
            window.add(batches[number])
            inside.add(number)

    assert window.used == sum(number + RECORD_BYTES for number in inside)
