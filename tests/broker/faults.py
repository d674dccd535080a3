"""Faults of a Kafka cluster: nodes that stop, die, freeze and come back, and how soon workers go on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from features.layout import TOPICS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from deploy.kafka import KafkaCluster, Node
    from streams.replay import Replayer
    from streams.settings import Settings
    from tests.broker.cluster import Cluster, Trouble

    #: What befalls a cluster; returns when it is whole again.
    Fault = Callable[[KafkaCluster], Awaitable[None]]

#: Only a hang takes longer: the machine may be busy with anything.
PATIENCE_SECONDS: Final = 180.0
#: Workers must go on so soon after a broker's return, on a machine that does several other things.
SOON_SECONDS: Final = 30.0


async def come_back(kafka: KafkaCluster, node: Node) -> None:
    """Start a node that ended, and wait until it serves."""
    node.start()
    await asyncio.to_thread(kafka.wait_until_up, PATIENCE_SECONDS)


def stopped(seconds: float) -> Fault:
    """The first node is stopped gracefully and started again."""

    async def fault(kafka: KafkaCluster) -> None:
        await asyncio.to_thread(kafka.nodes[0].stop)
        await asyncio.sleep(seconds)
        await come_back(kafka, kafka.nodes[0])

    return fault


def killed(seconds: float) -> Fault:
    """The first node dies by SIGKILL and is started again."""

    async def fault(kafka: KafkaCluster) -> None:
        kafka.nodes[0].kill()
        await asyncio.sleep(seconds)
        await come_back(kafka, kafka.nodes[0])

    return fault


def paused(seconds: float) -> Fault:
    """The first node holds its connections and answers nobody for a while."""

    async def fault(kafka: KafkaCluster) -> None:
        kafka.nodes[0].pause()
        await asyncio.sleep(seconds)
        kafka.nodes[0].resume()
        await asyncio.to_thread(kafka.wait_until_up, PATIENCE_SECONDS)

    return fault


def went_on(seconds: float, after: str, within: float = SOON_SECONDS) -> None:
    """Say and check how soon workers committed something new."""
    print(f"went on {seconds:.1f} s after {after}")
    assert seconds < within, f"went on only {seconds:.1f} s after {after}"


class Commits:
    """How far a group has committed on the input topics, asked by a client of its own."""

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka
        topics = kafka.topics()
        self._tps = [TopicPartition(topics[name], p) for name in TOPICS for p in range(kafka.partitions)]
        self._client = Consumer(
            {"bootstrap.servers": kafka.bootstrap_servers, "group.id": kafka.group, "log_level": 0}
        )

    async def __call__(self) -> int:
        """The sum of the committed offsets; waits while the broker does not answer."""
        while True:
            try:
                found = await asyncio.to_thread(self._client.committed, self._tps, 2)
            except KafkaException:
                continue
            return sum(max(tp.offset, 0) for tp in found)

    async def move(self) -> float:
        """Wait until the group has committed more than it has now; the seconds that took."""
        began, since = time.monotonic(), await self()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self() <= since:  # noqa: ASYNC110 - told by the broker alone
                await asyncio.sleep(0.05)
        return time.monotonic() - began


def befalls(kafka: KafkaCluster, fault: Fault, interval: int) -> tuple[Trouble, list[float]]:
    """The trouble of `fault` in an interval of a replay, and the seconds until the worker went on."""
    resumed: list[float] = []

    async def trouble(running: Cluster, replayer: Replayer) -> None:
        while replayer.done.intervals < interval:  # noqa: ASYNC110 - the product has no event for tests
            await asyncio.sleep(0.001)
        await fault(kafka)
        resumed.append(await Commits(running.settings).move())

    return trouble, resumed
