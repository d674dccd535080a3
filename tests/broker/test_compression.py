"""Whatever codec of Kafka's a producer or a topic chose, what it compressed is read as it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from confluent_kafka import Producer

from streams.readers import read_until, reader
from streams.sending import Message, Sender, new_producer
from tests.broker.bulk_reader import reading
from tests.broker.cluster import cluster

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

CODECS = ("gzip", "snappy", "lz4", "zstd")
#: Enough of it that no client thinks compressing is not worth it.
VALUES = [b'{"number":%d,"text":"%s"}' % (number, b"again and " * 20) for number in range(200)]


async def read_in_bulk(settings: Settings, topic: str) -> list[bytes]:
    async with reading(settings, topic) as group:
        names = settings.kafka.topics()
        await group.until(lambda: len(group.records(names[topic], 0)) >= len(VALUES))
        return [record.value for record in group.records(names[topic], 0)]


async def read_alone(settings: Settings, topic: str) -> list[bytes | None]:
    """As changelogs and models are read."""
    tp = TopicPartition(settings.kafka.topics()[topic], 0)
    async with reader(settings.kafka.client_options(), tp) as consumer:
        consumer.seek(tp, 0)
        return [record.value async for found in read_until(consumer, tp, len(VALUES)) for record in found]


@pytest.mark.parametrize("codec", CODECS)
async def test_a_batch_of_a_producer_on_librdkafka_is_read(
    broker: Broker, tmp_path: Path, codec: str
) -> None:
    async with cluster(broker, tmp_path) as running:
        kafka = running.settings.kafka
        producer = Producer(
            {"bootstrap.servers": kafka.bootstrap_servers, "compression.type": codec, "linger.ms": 100}
        )
        for value in VALUES:
            producer.produce(kafka.topics()["orders"], key=b"u", value=value, partition=0)
        assert producer.flush(20) == 0

        assert await read_in_bulk(running.settings, "orders") == VALUES
        assert await read_alone(running.settings, "orders") == VALUES


@pytest.mark.parametrize("codec", CODECS)
async def test_a_batch_of_a_producer_on_aiokafka_is_read(broker: Broker, tmp_path: Path, codec: str) -> None:
    """Its snappy is framed as Java's is, librdkafka's is not."""
    async with cluster(broker, tmp_path) as running:
        kafka = running.settings.kafka
        async with AIOKafkaProducer(
            **kafka.client_options(), compression_type=codec, linger_ms=100
        ) as producer:
            for value in VALUES:
                await producer.send(kafka.topics()["orders"], value, key=b"u", partition=0)

        assert await read_in_bulk(running.settings, "orders") == VALUES


@pytest.mark.kafka
@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("topic", ["orders", "customers-changelog"])
async def test_what_the_broker_compresses_for_a_topic_is_read(
    broker: Broker, tmp_path: Path, codec: str, topic: str
) -> None:
    async with cluster(broker, tmp_path) as running:
        options, name = running.settings.kafka.client_options(), running.settings.kafka.topics()[topic]
        admin = AIOKafkaAdminClient(**options)
        await admin.start()
        try:
            resource = ConfigResource(ConfigResourceType.TOPIC, name, {"compression.type": codec})
            await admin.alter_configs([resource])
        finally:
            await admin.close()
        async with new_producer(options) as producer:
            await Sender(producer, 20).send(name, 0, [Message(b"u", value) for value in VALUES])

        read = read_in_bulk if topic == "orders" else read_alone
        assert await read(running.settings, topic) == VALUES
