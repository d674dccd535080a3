"""Reading a topic partition by itself, without a consumer group: changelogs, models, progress."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError

from streams import fetching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from aiokafka import ConsumerRecord

fetching.use_plain_records()

_POLL_MS: Final = 200
_POLL_ROWS: Final = 20_000
#: No progress for this long means that reading hangs: the worker is better off dead.
STUCK_SECONDS: Final = 60.0


class StuckError(RuntimeError):
    """A topic partition cannot be read to the end it had."""


@asynccontextmanager
async def reader(
    options: dict[str, Any], *tps: TopicPartition, fetch_wait_ms: int = 20
) -> AsyncIterator[AIOKafkaConsumer]:
    """A plain consumer of these partitions; seek before reading.

    A fetch waits `fetch_wait_ms` for the first record: longer costs less where nothing comes.

    Raises KafkaError: UnknownTopicOrPartitionError at once if a topic is not there.
    """
    consumer = AIOKafkaConsumer(
        **options,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=fetch_wait_ms,
        max_partition_fetch_bytes=8 << 20,
    )
    try:
        await consumer.start()
        consumer.assign(list(tps))
        # Else aiokafka would ask for its offsets until it cannot tell this from a broker that is away.
        if unknown := {tp.topic for tp in tps} - await _topics(consumer):
            raise UnknownTopicOrPartitionError(f"{', '.join(unknown)}: run `churnwatch topics check`")
        yield consumer
    finally:
        await consumer.stop()


async def _topics(consumer: AIOKafkaConsumer) -> set[str]:
    try:
        return set(await consumer.topics())
    except KafkaError as error:
        # aiokafka's error says what failed; why is always the same: no broker answered.
        raise KafkaConnectionError(str(error)) from error


async def bounds(consumer: Any, tp: TopicPartition) -> tuple[int, int]:
    """(offset of the first record, offset behind the last) of a partition now."""
    first = (await consumer.beginning_offsets([tp]))[tp]
    end = (await consumer.end_offsets([tp]))[tp]
    return int(first), int(end)


async def end_offset(options: dict[str, Any], topic: str, partition: int) -> int:
    """The offset behind the last record of a topic partition."""
    return (await end_offsets(options, [topic], partition))[topic]


async def end_offsets(options: dict[str, Any], topics: Sequence[str], partition: int) -> dict[str, int]:
    """The offset behind the last record of one partition of each topic."""
    tps = [TopicPartition(topic, partition) for topic in topics]
    async with reader(options, *tps) as consumer:
        return {tp.topic: int(end) for tp, end in (await consumer.end_offsets(tps)).items()}


async def ends_of(options: dict[str, Any], tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset behind the last record of each of these partitions."""
    async with reader(options, *tps) as consumer:
        return {tp: int(end) for tp, end in (await consumer.end_offsets(list(tps))).items()}


async def unread(options: dict[str, Any], group: str, ends: Mapping[TopicPartition, int]) -> int:
    """Records before these offsets that the group has not committed; raises KafkaError."""
    consumer = AIOKafkaConsumer(**options, group_id=group, enable_auto_commit=False)
    tps = list(ends)
    try:
        await consumer.start()
        consumer.assign(tps)
        first = await consumer.beginning_offsets(tps)
        committed = {tp: await consumer.committed(tp) for tp in tps}
        return sum(max(ends[tp] - max(committed[tp] or 0, first[tp]), 0) for tp in tps)
    finally:
        await consumer.stop()


async def read_until(
    consumer: Any, tp: TopicPartition, end: int, stuck_seconds: float = STUCK_SECONDS
) -> AsyncIterator[Sequence[ConsumerRecord[Any, Any]]]:
    """Polls of records before offset `end`, from the consumer's position on.

    Raises StuckError when the broker answers and no record comes, KafkaError when it does not answer.
    """
    loop = asyncio.get_running_loop()
    progressed = loop.time()
    while (position := await consumer.position(tp)) < end:
        polled = await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=_POLL_ROWS)
        if found := [record for record in polled.get(tp, ()) if record.offset < end]:
            yield found
        if await consumer.position(tp) > position:
            progressed = loop.time()
        elif loop.time() - progressed > stuck_seconds:
            await consumer.end_offsets([tp])
            raise StuckError(f"reading {tp.topic}/{tp.partition} stands still at {position} of {end}")
