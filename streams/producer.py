"""The producer of what must exist before an acknowledgement: idempotent, and not spoilt by a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from aiokafka.producer.message_accumulator import BatchBuilder

#: aiokafka takes 31 rows of 500 B into a batch by default; this takes 256. A request holds one batch of each
#: partition and is given up after 40 s, so that larger ones never get through a slow wire.
BATCH_BYTES: Final = 128 * 1024
#: The largest single record we may produce: a dead letter of 64 KiB, a cohort chunk, a model version.
MAX_REQUEST_BYTES: Final = 1_000_000
#: What is not confirmed when it stops gets this long; while no broker answers aiokafka would wait for ever.
_FLUSH_SECONDS: Final = 5.0


class Producer:
    """aiokafka's idempotent producer, begun anew after a batch has failed.

    aiokafka numbers a batch when it takes it up, and the number is gone when the batch fails: the broker
    refused it, or its partition was without a leader for too long. All that follows in that partition would
    be refused for ever (OutOfOrderSequenceNumber).
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._client: AIOKafkaProducer | None = None
        self._spoilt = False
        self._renewing = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect. Raises KafkaError; then it may be tried again."""
        fresh = AIOKafkaProducer(
            **self._options,
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
        )
        try:
            await fresh.start()
        except BaseException:
            await fresh.stop()
            raise
        self._client = fresh

    async def stop(self) -> None:
        """Send what was not sent yet, if the broker takes it within seconds; nothing if it never started."""
        if self._client is not None:
            await _end(self._client)
        await asyncio.gather(*self._ending)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def create_batch(self) -> BatchBuilder:
        """An empty batch."""
        return self._started.create_batch()

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Queue a batch; the future has its metadata once it is confirmed. Raises KafkaError."""
        if self._spoilt:
            await self._renew()
        try:
            sent: asyncio.Future[Any] = await self._started.send_batch(batch, topic, partition=partition)
        except KafkaError:
            self._spoilt = True
            raise
        sent.add_done_callback(self._look)
        return sent

    @property
    def _started(self) -> AIOKafkaProducer:
        assert self._client is not None, "not started"
        return self._client

    def _look(self, sent: asyncio.Future[Any]) -> None:
        if not sent.cancelled() and isinstance(sent.exception(), KafkaError):
            self._spoilt = True

    async def _renew(self) -> None:
        async with self._renewing:
            if self._spoilt:
                old = self._started
                await self.start()
                self._spoilt = False
                # Beside: others may have something under way with it.
                ending = asyncio.create_task(_end(old))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)


async def _end(client: AIOKafkaProducer) -> None:
    try:
        await asyncio.wait_for(client.stop(), _FLUSH_SECONDS)
    except TimeoutError:
        client._sender.sender_task.cancel()  # noqa: SLF001 - there is no stop without a flush
        await client.client.close()
