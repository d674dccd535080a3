"""A cluster of three loses a node, is restarted node by node, moves its leaders: the workers go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest
from confluent_kafka import ElectionType
from confluent_kafka.admin import AdminClient

from deploy.kafka import KafkaCluster, missing
from tests.broker.faults import PATIENCE_SECONDS, come_back, went_on
from tests.broker.trading import trading
from tests.real_kafka import HEAP_MB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.broker,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=f"needs Kafka to torment: {missing()}"),
]

#: Until Kafka itself has noticed the loss of a node, and until aiokafka has given up on one that is frozen.
LOSS_SECONDS: Final = 60.0
FROZEN_SECONDS: Final = 150.0


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Three nodes, replication 3, `min.insync.replicas` 2."""
    with KafkaCluster(tmp_path_factory.mktemp("three"), 3, heap_mb=HEAP_MB) as cluster:
        yield cluster


def leaders(admin: AdminClient) -> dict[tuple[str, int], int]:
    """The leader of every partition there is."""
    return {
        (topic.topic, number): partition.leader
        for topic in admin.list_topics(timeout=30).topics.values()
        for number, partition in topic.partitions.items()
    }


async def until_in_sync(admin: AdminClient) -> None:
    """Wait until every replica has caught up, as whoever upgrades a cluster does before the next node."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await asyncio.to_thread(in_sync, admin):  # noqa: ASYNC110 - told by the broker alone
            await asyncio.sleep(0.2)


def in_sync(admin: AdminClient) -> bool:
    """Whether every replica of every partition has caught up."""
    return all(
        len(partition.isrs) == len(partition.replicas)
        for topic in admin.list_topics(timeout=30).topics.values()
        for partition in topic.partitions.values()
    )


def coordinator(admin: AdminClient, group: str) -> int:
    """The number of the node that keeps the group."""
    described = admin.describe_consumer_groups([group])[group].result()
    return int(described.coordinator.id)


async def test_the_group_s_coordinator_dies_and_the_workers_go_on_without_it(
    three: KafkaCluster, tmp_path: Path
) -> None:
    admin = AdminClient({"bootstrap.servers": three.bootstrap, "log_level": 0})
    async with trading(three, tmp_path) as trade:
        node = three.nodes[coordinator(admin, trade.running.settings.kafka.group) - 1]
        node.kill()
        went_on(await trade.commits.move(), "the death of one node", LOSS_SECONDS)
        await asyncio.sleep(15)
        await come_back(three, node)
        went_on(await trade.commits.move(), "its return")
        await until_in_sync(admin)


async def test_a_node_that_freezes_is_done_without_and_changes_nothing_when_it_wakes(
    three: KafkaCluster, tmp_path: Path
) -> None:
    admin = AdminClient({"bootstrap.servers": three.bootstrap, "log_level": 0})
    async with trading(three, tmp_path) as trade:
        node = three.nodes[coordinator(admin, trade.running.settings.kafka.group) - 1]
        node.pause()
        went_on(await trade.commits.move(), "one node froze", FROZEN_SECONDS)
        await asyncio.sleep(30)
        node.resume()
        went_on(await trade.commits.move(), "it woke")
        await until_in_sync(admin)


async def test_a_rolling_restart_and_moving_all_leaders_home_changes_nothing(
    three: KafkaCluster, tmp_path: Path
) -> None:
    admin = AdminClient({"bootstrap.servers": three.bootstrap, "log_level": 0})
    async with trading(three, tmp_path) as trade:
        for node in three.nodes:
            await asyncio.to_thread(node.stop)
            await come_back(three, node)
            await until_in_sync(admin)
            went_on(await trade.commits.move(), f"the restart of node {node.number}")
        before = leaders(admin)
        await asyncio.to_thread(admin.elect_leaders(ElectionType.PREFERRED).result)
        moved = sum(leader != before[place] for place, leader in leaders(admin).items())
        went_on(await trade.commits.move(), f"{moved} of {len(before)} leaders moved")

    assert moved > 0
