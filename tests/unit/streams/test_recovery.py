"""Recovery: checkpoint, tail, and when it must refuse. The changelog is an in-memory log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import TopicPartition

from streams import checkpoint
from streams.checkpoint import Identity
from streams.readers import StuckError, end_offset, read_until
from streams.recovery import RecoveryError, recover
from tests.fakes import FakeBroker, FakeConsumer, Notebook

if TYPE_CHECKING:
    from pathlib import Path

TOPIC = "g-customers-changelog"
MINE = Identity(TOPIC, 0, 12)


@pytest.fixture
def path(tmp_path: Path):
    return tmp_path / "customers-0.checkpoint"


def rows(*keys: str, start: int = 0) -> list[tuple[bytes, bytes | None]]:
    return [(key.encode(), str(number).encode()) for number, key in enumerate(keys, start)]


def write(broker: FakeBroker, *found: tuple[bytes, bytes | None]) -> None:
    for key, value in found:
        broker.logs[TOPIC, 0].append(key, value)


async def test_an_empty_changelog_gives_an_empty_state(broker: FakeBroker, path: Path):
    state = Notebook()

    found = await recover(state, MINE, path, {})

    assert (found.next_offset, found.from_checkpoint, found.from_changelog) == (0, 0, 0)
    assert state.numbers == {}
    assert state.finished


async def test_without_a_checkpoint_the_whole_changelog_is_read_and_the_last_row_of_a_key_wins(
    broker: FakeBroker, path: Path
):
    state = Notebook()
    write(broker, *rows("a", "b", "c", "d", "a"))

    found = await recover(state, MINE, path, {})

    assert (found.next_offset, found.from_checkpoint, found.from_changelog) == (5, 0, 5)
    assert found.tail_bytes == 10
    assert state.numbers == {"a": 4, "b": 1, "c": 2, "d": 3}


async def test_with_a_checkpoint_only_the_tail_is_read(broker: FakeBroker, path: Path):
    state = Notebook()
    write(broker, *rows("a", "b", "c", "d", "a"))
    checkpoint.write(path, MINE, 3, rows("a", "b", "c", start=70))

    found = await recover(state, MINE, path, {})

    assert (found.next_offset, found.from_checkpoint, found.from_changelog) == (5, 3, 2)
    assert state.numbers == {"a": 4, "b": 71, "c": 72, "d": 3}


async def test_a_checkpoint_right_at_the_log_start_is_used(broker: FakeBroker, path: Path):
    state = Notebook()
    write(broker, *rows("a", "b"))
    broker.logs[TOPIC, 0].cut(2)
    checkpoint.write(path, MINE, 2, rows("a", "b"))

    found = await recover(state, MINE, path, {})

    assert (found.next_offset, found.from_checkpoint, found.from_changelog) == (2, 2, 0)
    assert state.numbers == {"a": 0, "b": 1}


async def test_a_log_whose_last_records_were_compacted_away_is_read_to_its_end(
    broker: FakeBroker, path: Path
):
    write(broker, *rows("a"))
    broker.logs[TOPIC, 0].end = 9

    found = await recover(Notebook(), MINE, path, {})

    assert (found.next_offset, found.from_changelog) == (9, 1)


async def test_a_checkpoint_beyond_the_end_says_that_the_topic_was_recreated_and_what_to_do(
    broker: FakeBroker, path: Path
):
    write(broker, *rows("a"))
    checkpoint.write(path, MINE, 2, [])

    with pytest.raises(
        RecoveryError, match=r"up to 2, .* ends at 1: the topic was recreated\. If all"
    ) as error:
        await recover(Notebook(), MINE, path, {})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("offset", [None, 1])
async def test_a_log_start_beyond_the_checkpoint_is_never_a_silent_partial_recovery(
    broker: FakeBroker, path: Path, offset: int | None
):
    write(broker, *rows("a", "b", "c"))
    broker.logs[TOPIC, 0].cut(2)
    if offset is not None:
        checkpoint.write(path, MINE, offset, rows("a"))

    with pytest.raises(RecoveryError, match="begins at offset 2 and no checkpoint covers what came before"):
        await recover(Notebook(), MINE, path, {})


async def test_a_checkpoint_that_cannot_be_used_is_left_for_the_changelog(broker: FakeBroker, path: Path):
    state = Notebook()
    write(broker, *rows("a", "b"))
    checkpoint.write(path, Identity(TOPIC, 0, 24), 2, rows("x"))

    found = await recover(state, MINE, path, {})

    assert found.from_checkpoint == 0
    assert state.numbers == {"a": 0, "b": 1}


async def test_rows_that_cannot_be_read_are_left_out_and_told(broker: FakeBroker, path: Path):
    state = Notebook()
    write(broker, *rows("a"), (b"\xff", b"1"), (b"b", b"x"), *rows("c"))

    found = await recover(state, MINE, path, {})

    assert [key for key, _ in found.broken] == [b"\xff", b"b"]
    assert state.numbers == {"a": 0, "c": 0}


async def test_a_row_without_which_nothing_is_right_stops_the_recovery_with_topic_and_partition(
    broker: FakeBroker, path: Path
):
    write(broker, (b"p", b"newer"))

    with pytest.raises(RecoveryError, match=f"{TOPIC}/0 cannot be recovered: the partition row is newer"):
        await recover(Notebook(), MINE, path, {})


async def test_a_reader_that_stands_still_gives_up(broker: FakeBroker):
    class Still(FakeConsumer):
        async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[object]]:
            await asyncio.sleep(0.1)
            return {}

    tp = TopicPartition(TOPIC, 0)
    write(broker, *rows("a", "b"))
    consumer = Still(broker)
    consumer.assign([tp])

    with pytest.raises(StuckError, match=f"{TOPIC}/0 stands still at 0 of 2"):
        [each async for each in read_until(consumer, tp, 2, stuck_seconds=0)]


async def test_what_arrives_while_reading_is_left_for_later(broker: FakeBroker):
    tp = TopicPartition(TOPIC, 0)
    write(broker, *rows("a", "b", "c"))
    consumer = FakeConsumer(broker)
    consumer.assign([tp])

    found = [record.offset async for poll in read_until(consumer, tp, 2) for record in poll]

    assert found == [0, 1]


async def test_the_end_offset_is_the_one_behind_the_last_record(broker: FakeBroker):
    write(broker, *rows("a", "b"))

    assert await end_offset({}, TOPIC, 0) == 2
