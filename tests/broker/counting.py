"""Who owns what, and how often each event counted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from streams.reading import read_core

if TYPE_CHECKING:
    from streams.settings import Settings
    from tests.broker.cluster import WorkerProcess


def owned(worker: WorkerProcess) -> set[int]:
    """Partitions of the worker's last assignment."""
    ready = [line for line in worker.said().splitlines() if '"message":"ready"' in line]
    return set(orjson.loads(ready[-1])["partitions"]) if ready else set()


async def until_owned(*workers: WorkerProcess, seconds: float = 120) -> None:
    """Wait until these workers share all partitions, each with some."""
    async with asyncio.timeout(seconds):
        while True:
            shares = [owned(worker) for worker in workers]
            if all(shares) and sorted(p for share in shares for p in share) == [0, 1, 2, 3]:
                return
            assert all(worker.child.returncode is None for worker in workers), workers[-1].said()
            await asyncio.sleep(0.05)


async def orders(settings: Settings) -> dict[str, int]:
    """Purchases that count, by customer, as they stand on the changelog."""
    found = {}
    for partition in range(settings.kafka.partitions):
        table = (await read_core(settings, partition)).table
        found.update({user: int(table.rows["orders"][slot]) for user, slot in table.index.items()})
    return found
