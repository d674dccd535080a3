"""Ten times more than a slow broker lets through, for minutes: the worker becomes slow, and stays small."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.latency import Due, send
from benchmarks.memory import resident_bytes
from benchmarks.workload import DAY_MS, Workload, preload
from deploy.kafka import missing
from streams.processes import read_metrics
from streams.topic_admin import create
from tests.broker.cluster import Cluster, WorkerProcess, shop_settings
from tests.broker.slow_wire import Wire, kafka_behind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.broker,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=f"no Kafka of its own: {missing()}"),
]

SECONDS: Final = 150.0
RATE: Final = 5_000
OVERLOAD: Final = 10
#: The window (32 MiB and a poll), what was fetched and not polled yet, and what Python and glibc keep of it.
MOST_GROWTH: Final = 100e6
PARTITIONS: Final = 12


class Memory:
    """The worker's resident memory, looked at every second: the highest since `anew`."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self.highest = 0

    def anew(self) -> int:
        """Begin again; the highest so far."""
        before, self.highest = self.highest, 0
        return before

    async def watch(self) -> None:
        while True:
            assert self._worker.child.returncode is None, self._worker.said()
            self.highest = max(self.highest, resident_bytes(self._worker.child.pid))
            await asyncio.sleep(1)


async def counted(worker: WorkerProcess, name: str) -> float:
    """Sum of one of the worker's metrics over its labels."""
    found = await asyncio.to_thread(read_metrics, worker.page() or "")
    return sum(value for key, value in found.items() if key.startswith(f"churnwatch_{name}{{"))


@asynccontextmanager
async def behind(wire: Wire, folder: Path) -> AsyncIterator[tuple[str, Cluster, WorkerProcess]]:
    """(address past the wire, cluster, its ready worker) on a broker behind `wire`."""
    async with kafka_behind(wire, folder / "kafka") as ends:
        usual = {"horizon_days": 60, "active_within_days": 120, "evict_after_days": 730}
        kafka = {"bootstrap_servers": ends.slow, "session_timeout_seconds": 10.0}
        worker_settings = {"checkpoint_bytes": 64 << 20, "checkpoint_ratio": 1.0}
        settings = shop_settings(folder, PARTITIONS, model=usual, kafka=kafka, worker=worker_settings)
        await create(settings.kafka.topics(), {"bootstrap_servers": ends.direct})
        cluster = Cluster(settings, folder)
        worker = await cluster.start_worker()
        try:
            await worker.ready(120)
            yield ends.direct, cluster, worker
            await cluster.stop()
        finally:
            if worker.child.returncode is None:
                await worker.kill()


def traffic(events: int, seed: int) -> Workload:
    """Events of 20,000 customers of a shop, from today."""
    start = int(time.time() * 1000) - DAY_MS // 10
    return Workload(events, users=20_000, seed=seed, start_ms=start, days=0.1)


def send_all(bootstrap: str, prefix: str) -> int:
    """Send `RATE` events a second for `SECONDS`; how many that were."""
    records = traffic(int(RATE * SECONDS), seed=2).records()
    return send(bootstrap, prefix, (Due(number / RATE, record) for number, record in enumerate(records)), {})


@pytest.mark.parametrize(
    "slow", [Wire(to_broker=200e3), Wire(to_broker=200e3, from_broker=250e3)], ids=["writes", "both ways"]
)
async def test_ten_times_the_load_behind_a_slow_broker_makes_the_worker_slow_and_not_large(
    slow: Wire, tmp_path: Path
) -> None:
    wire = Wire()
    async with behind(wire, tmp_path) as (direct, cluster, worker):
        prefix, memory = cluster.settings.kafka.topic_prefix, Memory(worker)
        watching = asyncio.create_task(memory.watch())
        known = traffic(60_000, seed=1)
        await asyncio.to_thread(preload, direct, prefix, known.records())
        await cluster.consumed()
        usual, before = memory.anew(), await counted(worker, "records_total")

        wire.to_broker, wire.from_broker = slow.to_broker, slow.from_broker
        sent = await asyncio.to_thread(send_all, direct, prefix)
        taken = await counted(worker, "records_total") - before
        wire.to_broker = wire.from_broker = None
        await cluster.consumed()
        overloaded, all_taken = memory.highest, await counted(worker, "records_total")
        watching.cancel()

    print(
        f"\n{sent} events sent, {taken:.0f} taken; {usual / 1e6:.0f} MB, overloaded {overloaded / 1e6:.0f} MB"
    )
    assert taken, "slow, not still"
    assert sent >= OVERLOAD * taken, "no overload"
    assert overloaded - usual < MOST_GROWTH
    assert all_taken == known.events + sent, "something was read twice"
    assert "recovering" not in worker.said(), "a slow write was taken for a failed one"
