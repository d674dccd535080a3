"""An agent that takes whole batches, as the worker's do, and the group's place as the broker knows it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.app import faust_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from streams.settings import Settings

SECONDS = 20.0


class BulkReader:
    """Batches of some topics in the order they came; the test acknowledges them."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._came = asyncio.Event()

    async def loop(self, stream: Any) -> None:
        """Body of the agent."""
        async for event in stream.noack().events():
            self.events.append(event)
            self._came.set()

    def records(self, topic: str, partition: int) -> list[Any]:
        """Every record of a topic partition so far."""
        place = (topic, partition)
        return [each for event in self.events if event.message.tp == place for each in event.value]

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait until what came is enough."""
        async with asyncio.timeout(SECONDS):
            while not enough():
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def reading(settings: Settings, *topics: str) -> AsyncIterator[BulkReader]:
    """A member of the group that reads logical `topics` in bulk until the block ends."""
    app, reader = faust_app(settings), BulkReader()
    names = settings.kafka.topics()
    app.agent(app.bulk_topic(*(names[topic] for topic in topics)), name="read")(reader.loop)
    await app.start()
    try:
        yield reader
    finally:
        await app.stop()


async def committed(settings: Settings, topic: str, partition: int) -> int:
    """The offset that the group has committed; 0 if none."""
    options = settings.kafka.client_options()
    async with AIOKafkaConsumer(**options, group_id=settings.kafka.group, enable_auto_commit=False) as group:
        return await group.committed(TopicPartition(settings.kafka.topics()[topic], partition)) or 0


async def until_committed(settings: Settings, topic: str, partition: int, offset: int) -> None:
    """Wait until the group has committed `offset`."""
    async with asyncio.timeout(SECONDS):
        while await committed(settings, topic, partition) < offset:  # noqa: ASYNC110 - brokers send no events
            await asyncio.sleep(0.05)
