"""An input topic that was deleted and made again: its offsets mean nothing to our stamps; a worker says so.

On real Kafka only: the embedded broker cannot delete a topic.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from streams.reading import read_core
from streams.topic_admin import create, delete
from tests.broker.cluster import Cluster, cluster
from tests.broker.hands import SECONDS, buy, last_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.broker.brokers import RealKafka

pytestmark = [pytest.mark.broker, pytest.mark.kafka, pytest.mark.slow]


async def recreate_orders(running: Cluster) -> None:
    """Delete the topic of orders, with what it holds, and make it again."""
    topics, options = running.settings.kafka.topics(), running.settings.kafka.client_options()
    async with admin(running) as client:
        await client.delete_topics([topics["orders"]])
    async with asyncio.timeout(SECONDS):
        while await create(topics, options) != [topics["orders"]]:  # noqa: ASYNC110 - brokers send no events
            await asyncio.sleep(0.2)


@asynccontextmanager
async def admin(running: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**running.settings.kafka.client_options())
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def lived(running: Cluster, customers: int) -> None:
    """A worker's short life over some purchases."""
    worker = await running.start_worker()
    await worker.ready()
    await buy(running.settings, 0, customers)
    await running.consumed()
    assert await worker.stop() == 0, worker.said()


async def test_a_recreated_topic_stops_workers_until_they_have_another_group(
    kafka: RealKafka, tmp_path: Path
) -> None:
    async with cluster(kafka, tmp_path) as running:
        settings = running.settings
        await lived(running, 20)
        await recreate_orders(running)
        await buy(settings, 0, 5)
        shorter = await last_words(await running.start_worker())
        await buy(settings, 0, 30, number=1)
        longer = await last_words(await running.start_worker())

        section = settings.kafka.model_copy(update={"group": f"{settings.kafka.group}-2"})
        running.settings = settings.model_copy(update={"kafka": section})
        await create(section.topics(), section.client_options())
        await lived(running, 30)
        core = await read_core(running.settings, 0)
        await delete(section.topics(), section.client_options())

    orders = settings.kafka.topics()["orders"]
    # By its end, unless what was bought stands there twice: then by its id, as the other.
    assert f"input topic {orders} was recreated" in shorter
    assert f"input topic {orders} was recreated: its id was" in longer
    for line in (shorter, longer):
        assert "set another kafka.group" in line
    assert len(core.table) == 30


async def test_a_topic_that_is_recreated_under_a_running_worker_stops_it(
    kafka: RealKafka, tmp_path: Path
) -> None:
    async with cluster(kafka, tmp_path) as running:
        worker = await running.start_worker()
        await worker.ready()
        await buy(running.settings, 0, 5)
        await running.consumed()
        await recreate_orders(running)
        said = await last_words(worker)
        again = await last_words(await running.start_worker())

    # Whichever it sees first: that the topic is gone, or that it is another one.
    assert "was a topic deleted" in said or "was recreated: its id was" in said
    assert "was recreated" in again


async def test_a_topic_with_more_partitions_than_before_stops_a_worker(
    kafka: RealKafka, tmp_path: Path
) -> None:
    async with cluster(kafka, tmp_path) as running:
        await lived(running, 5)
        orders = running.settings.kafka.topics()["orders"]
        async with admin(running) as client:
            await client.create_partitions({orders: NewPartitions(3)})
        said = await last_words(await running.start_worker())

    assert f"topic {orders} has 3 partitions instead of 2" in said
