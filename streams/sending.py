"""Sending in bulk: rows and outputs of one partition as few record batches, confirmed before we go on."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from models.signing import HEADER, signature
from streams.authorisation import RightsError, sentence
from streams.producer import Producer
from streams.rights import Right

if TYPE_CHECKING:
    from collections.abc import Sequence

Header = tuple[str, bytes]


class Message(NamedTuple):
    """One record to send; `value` None is a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


def signed_message(key: bytes, value: bytes | None, secret: bytes) -> Message:
    """A record for `models`: signed if there is a secret."""
    return Message(key, value, ((HEADER, signature(key, value, secret)),) if secret else ())


class SendError(RuntimeError):
    """A write was not confirmed in time, or the broker refused it."""


def new_producer(options: dict[str, Any]) -> Producer:
    """A producer for everything that must exist before an acknowledgement; start it before use."""
    return Producer(options)


class Sender:
    """Sends to one partition at a time in order, and waits until all is confirmed.

    aiokafka lets concurrent senders to one partition starve each other (`add_batch` counts the time that
    passed again for every turn it waits), so here they queue up.
    """

    def __init__(self, producer: Producer, seconds: float) -> None:
        self._producer = producer
        self._seconds = seconds
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send(self, topic: str, partition: int, messages: Sequence[Message]) -> tuple[int, int] | None:
        """Send `messages` to a full topic name.

        Returns (offset of the first, offset behind the last), None for no messages. Raises SendError when
        the broker confirms nothing for longer than the limit or refuses, RightsError when this user may not
        write there; some may be on the topic by then.
        """
        if not messages:
            return None
        async with self._turns[topic, partition]:
            try:
                return await self._send(topic, partition, messages)
            except TopicAuthorizationFailedError as error:
                raise RightsError(sentence([Right("topic", topic, ("Write",))])) from error
            except (TimeoutError, KafkaError) as error:
                raise SendError(
                    f"{topic}/{partition}: {len(messages)} records not confirmed: {error!r}"
                ) from error

    async def _send(self, topic: str, partition: int, messages: Sequence[Message]) -> tuple[int, int]:
        batches, sent, offsets = _batches(self._producer, messages), [], []
        now = asyncio.get_running_loop().time
        async with asyncio.timeout(self._seconds) as patience:
            for batch, _ in batches:
                sent.append(await self._producer.send_batch(batch, topic, partition=partition))
                # Anew at each step: a slow broker takes long for a large write, and is not broken for that.
                patience.reschedule(now() + self._seconds)
            for future in sent:
                offsets.append((await future).offset)
                patience.reschedule(now() + self._seconds)
        return offsets[0], offsets[-1] + batches[-1][1]


def _batches(producer: Producer, messages: Sequence[Message]) -> list[tuple[Any, int]]:
    batches: list[tuple[Any, int]] = []
    batch, count = producer.create_batch(), 0
    for message in messages:
        while True:
            added = batch.append(
                timestamp=None, key=message.key, value=message.value, headers=list(message.headers)
            )
            if added is not None:
                count += 1
                break
            batches.append((batch, count))
            batch, count = producer.create_batch(), 0
    if count:
        batches.append((batch, count))
    return batches
