"""A shop that trades while brokers come and go, served by two workers, and counted to the last event."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import Producer

from features.hashing import partition_of
from tests.broker.brokers import RealKafka
from tests.broker.cluster import Cluster, cluster
from tests.broker.counting import orders, until_owned
from tests.broker.faults import PATIENCE_SECONDS, Commits
from tests.broker.leftovers import Outputs
from tests.broker.shop import complaint, purchase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.kafka import KafkaCluster
    from streams.settings import Settings

PARTITIONS: Final = 4
SESSION_SECONDS: Final = 6.0
#: Every customer who complains gets an alert, whatever the models think of him.
EVERYBODY: Final[dict[str, dict[str, Any]]] = {
    "model": {"min_labels": 0},
    "alerting": {
        "only_overdue": False,
        "medium": 1e-6,
        "high": 0.9,
        "critical": 0.95,
        "hysteresis": 0.0,
    },
}


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


@dataclass
class Trade:
    """What goes on: the shop, the group that serves it, and how far the group has committed."""

    running: Cluster
    shop: Shop
    commits: Commits

    async def counted(self) -> None:
        """Wait until all is served, stop the workers, and count."""
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.running.consumed()
            outputs = await self._outputs()
        print(f"caught up in {time.monotonic() - began:.1f} s")
        assert all(worker.child.returncode is None for worker in self.running.workers), "a worker ended"
        await self.running.stop()
        bought = await orders(self.running.settings)
        assert bought == dict.fromkeys(self.shop.users, self.shop.rounds)
        assert outputs.contradictions() == []
        assert sorted(decided(outputs)) == sorted(self.shop.complained)

    async def _outputs(self) -> Outputs:
        """What is on the output topics once everybody who complained was decided about."""
        outputs = await Outputs.follow(self.running.settings)
        try:
            while not set(decided(outputs)) >= self.shop.complained:
                await asyncio.sleep(0.1)
                await outputs.read()
        finally:
            await outputs.consumer.stop()
        return outputs


def decided(outputs: Outputs) -> list[str]:
    """The customers of all decisions, as often as they were decided about."""
    return [value["user_id"] for value in outputs.values()["decisions"].values()]


@asynccontextmanager
async def trading(kafka: KafkaCluster, folder: Path, workers: int = 2) -> AsyncIterator[Trade]:
    """A shop that trades on `kafka` until the block ends; then every event must have counted once.

    The workers are the same processes in the end, and stop in order.
    """
    session = {"session_timeout_seconds": SESSION_SECONDS}
    broker = await RealKafka.at(kafka.bootstrap)
    async with cluster(broker, folder, PARTITIONS, kafka=session, **EVERYBODY) as running:
        shop = Shop(running.settings)
        selling = asyncio.create_task(shop.trade())
        try:
            started = [await running.start_worker(host=f"host-{number}") for number in range(workers)]
            await until_owned(*started, seconds=PATIENCE_SECONDS)
            trade = Trade(running, shop, Commits(running.settings))
            yield trade
            await asyncio.sleep(1)
        finally:
            shop.closed = True
            await selling
        await trade.counted()
