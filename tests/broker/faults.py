"""Faults of a Kafka cluster: nodes that stop, die, freeze and come back, and how soon workers go on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from features.hashing import partition_of
from features.layout import TOPICS
from tests.broker.shop import complaint, purchase

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

    async def moved(self, since: int) -> float:
        """Seconds until more than `since` is committed."""
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self() <= since:
                await asyncio.sleep(0.05)
        return time.monotonic() - began


def befalls(kafka: KafkaCluster, fault: Fault, interval: int) -> tuple[Trouble, list[float]]:
    """The trouble of `fault` in the midst of an interval of a replay, and seconds until workers went on."""
    resumed: list[float] = []

    async def trouble(running: Cluster, replayer: Replayer) -> None:
        while replayer.done.intervals < interval:  # noqa: ASYNC110 - the product has no event for tests
            await asyncio.sleep(0.001)
        commits = Commits(running.settings)
        before = await commits()
        await fault(kafka)
        resumed.append(await commits.moved(before))

    return trouble, resumed


class Shop:
    """Customers who buy all the time and complain once each, told by a client that outlasts any fault.

    It sends each event until the broker has confirmed it, and exactly once, so what it told is on the topics.
    """

    def __init__(self, settings: Settings, customers: int = 40) -> None:
        self.rounds = 0
        self.closed = False
        self.users = [f"u{number}" for number in range(customers)]
        self._settings = settings
        self._lost: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,  # never give up
                "linger.ms": 5,
                "log_level": 0,
            }
        )

    async def trade(self) -> None:
        """Sell until `closed`, then wait until the broker has confirmed everything."""
        while not self.closed:
            now = int(time.time() * 1000)
            for number, user in enumerate(self.users):
                self._tell("orders", user, purchase(user, now, self.rounds))
                if self.rounds == 5 * number + 5:
                    self._tell("reviews", user, complaint(user, now))
            self.rounds += 1
            self._producer.poll(0)
            await asyncio.sleep(0.05)
        left = await asyncio.to_thread(self._producer.flush, PATIENCE_SECONDS)
        assert (left, self._lost) == (0, [])

    @property
    def complained(self) -> set[str]:
        """Customers who have complained by now."""
        return {user for number, user in enumerate(self.users) if self.rounds > 5 * number + 5}

    def _tell(self, topic: str, user: str, value: bytes) -> None:
        kafka = self._settings.kafka
        self._producer.produce(
            kafka.topics()[topic],
            key=user,
            value=value,
            partition=partition_of(user.encode(), kafka.partitions),
            on_delivery=self._delivered,
        )

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self._lost.append(str(error))
