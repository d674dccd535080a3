"""While no broker answers a worker says so, is not ready, stays alive, and can be stopped."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from deploy.kafka import KafkaCluster, missing
from tests.broker.brokers import RealKafka
from tests.broker.cluster import cluster
from tests.broker.faults import PATIENCE_SECONDS, come_back
from tests.broker.trading import trading
from tests.real_kafka import HEAP_MB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.kafka import Node
    from tests.broker.cluster import WorkerProcess

pytestmark = [
    pytest.mark.broker,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=f"needs Kafka to torment: {missing()}"),
]

#: Kubernetes gives a probe one second by default.
PROBE_SECONDS = 1.0
#: Kubernetes kills what has not ended by then, as docs/operations.md asks for.
GRACE_SECONDS = 60.0
AWAY = "the broker does not answer"


@pytest.fixture
def kafka_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One broker."""
    with KafkaCluster(tmp_path_factory.mktemp("alone"), heap_mb=HEAP_MB) as kafka:
        yield kafka


def probe(worker: WorkerProcess, page: str) -> tuple[int, list[str]]:
    """Status and problems, asked as an orchestrator does."""
    address = worker.page()
    assert address is not None, worker.said()
    try:
        with urllib.request.urlopen(f"{address}health/{page}", timeout=PROBE_SECONDS) as answer:
            return answer.status, json.load(answer)["problems"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["problems"]


async def until_away(worker: WorkerProcess) -> float:
    """Wait until the worker says that the broker is away, alive all the while; the seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while worker.page() is None:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
        while AWAY not in (await asyncio.to_thread(probe, worker, "ready"))[1]:
            assert await asyncio.to_thread(probe, worker, "live") == (200, [])
            await asyncio.sleep(0.2)
    return time.monotonic() - began


async def test_a_worker_started_without_a_broker_waits_for_it(
    kafka_alone: KafkaCluster, tmp_path: Path
) -> None:
    node = kafka_alone.nodes[0]
    async with cluster(await RealKafka.at(kafka_alone.bootstrap), tmp_path) as running:
        node.kill()
        worker = await running.start_worker()
        await until_away(worker)
        await asyncio.sleep(3)
        assert await asyncio.to_thread(probe, worker, "live") == (200, [])

        await come_back(kafka_alone, node)

        await worker.ready(PATIENCE_SECONDS)
        await running.stop()


async def test_a_broker_that_dies_as_a_worker_joins_is_waited_for(
    kafka_alone: KafkaCluster, tmp_path: Path
) -> None:
    """Longer than aiokafka asks for an offset, in the midst of recovery or of joining."""
    node = kafka_alone.nodes[0]
    async with cluster(await RealKafka.at(kafka_alone.bootstrap), tmp_path) as running:
        worker = await running.start_worker()
        while "BulkThread]: Starting" not in worker.said():  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        node.kill()
        await asyncio.sleep(45)

        await come_back(kafka_alone, node)

        await worker.ready(PATIENCE_SECONDS)
        await running.stop()


async def test_a_worker_can_be_stopped_before_any_broker_answered(
    kafka_alone: KafkaCluster, tmp_path: Path
) -> None:
    node = kafka_alone.nodes[0]
    async with cluster(await RealKafka.at(kafka_alone.bootstrap), tmp_path) as running:
        node.kill()
        worker = await running.start_worker()
        await until_away(worker)

        worker.child.terminate()

        assert await worker.ended(GRACE_SECONDS) == 0, worker.said()
        await come_back(kafka_alone, node)


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_a_worker_whose_broker_goes_says_so_stays_alive_and_is_ready_again_when_it_is_back(
    kafka_alone: KafkaCluster, how: str, tmp_path: Path
) -> None:
    node = kafka_alone.nodes[0]
    async with trading(kafka_alone, tmp_path, workers=1) as trade:
        (worker,) = trade.running.workers
        await worker.ready()
        lose(node, how)
        print(f"said so after {await until_away(worker):.1f} s")
        await asyncio.sleep(2)
        assert await asyncio.to_thread(probe, worker, "live") == (200, [])

        await bring_back(kafka_alone, node, how)

        began = time.monotonic()
        await worker.ready(PATIENCE_SECONDS)
        print(f"ready again after {time.monotonic() - began:.1f} s")
        assert await asyncio.to_thread(probe, worker, "live") == (200, [])


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_a_worker_can_be_stopped_while_its_broker_is_away_and_its_successor_loses_nothing(
    kafka_alone: KafkaCluster, how: str, tmp_path: Path
) -> None:
    node = kafka_alone.nodes[0]
    async with trading(kafka_alone, tmp_path, workers=1) as trade:
        worker = trade.running.workers.pop()
        await worker.ready()
        lose(node, how)
        await asyncio.sleep(2)

        began = time.monotonic()
        worker.child.terminate()
        # By force (1) if it could not leave the group: what was not committed comes again.
        assert await worker.ended(GRACE_SECONDS) in {0, 1}, worker.said()
        print(f"stopped within {time.monotonic() - began:.1f} s")

        await bring_back(kafka_alone, node, how)
        await trade.running.start_worker(host="host-0")
        await trade.commits.move()


def lose(node: Node, how: str) -> None:
    """The broker dies, or freezes with its connections open."""
    node.kill() if how == "killed" else node.pause()


async def bring_back(kafka: KafkaCluster, node: Node, how: str) -> None:
    """It serves again."""
    if how == "killed":
        await come_back(kafka, node)
    else:
        node.resume()
        await asyncio.to_thread(kafka.wait_until_up, PATIENCE_SECONDS)
