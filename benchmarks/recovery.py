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


@dataclass(frozen=True)
class Recovery:
    """Rows per second of wall time, one row a customer."""

    rows: int
    changelog_rows_per_second: float
    checkpoint_rows_per_second: float


def measure(broker: Broker, customers: int, folder: Path) -> Recovery:
    """Write the rows of `customers` to a changelog, then a checkpoint, and recover from each."""
    broker.create([_TOPIC], 1)
    stored = list(Storage(build(customers)).everything())
    return asyncio.run(_measure({"bootstrap_servers": broker.bootstrap}, stored, folder / "checkpoint"))


async def _measure(options: dict[str, Any], stored: list[Row], path: Path) -> Recovery:
    end = await _write(options, stored)
    identity = Identity(_TOPIC, 0, 1)
    changelog = await _recover(options, identity, path, len(stored))
    checkpoint.write(path, identity, end, stored)
    return Recovery(len(stored), changelog, await _recover(options, identity, path, len(stored)))


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
    core = empty_core()
    started = time.perf_counter()
    found = await recover(CustomersState(core), identity, path, options)
    seconds = time.perf_counter() - started
    if found.broken or len(core.table) + 1 != rows:
        raise RuntimeError(f"recovered {len(core.table)} customers from {rows} rows: {found.broken[:1]}")
    return rows / seconds
