"""A worker that is told to stop leaves in order: at any moment, in time, nothing lost or read twice."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest

from streams.processes import read_metrics
from tests.broker.backlog import committed_orders, sell
from tests.broker.brokers import ON_KAFKA, RealKafka
from tests.broker.cluster import cluster
from tests.broker.counting import orders, until_owned
from tests.broker.pages import answering

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka import KafkaCluster
    from tests.broker.brokers import Broker
    from tests.broker.cluster import Cluster, WorkerProcess

pytestmark = pytest.mark.broker

#: The grace period that the documents ask for; what is measured is far below it.
GRACE_SECONDS = 60.0


async def stop(worker: WorkerProcess, number: signal.Signals = signal.SIGTERM) -> float:
    """Stop a worker by a signal; how long that took."""
    began = time.monotonic()
    worker.child.send_signal(number)
    assert await worker.ended(GRACE_SECONDS) == 0, worker.said()
    return time.monotonic() - began


async def redelivered(worker: WorkerProcess) -> float:
    """Purchases that a worker was given though they had been counted."""
    metrics = await asyncio.to_thread(read_metrics, worker.page() or "")
    return metrics["churnwatch_events_total{fate=skipped,topic=orders}"]


async def finish(running: Cluster) -> WorkerProcess:
    """One more worker, which has consumed all that the others left."""
    worker = await running.start_worker()
    await worker.ready()
    await running.consumed()
    return worker


@ON_KAFKA
async def test_a_worker_that_is_stopped_in_the_middle_of_a_backlog_has_committed_what_it_counted(
    broker: Broker, tmp_path: Path
) -> None:
    """Stopped twice while batches are in flight, the second time as by Ctrl-C."""
    purchases = 80_000
    async with cluster(broker, tmp_path, partitions=4) as running:
        places: list[tuple[int, int]] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            await sell(running.settings, purchases)
            worker = await running.start_worker()
            await worker.ready()
            await stop(worker, number)
            counted = sum((await orders(running.settings)).values())
            places.append((await committed_orders(running.settings), counted))
        await sell(running.settings, purchases)
        last = await finish(running)
        skipped = await redelivered(last)
        await stop(last)
        found = await orders(running.settings)

    for committed, counted in places:
        assert committed == counted
    assert places[-1][1] < 2 * purchases, "all was consumed before the signal: nothing was in flight"
    assert skipped == 0
    assert sum(found.values()) == 3 * purchases


@ON_KAFKA
@pytest.mark.slow
async def test_a_worker_can_be_stopped_at_any_moment_of_its_start(broker: Broker, tmp_path: Path) -> None:
    """While it connects, joins, recovers and begins; what it comes to meanwhile counts once."""
    async with cluster(broker, tmp_path, partitions=4) as running:
        await sell(running.settings, 20_000, customers=5_000)
        for seconds in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
            worker = await running.start_worker(host=f"{seconds}")
            await answering(worker)
            await asyncio.sleep(seconds)
            assert await stop(worker) < 30
        await stop(await finish(running))
        found = await orders(running.settings)

    assert sum(found.values()) == 20_000


@ON_KAFKA
@pytest.mark.slow
async def test_a_worker_can_be_stopped_in_the_middle_of_a_rebalance(broker: Broker, tmp_path: Path) -> None:
    """The second joins, the first is stopped meanwhile; four moments of it."""
    async with cluster(broker, tmp_path, partitions=4) as running:
        first = await running.start_worker(host="0")
        await until_owned(first)
        for moment in range(1, 5):
            await sell(running.settings, 20_000)
            second = await running.start_worker(host=str(moment))
            await answering(second)
            await asyncio.sleep(0.3 * moment)
            assert await stop(first) < 30
            await until_owned(second)
            first = second
        await running.consumed()
        await stop(first)
        found = await orders(running.settings)

    assert sum(found.values()) == 80_000


@pytest.mark.slow
@pytest.mark.kafka
async def test_a_stop_while_the_broker_is_away_ends_by_force_and_nothing_is_lost(
    own_kafka: KafkaCluster, tmp_path: Path
) -> None:
    """Neither Faust nor aiokafka gives up: the process ends itself after `stop_seconds`."""
    broker = await RealKafka.at(own_kafka.bootstrap)
    async with cluster(broker, tmp_path, partitions=4, worker={"stop_seconds": 5}) as running:
        await sell(running.settings, 100_000)
        worker = await running.start_worker()
        await worker.ready()
        own_kafka.nodes[0].pause()
        began = time.monotonic()
        worker.child.terminate()
        code = await worker.ended(GRACE_SECONDS)
        seconds = time.monotonic() - began
        own_kafka.nodes[0].resume()
        await stop(await finish(running))
        found = await orders(running.settings)

    assert code == 1
    assert 5 <= seconds < 30
    assert "stopped by force: what was not committed is read again" in worker.said()
    assert sum(found.values()) == 100_000
