"""A batch that the broker refuses is the end of that batch, and of nothing else."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.sending import Message, Sender, SendError, new_producer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.broker.brokers import RealKafka

pytestmark = [pytest.mark.broker, pytest.mark.kafka]


@asynccontextmanager
async def narrow_topic(bootstrap: str) -> AsyncIterator[str]:
    """A topic that takes batches of a kilobyte at most."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "1000"})])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def test_what_follows_a_refused_batch_is_written(kafka: RealKafka) -> None:
    """Stock aiokafka is refused for ever from there on: the batch took its sequence numbers along."""
    async with (
        narrow_topic(kafka.bootstrap) as topic,
        new_producer({"bootstrap_servers": kafka.bootstrap}) as producer,
    ):
        sender = Sender(producer, 20)
        before = await sender.send(topic, 0, [Message(b"k", b"fits")])
        with pytest.raises(SendError, match="MessageSizeTooLarge"):
            await sender.send(topic, 0, [Message(b"k", b"x" * 2_000)])
        after = await sender.send(topic, 0, [Message(b"k", b"fits again")])

    assert (before, after) == ((0, 1), (1, 2))
