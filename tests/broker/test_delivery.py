"""What bulk delivery promises: every record once, in the order of its partition, as it was sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from streams.sending import Message, Sender, new_producer
from tests.broker.bulk_reader import committed, reading, until_committed
from tests.broker.cluster import cluster

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker


async def test_every_record_of_several_topics_comes_once_in_bulk_and_in_order(
    broker: Broker, tmp_path: Path
) -> None:
    places = [(topic, partition) for topic in ("orders", "reviews") for partition in (0, 1)]
    async with cluster(broker, tmp_path) as running:
        kafka = running.settings.kafka
        names = kafka.topics()
        async with new_producer(kafka.client_options()) as producer:
            sender = Sender(producer, 20)
            for start in range(0, 3_000, 500):
                batch = [Message(b"u", b"%d" % number) for number in range(start, start + 500)]
                await asyncio.gather(*(sender.send(names[topic], p, batch) for topic, p in places))
        async with reading(running.settings, "orders", "reviews") as reader:
            await reader.until(lambda: sum(len(event.value) for event in reader.events) >= 12_000)

    for topic, partition in places:
        found = reader.records(names[topic], partition)
        assert [record.value for record in found] == [b"%d" % number for number in range(3_000)]
        assert [record.offset for record in found] == list(range(3_000))
    assert len(reader.events) <= 100


async def test_a_record_comes_as_it_was_sent(broker: Broker, tmp_path: Path) -> None:
    sent = [
        Message(b"u1", b"value", (("ce_id", b"7"), ("ce_id", b"8"), ("empty", b""))),
        Message(None, b"no key"),
        Message(b"", b""),
        Message(b"tombstone", None),
    ]
    async with cluster(broker, tmp_path) as running:
        kafka = running.settings.kafka
        async with new_producer(kafka.client_options()) as producer:
            await Sender(producer, 20).send(kafka.topics()["orders"], 1, sent)
        async with reading(running.settings, "orders") as reader:
            await reader.until(lambda: bool(reader.events))

    found = reader.records(kafka.topics()["orders"], 1)
    assert [(each.key, each.value, tuple(each.headers)) for each in found] == sent


async def test_what_an_aborted_transaction_wrote_is_never_delivered_and_its_place_is_passed(
    broker: Broker, tmp_path: Path
) -> None:
    if not broker.is_real:
        pytest.skip("the embedded broker has no transactions")
    async with cluster(broker, tmp_path) as running:
        settings, topic = running.settings, running.settings.kafka.topics()["orders"]
        options = settings.kafka.client_options()
        async with AIOKafkaProducer(**options, transactional_id=settings.kafka.group) as producer:
            for number, kept in enumerate([True, False, True, False]):
                await producer.begin_transaction()
                await producer.send_and_wait(topic, b"%d" % number, partition=0)
                await (producer.commit_transaction() if kept else producer.abort_transaction())
        async with reading(settings, "orders") as reader:
            await reader.until(lambda: len(reader.records(topic, 0)) >= 2)
            for event in reader.events:
                event.ack()
            # Two records, each with its own marker; the aborted one between them too.
            await until_committed(settings, "orders", 0, 5)
        offset = await committed(settings, "orders", 0)

    assert [(each.offset, each.value) for each in reader.records(topic, 0)] == [(0, b"0"), (4, b"2")]
    assert offset == 5
