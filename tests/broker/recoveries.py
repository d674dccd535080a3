"""What workers and logs tell of recoveries: rows, and the generations of the group."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from streams.processes import read_metrics
from streams.readers import end_offset

if TYPE_CHECKING:
    from streams.settings import Settings
    from tests.broker.cluster import Cluster, WorkerProcess


def generations(worker: WorkerProcess) -> list[int]:
    """Generations of the group in which the worker became ready."""
    ready = [line for line in worker.said().splitlines() if '"message":"ready"' in line]
    return [orjson.loads(line)["generation"] for line in ready]


async def rows_written(settings: Settings) -> int:
    """Rows on the changelog of customers."""
    topic, options = settings.kafka.topics()["customers-changelog"], settings.kafka.client_options()
    return sum([await end_offset(options, topic, p) for p in range(settings.kafka.partitions)])


async def rows_read(running: Cluster) -> dict[str, float]:
    """Rows of customers that the last worker's recovery read, by where they came from."""
    await running.workers[-1].ready()
    metrics = await asyncio.to_thread(read_metrics, running.workers[-1].page() or "")
    name = "churnwatch_recovery_rows_total"
    return {
        source: metrics.get(f"{name}{{source={source},table=customers}}", 0)
        for source in ("checkpoint", "changelog")
    }
