"""Recovery: a partition's state from its checkpoint and the changelog's tail, read in bulk.

We read changelogs ourselves instead of through Faust's recovery service: it hangs on one undecodable
record, on `compact,delete` topics and on transaction markers, and cannot start from a local file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from models.storage import Row
from streams import checkpoint
from streams.checkpoint import CheckpointError, Identity
from streams.logs import logger
from streams.state import State

log = logger(__name__)

_POLL_MS: Final = 200
_POLL_ROWS: Final = 20_000
#: No progress for this long means that recovery hangs: the worker is better off dead.
_STUCK_SECONDS: Final = 60.0


class RecoveryError(RuntimeError):
    """The state cannot be rebuilt; the message says why and the way out, in one line."""


@dataclass(frozen=True)
class Recovered:
    """What a recovery did: `next_offset` is where our next changelog row is expected."""

    next_offset: int
    from_checkpoint: bool
    rows: int
    broken: list[tuple[bytes, str]]
    seconds: float


async def recover(state: State, identity: Identity, path: Path, options: dict[str, Any]) -> Recovered:
    """Fill the empty `state` from the checkpoint at `path`, if it fits, and its changelog's tail.

    Rows that cannot be read are left out and reported. Raises RecoveryError when rows are missing that
    no checkpoint has, or when the changelog cannot be read to its end.
    """
    started = asyncio.get_running_loop().time()
    tp = TopicPartition(identity.topic, identity.partition)
    async with reader(options, tp) as consumer:
        first = (await consumer.beginning_offsets([tp]))[tp]
        end = (await consumer.end_offsets([tp]))[tp]
        start, count, broken = _from_checkpoint(state, identity, path, first, end)
        consumer.seek(tp, start)
        read, more_broken = await _read(consumer, tp, end, state) if start < end else (0, [])
    state.finish()
    seconds = asyncio.get_running_loop().time() - started
    return Recovered(end, start > first, count + read, broken + more_broken, seconds)


@asynccontextmanager
async def reader(options: dict[str, Any], *tps: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
    """A plain consumer of these partitions, without a group."""
    consumer = AIOKafkaConsumer(
        **options,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=20,
        max_partition_fetch_bytes=8 << 20,
    )
    await consumer.start()
    try:
        consumer.assign(list(tps))
        yield consumer
    finally:
        await consumer.stop()


async def end_offset(options: dict[str, Any], topic: str, partition: int) -> int:
    """The offset behind the last record of a topic partition."""
    tp = TopicPartition(topic, partition)
    async with reader(options, tp) as consumer:
        offsets = await consumer.end_offsets([tp])
    return int(offsets[tp])


def _from_checkpoint(
    state: State, identity: Identity, path: Path, first: int, end: int
) -> tuple[int, int, list[tuple[bytes, str]]]:
    """(changelog offset to read from, rows taken, rows left out)."""
    try:
        found = checkpoint.read(path, identity)
    except CheckpointError as error:
        log.warning("checkpoint not used", reason=str(error), partition=identity.partition)
        found = None
    if found is not None and found.offset > end:
        raise RecoveryError(
            f"the checkpoint {path} knows changelog offsets up to {found.offset}, but {identity.topic} ends at "
            f"{end}: the topic was recreated. Delete the state directory, or run `churnwatch rebuild`"
        )
    if found is not None and found.offset >= first:
        return found.offset, len(found.rows), state.restore(found.rows)
    if first > 0:
        raise RecoveryError(
            f"{identity.topic}/{identity.partition} begins at offset {first} and no checkpoint covers what "
            "came before: the embedded broker keeps only the tail of a log. Run `churnwatch rebuild`"
        )
    return first, 0, []


async def _read(
    consumer: AIOKafkaConsumer, tp: TopicPartition, end: int, state: State
) -> tuple[int, list[tuple[bytes, str]]]:
    rows, broken = 0, []
    loop = asyncio.get_running_loop()
    progressed = loop.time()
    while (position := await consumer.position(tp)) < end:
        batches = await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=_POLL_ROWS)
        found: list[Row] = [(r.key or b"", r.value) for r in batches.get(tp, ()) if r.offset < end]
        if found:
            broken += state.restore(found)
            rows += len(found)
        if await consumer.position(tp) > position:
            progressed = loop.time()
        elif loop.time() - progressed > _STUCK_SECONDS:
            raise RecoveryError(f"recovery of {tp.topic}/{tp.partition} stands still at {position} of {end}")
    return rows, broken
