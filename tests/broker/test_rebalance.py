"""Workers join and leave while events come: every event counts once, whoever has its partition."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from features.hashing import partition_of
from streams.sending import Message, Sender, new_producer
from tests.broker.cluster import cluster
from tests.broker.counting import orders, until_owned
from tests.broker.shop import purchase

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

CUSTOMERS = [f"u{number}" for number in range(40)]


class Till:
    """Customers who buy once each in every round, until it is closed."""

    def __init__(self, settings: Settings, sender: Sender) -> None:
        self.rounds = 0
        self.closed = False
        self._settings = settings
        self._sender = sender

    async def run(self) -> None:
        kafka = self._settings.kafka
        while not self.closed:
            batches: dict[int, list[Message]] = {}
            for user in CUSTOMERS:
                place = partition_of(user.encode(), kafka.partitions)
                value = purchase(user, int(time.time() * 1000), self.rounds)
                batches.setdefault(place, []).append(Message(user.encode(), value))
            orders = kafka.topics()["orders"]
            await asyncio.gather(*(self._sender.send(orders, *batch) for batch in batches.items()))
            self.rounds += 1
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("going", ["stop", "kill"])
async def test_a_second_worker_joins_and_goes_and_every_event_counts_once(
    broker: Broker, going: str, tmp_path: Path
) -> None:
    """
    first   │ 0 1 2 3 │ two of them │ 0 1 2 3 │
    second            │ the others  │
    """
    if not broker.is_real:
        pytest.skip("groups of several members are unreliable on the embedded broker (streams/broker.py)")
    async with (
        cluster(broker, tmp_path, partitions=4) as running,
        new_producer(running.settings.kafka.client_options()) as producer,
    ):
        till = Till(running.settings, Sender(producer, 20))
        selling = asyncio.create_task(till.run())
        first = await running.start_worker(host="first")
        await until_owned(first)
        second = await running.start_worker(host="second")
        await until_owned(first, second)
        await asyncio.sleep(1)
        await (second.kill() if going == "kill" else second.stop())
        await until_owned(first)
        till.closed = True
        await selling
        await running.consumed()
        await running.stop()
        found = await orders(running.settings)

    assert till.rounds > 20
    assert found == dict.fromkeys(CUSTOMERS, till.rounds)
