"""More purchases than a worker gets through at once, and how far the group is with them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from features.hashing import partition_of
from streams.sending import Message, Sender, new_producer
from tests.broker.bulk_reader import committed
from tests.broker.shop import purchase

if TYPE_CHECKING:
    from streams.settings import Settings


async def sell(settings: Settings, purchases: int, customers: int = 2_000) -> None:
    """Put so many purchases on `orders`, each customer's one after the other."""
    kafka, now = settings.kafka, int(time.time() * 1000)
    logs: dict[int, list[Message]] = {}
    for number in range(purchases):
        user = f"u{number % customers}"
        place = partition_of(user.encode(), kafka.partitions)
        logs.setdefault(place, []).append(Message(user.encode(), purchase(user, now, number)))
    async with new_producer(kafka.client_options()) as producer:
        sender = Sender(producer, 60)
        for place, messages in logs.items():
            for first in range(0, len(messages), 1_000):
                await sender.send(kafka.topics()["orders"], place, messages[first : first + 1_000])


async def committed_orders(settings: Settings) -> int:
    """Offsets that the group has committed of `orders`, all partitions together."""
    return sum([await committed(settings, "orders", place) for place in range(settings.kafka.partitions)])
