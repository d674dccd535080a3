"""Recovery: a partition's state from its checkpoint and the changelog's tail, read in bulk.

We read changelogs ourselves instead of through Faust's recovery service: it hangs on one undecodable
record, on `compact,delete` topics and on transaction markers, and cannot start from a local file.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiokafka import TopicPartition

from features.rowcodec import NewerRowError, RowError
from interventions.rows import NewerRowError as NewerLedgerRowError
from interventions.rows import RowError as LedgerRowError
from streams import checkpoint
from streams.checkpoint import CheckpointError, Identity
from streams.fencing import is_void
from streams.logs import logger
from streams.readers import BrokenBatchError, StuckError, bounds, read_until, reader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from models.storage import Row
    from streams.state import State

log = logger(__name__)


#: The way out where a group's state is lost: nothing of the old group stands in the way of the new one.
START_ANEW: Final = (
    "set another kafka.group and run `churnwatch topics create`: it starts anew from the input topics"
)


class RecoveryError(RuntimeError):
    """The state cannot be rebuilt; the message says why and the way out, in one line."""


@dataclass(frozen=True)
class Recovered:
    """What a recovery did: `next_offset` is where our next changelog row is expected.

    Rows are counted by where they came from; `tail_bytes` is what a new checkpoint would spare the next
    recovery; `broken` are (key, why) of rows that were left out, `void` the keys of rows whose writer was
    late (`streams.fencing`), which have to be written again.
    """

    next_offset: int
    from_checkpoint: int
    from_changelog: int
    tail_bytes: int
    broken: list[tuple[bytes, str]]
    void: list[bytes]
    seconds: float


async def recover(state: State, identity: Identity, path: Path, options: dict[str, Any]) -> Recovered:
    """Fill the empty `state` from the checkpoint at `path`, if it fits, and its changelog's tail.

    Rows that cannot be read are left out and reported. Raises RecoveryError when rows are missing that
    no checkpoint has, when one is missing without which nothing is right, or when the changelog cannot be
    read to its end.
    """
    started = asyncio.get_running_loop().time()
    tp = TopicPartition(identity.topic, identity.partition)
    try:
        async with reader(options, tp) as consumer:
            first, end = await bounds(consumer, tp)
            start, kept = _from_checkpoint(identity, path, first, end)
            broken, tail, size = state.restore(kept), 0, 0
            void: list[bytes] = []
            consumer.seek(tp, start)
            async for records in read_until(consumer, tp, end):
                rows = [(record.key or b"", record.value) for record in records if not is_void(record)]
                if len(rows) < len(records):
                    void += [record.key or b"" for record in records if is_void(record)]
                broken += state.restore(rows)
                tail += len(rows)
                size += byte_count(rows)
        state.finish()
    except (NewerRowError, NewerLedgerRowError, StuckError) as error:
        raise RecoveryError(f"{identity.topic}/{identity.partition} cannot be recovered: {error}") from error
    except (RowError, LedgerRowError, BrokenBatchError) as error:
        place = f"{identity.topic}/{identity.partition}"
        raise RecoveryError(f"{place} cannot be recovered: {error}. Way out: {START_ANEW}") from error
    return Recovered(end, len(kept), tail, size, broken, void, asyncio.get_running_loop().time() - started)


def byte_count(rows: Iterable[Row]) -> int:
    """Bytes of keys and values."""
    return sum(len(key) + len(value or b"") for key, value in rows)


def _from_checkpoint(identity: Identity, path: Path, first: int, end: int) -> tuple[int, list[Row]]:
    """(changelog offset to read from, rows of everything before it)."""
    try:
        found = checkpoint.read(path, identity)
    except CheckpointError as error:
        log.warning("checkpoint not used", reason=str(error), partition=identity.partition)
        found = None
    if found is not None and found.offset > end:
        raise RecoveryError(
            f"the checkpoint {path} knows changelog offsets up to {found.offset}, but {identity.topic} ends "
            f"at {end}: the topic was recreated. If all topics were, delete the state directory; else "
            f"{START_ANEW}"
        )
    if found is not None and found.offset >= first:
        return found.offset, found.rows
    if first > 0:
        raise RecoveryError(
            f"{identity.topic}/{identity.partition} begins at offset {first} and no checkpoint covers what "
            f"came before: the embedded broker keeps only the tail of a log. Way out: {START_ANEW}"
        )
    return first, []
