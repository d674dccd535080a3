"""How fast a partition's state comes back: from its changelog on the broker, and from a local checkpoint."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.population import build, empty_core
from models.storage import Storage
from streams import checkpoint
from streams.checkpoint import Identity
from streams.recovery import recover
from streams.sending import Message, Sender, new_producer
from streams.state import CustomersState

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from benchmarks.brokers import Broker
    from models.storage import Row

_TOPIC = "bench-recovery-changelog"
_AT_ONCE = 5_000
#: How often each row stands on the changelog: it is written again whenever its customer does something.
_TIMES = 4


@dataclass(frozen=True)
class Recovery:
    """Wall time from nothing to all customers, one row each, and rows per second of what was read for it."""

    customers: int
    changelog_rows: int
    changelog_seconds: float
    checkpoint_rows: int
    checkpoint_seconds: float

    @property
    def changelog_rows_per_second(self) -> float:
        """From the changelog alone."""
        return self.changelog_rows / self.changelog_seconds

    @property
    def checkpoint_rows_per_second(self) -> float:
        """From a checkpoint at the changelog's end."""
        return self.checkpoint_rows / self.checkpoint_seconds


def measure(broker: Broker, customers: int, folder: Path) -> Recovery:
    """Write the rows of `customers` to a changelog, then a checkpoint, and recover from each."""
    broker.create([_TOPIC], 1)
    stored = list(Storage(build(customers)).everything())
    return asyncio.run(_measure({"bootstrap_servers": broker.bootstrap}, stored, folder / "checkpoint"))


async def _measure(options: dict[str, Any], stored: list[Row], path: Path) -> Recovery:
    for _ in range(_TIMES):
        end = await _write(options, stored)
    identity, n = Identity(_TOPIC, 0, 1), len(stored)
    changelog = await _recover(options, identity, path, n)
    checkpoint.write(path, identity, end, stored)
    return Recovery(n - 1, _TIMES * n, changelog, n, await _recover(options, identity, path, n))


async def _write(options: dict[str, Any], stored: list[Row]) -> int:
    """Send all rows; the offset behind the last."""
    producer = new_producer(options)
    await producer.start()
    try:
        sender, end = Sender(producer, 60.0), 0
        for start in range(0, len(stored), _AT_ONCE):
            messages = [Message(key, value) for key, value in stored[start : start + _AT_ONCE]]
            sent = await sender.send(_TOPIC, 0, messages)
            assert sent is not None, "no slice is empty"
            end = sent[1]
    finally:
        await producer.stop()
    return end


async def _recover(options: dict[str, Any], identity: Identity, path: Path, rows: int) -> float:
    """The seconds that it took."""
    core = empty_core()
    started = time.perf_counter()
    found = await recover(CustomersState(core), identity, path, options)
    seconds = time.perf_counter() - started
    if found.broken or len(core.table) + 1 != rows:
        raise RuntimeError(f"recovered {len(core.table)} customers from {rows} rows: {found.broken[:1]}")
    return seconds
