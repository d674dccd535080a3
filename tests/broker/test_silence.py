"""A customer who stops buying gets an alert without any further event of anybody."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from features.hashing import partition_of
from features.layout import DAY_MS
from streams.sending import Message, Sender, new_producer
from tests.broker.cluster import cluster
from tests.broker.leftovers import Outputs
from tests.broker.shop import purchase

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker


async def test_a_customer_who_falls_silent_is_warned_of_though_no_event_follows(
    broker: Broker, tmp_path: Path
) -> None:
    """Live, no replay: a dozen purchases, the last ten days ago; then nothing but the wall clock.

    purchases  │x x x x x x x x x x x x│          silence           │ now
    midnights  ·   ·   ·   ·   ·   ·   ·   ·   ·   ·   ·   ·   ·   !
    """
    now = int(time.time() * 1000)
    last = now - 10 * DAY_MS
    times = [last - day * DAY_MS for day in range(12)][::-1]
    async with cluster(
        broker, tmp_path, model={"min_labels": 0}, worker={"idle_after_seconds": 1}
    ) as running:
        settings, outputs = running.settings, await Outputs.follow(running.settings)
        worker = await running.start_worker()
        await worker.ready()
        async with new_producer(settings.kafka.client_options()) as producer:
            partition = partition_of(b"anna", settings.kafka.partitions)
            bought = [Message(b"anna", purchase("anna", ts)) for ts in times]
            await Sender(producer, 10).send(settings.kafka.topics()["orders"], partition, bought)
        async with asyncio.timeout(20):
            while not outputs.seen["decisions"]:
                await outputs.read()
        await running.stop()
        await outputs.consumer.stop()

    (alert,) = outputs.values()["churn-alerts"].values()
    assert (alert["user_id"], alert["kind"], alert["status"]) == ("anna", "episode", "opened")
    assert alert["ts"] % DAY_MS == 0
    assert alert["ts"] > last + 8 * DAY_MS
    assert alert["mark"] == "live"
