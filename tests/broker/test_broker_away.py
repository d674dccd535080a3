"""While no broker answers a worker says so, is not ready, stays alive, and can be stopped."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from deploy.kafka import KafkaCluster, missing
from tests.broker.brokers import RealKafka
from tests.broker.cluster import cluster
from tests.broker.faults import PATIENCE_SECONDS, come_back
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
