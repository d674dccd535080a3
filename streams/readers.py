"""Reading a topic partition by itself, without a consumer group: changelogs, models, progress."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError

from streams import fetching
from streams.batches import BrokenBatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from aiokafka import ConsumerRecord

fetching.use_plain_records()

_POLL_MS: Final = 200
_POLL_ROWS: Final = 20_000
#: No progress for this long means that reading hangs: the worker is better off dead.
STUCK_SECONDS: Final = 60.0


class BrokenBatchError(RuntimeError):
    """A batch of a log that is read alone cannot be unpacked: what it holds is missing."""

    def __init__(self, tp: TopicPartition, batch: BrokenBatch) -> None:
        self.tp, self.batch = tp, batch
        super().__init__(
            f"the record batch at {tp.topic}/{tp.partition}/{batch.offset} cannot be unpacked: {batch.why}"
        )


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


class PassingOver:
    """Has a consumer read on behind batches that cannot be unpacked; `told` hears of each once.

    One whose end nothing tells is passed over offset by offset.
    """

    def __init__(self, told: Callable[[BrokenBatchError], None]) -> None:
        self._told = told
        self._start = -1

    def over(self, consumer: Any, error: BrokenBatchError) -> None:
        """Seek behind the batch, or behind as much of it as is known."""
        if error.batch.start != self._start:
            self._told(error)
        self._start = error.batch.start
        consumer.seek(error.tp, error.batch.until)


async def polled(
    consumer: Any, *tps: TopicPartition, timeout_ms: int, max_records: int | None = None
) -> dict[TopicPartition, list[Any]]:
    """Records that came within the time. Raises BrokenBatchError where reading stands before such a batch."""
    found = {}
    for tp, records in (await consumer.getmany(*tps, timeout_ms=timeout_ms, max_records=max_records)).items():
        if records and isinstance(records[-1], BrokenBatch):
            if len(records) == 1:
                raise BrokenBatchError(tp, records[-1])
            records.pop()  # it comes again, by itself
        found[tp] = records
    return found


async def read_until(
    consumer: Any,
    tp: TopicPartition,
    end: int,
    stuck_seconds: float = STUCK_SECONDS,
    *,
    leave_out: Callable[[BrokenBatchError], None] | None = None,
) -> AsyncIterator[Sequence[ConsumerRecord[Any, Any]]]:
    """Polls of records before offset `end`, from the consumer's position on.

    A batch that cannot be unpacked is passed over where there is a `leave_out`, which is told of it once.
    Raises StuckError when the broker answers and no record comes, BrokenBatchError, and KafkaError when it
    does not answer.
    """
    loop = asyncio.get_running_loop()
    progressed = loop.time()
    passing = None if leave_out is None else PassingOver(leave_out)
    while (position := await consumer.position(tp)) < end:
        try:
            records = await polled(consumer, tp, timeout_ms=_POLL_MS, max_records=_POLL_ROWS)
        except BrokenBatchError as error:
            if passing is None:
                raise
            passing.over(consumer, error)
            continue
        if found := [record for record in records.get(tp, ()) if record.offset < end]:
            yield found
        if await consumer.position(tp) > position:
            progressed = loop.time()
        elif loop.time() - progressed > stuck_seconds:
            await consumer.end_offsets([tp])
            raise StuckError(f"reading {tp.topic}/{tp.partition} stands still at {position} of {end}")
