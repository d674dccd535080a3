"""Durability of one partition: write → publish → mark → acknowledge, with one write in flight (DESIGN 4.7).

Batches are applied in memory as they come; the engine's own task writes what changed, publishes what
that write allows, and only then acknowledges the batches that led to it. While a write is in flight
further batches gather for the next one, so a slow broker makes larger writes, not more of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from streams import checkpoint
from streams.checkpoint import Identity
from streams.fencing import claim
from streams.logs import logger
from streams.readers import end_offset
from streams.recovery import byte_count, recover
from streams.sending import Message, Sender

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.outputs import Output, Publisher
    from streams.state import State
    from streams.telemetry import Metrics

log = logger(__name__)


class Acknowledgeable(Protocol):
    """A Faust event."""

    def ack(self) -> Any:
        """What came of this batch is durable and published."""


class ForeignWriteError(RuntimeError):
    """Somebody else wrote to this partition's changelog: our state is not the truth any more."""


class RevokedError(RuntimeError):
    """The partition is another worker's by now; nothing was written, and our state is what it was."""


@dataclass(frozen=True)
class EngineConfig:
    """What all engines of a worker share."""

    state_dir: Path
    partitions: int
    client_options: dict[str, Any]
    checkpoint_seconds: float
    checkpoint_bytes: int
    checkpoint_ratio: float = 0.0


class Engine:
    """One partition of one table. `topic` is the changelog's full name, `table` its short one."""

    def __init__(
        self,
        table: str,
        topic: str,
        partition: int,
        state: State,
        *,
        sender: Sender,
        publisher: Publisher,
        metrics: Metrics,
        config: EngineConfig,
        still_ours: Callable[[], bool],
    ) -> None:
        self.table = table
        self.partition = partition
        self.state = state
        #: End offset of each output topic after our last publication.
        self.ends: dict[str, int] = {}
        self._identity = Identity(topic, partition, config.partitions)
        self._path = config.state_dir / f"{table}-{partition}.checkpoint"
        self._sender = sender
        self._publisher = publisher
        self._metrics = metrics
        self._config = config
        self._still_ours = still_ours
        #: Where the next row of the changelog is expected: all before it is in the state.
        self.next_offset = 0
        self._unacked: list[Acknowledgeable] = []
        self._written_bytes = 0
        self._checkpoint_size = 0
        self._checkpoint_at = time.monotonic()

    async def recover(self) -> None:
        """Rebuild the state, publish again what was not known to be published. Raises RecoveryError."""
        found = await recover(self.state, self._identity, self._path, self._config.client_options)
        self.next_offset = found.next_offset
        self._written_bytes = found.tail_bytes
        self._checkpoint_size = self._path.stat().st_size if self._path.exists() else 0
        labels = (self.table, str(self.partition))
        self._metrics.recovery_seconds.labels(*labels).set(found.seconds)
        self._metrics.recovery_rows.labels(self.table, "checkpoint").inc(found.from_checkpoint)
        self._metrics.recovery_rows.labels(self.table, "changelog").inc(found.from_changelog)
        for key, why in found.broken:
            self._metrics.broken_rows.labels(self.table).inc()
            log.error("a stored row cannot be read and is left out", table=self.table, kind=key[:1], why=why)
        if found.void:
            self._metrics.void_rows.labels(self.table).inc(len(found.void))
            self.state.rewrite(set(found.void))
        await self._publish()

    def accept(self, event: Acknowledgeable) -> None:
        """`event` was applied in memory; acknowledge it when that is durable and published."""
        self._unacked.append(event)

    def release(self) -> list[Acknowledgeable]:
        """The batches that wait for their acknowledgement, given up by this engine."""
        released, self._unacked = self._unacked, []
        return released

    async def flush(self) -> None:
        """One round of write → publish → mark → acknowledge.

        Raises SendError or ForeignWriteError, after which the partition must be recovered, and RevokedError.
        """
        if not self._still_ours():
            raise RevokedError(f"{self.table}/{self.partition} was assigned to another worker")
        count = len(self._unacked)
        rows = self.state.take()
        snapshot = list(self.state.everything()) if rows and self._checkpoint_due(rows) else None
        if rows:
            await self._write(rows)
        self.state.confirm()
        await self._publish()
        for event in self._unacked[:count]:
            event.ack()
        del self._unacked[:count]
        if snapshot is not None:
            self._checkpoint(snapshot)

    async def _write(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        place = self.next_offset
        messages = [Message(key, value, claim(place + i)) for i, (key, value) in enumerate(rows)]
        with self._metrics.write_seconds.labels(self.table).time():
            sent = await self._sender.send(self._identity.topic, self.partition, messages)
        assert sent is not None, "no rows to write"
        first, end = sent
        self._metrics.rows_written.labels(self.table).inc(len(rows))
        # Also between two record batches of one write somebody else's may have come.
        if (foreign := end - place - len(rows)) != 0:
            self._metrics.foreign_writes.labels(self.table).inc(max(foreign, 1))
            where = f"{self._identity.topic}/{self.partition}"
            raise ForeignWriteError(
                f"{where}: expected to write at {place}, wrote at {first}; {foreign} rows of another's stand "
                "before or between ours"
            )
        self.next_offset = end

    async def _publish(self) -> None:
        outputs: list[Output] = self.state.outputs()
        if outputs:
            self.ends |= await self._publisher.publish(self.partition, outputs, self.next_offset)
        self.state.published()

    def _checkpoint_due(self, rows: list[tuple[bytes, bytes | None]]) -> bool:
        self._written_bytes += byte_count(rows)
        config = self._config
        # A checkpoint is the whole table: a large one must not be written for each small piece of tail.
        enough = max(config.checkpoint_bytes, config.checkpoint_ratio * self._checkpoint_size)
        return (
            self._written_bytes > enough or time.monotonic() - self._checkpoint_at > config.checkpoint_seconds
        )

    def _checkpoint(self, rows: list[tuple[bytes, bytes | None]]) -> None:
        size = checkpoint.write(self._path, self._identity, self.next_offset, rows)
        self._written_bytes, self._checkpoint_size, self._checkpoint_at = 0, size, time.monotonic()
        labels = (self.table, str(self.partition))
        self._metrics.checkpoint_bytes.labels(*labels).set(size)
        self._metrics.checkpoint_age.labels(*labels).set_to_current_time()

    async def unchanged(self) -> bool:
        """Whether nobody wrote to the changelog since we did: the state in memory is still the truth."""
        end = await end_offset(self._config.client_options, self._identity.topic, self.partition)
        return end == self.next_offset

    def checkpoint_now(self) -> None:
        """Write a checkpoint of a settled engine, at a graceful stop."""
        if not self._unacked:
            self._checkpoint(list(self.state.everything()))
