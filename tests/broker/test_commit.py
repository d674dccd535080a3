"""What is committed: the acknowledged prefix and nothing more; whoever comes next goes on there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.sending import Message, Sender, new_producer
from tests.broker.bulk_reader import committed, reading, until_committed
from tests.broker.cluster import cluster

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker


async def test_only_the_acknowledged_prefix_is_committed_and_a_restart_goes_on_there(
    broker: Broker, tmp_path: Path
) -> None:
    """Three batches; the first and the third are acknowledged.

    batch      │ 0 1 │ 2 3 │ 4 5 │
    acknowledged  x           x
    committed        ^2
    """
    async with cluster(broker, tmp_path) as running:
        settings, topic = running.settings, running.settings.kafka.topics()["orders"]
        async with (
            new_producer(settings.kafka.client_options()) as producer,
            reading(settings, "orders") as first,
        ):
            for number in (0, 2, 4):
                pair = [Message(b"u", b"%d" % each) for each in (number, number + 1)]
                await Sender(producer, 20).send(topic, 0, pair)
                await first.until(lambda seen=number: len(first.records(topic, 0)) == seen + 2)
            for number in (0, 2):
                first.events[number].ack()
            await until_committed(settings, "orders", 0, 2)
        left_at = await committed(settings, "orders", 0)

        async with reading(settings, "orders") as second:
            await second.until(lambda: len(second.records(topic, 0)) == 4)
            for event in second.events:
                event.ack()
            await until_committed(settings, "orders", 0, 6)

        async with reading(settings, "orders") as third:
            async with new_producer(settings.kafka.client_options()) as producer:
                await Sender(producer, 20).send(topic, 0, [Message(b"u", b"6")])
            await third.until(lambda: bool(third.events))

    assert left_at == 2
    assert [record.value for record in second.records(topic, 0)] == [b"2", b"3", b"4", b"5"]
    assert [record.value for record in third.records(topic, 0)] == [b"6"]


async def test_a_group_that_comes_for_the_first_time_begins_at_the_beginning(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path) as running:
        settings, topic = running.settings, running.settings.kafka.topics()["orders"]
        async with new_producer(settings.kafka.client_options()) as producer:
            await Sender(producer, 20).send(topic, 0, [Message(b"u", b"old")])
        async with reading(settings, "orders") as reader:
            await reader.until(lambda: bool(reader.events))

    assert [record.value for record in reader.records(topic, 0)] == [b"old"]
