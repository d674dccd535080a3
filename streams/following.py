"""Following an internal topic: all that stands there, then what comes, read without a group."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiokafka import TopicPartition

from streams.logs import logger
from streams.readers import BrokenBatchError, PassingOver, bounds, polled, reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiokafka import AIOKafkaConsumer, ConsumerRecord

    from streams.patience import Patience

log = logger(__name__)

_POLL_MS: Final = 100


@dataclass(frozen=True)
class Place:
    """Where a follower stands."""

    consumer: AIOKafkaConsumer
    tp: TopicPartition

    async def is_end(self) -> bool:
        """Whether all is read that stands on the topic now; raises KafkaError."""
        end = int((await self.consumer.end_offsets([self.tp]))[self.tp])
        return end <= int(await self.consumer.position(self.tp))


@dataclass(frozen=True)
class Follower:
    """Follows the one partition of `topic` (full name) with a client of these `options`.

    A fetch comes back at once on Kafka when something was said, and the embedded broker lets it wait for
    `wait_ms`: shorter costs more, a millisecond of CPU time each.
    A batch that cannot be unpacked is passed over, because nobody would wait before it for an operator:
    the log says so, and `lost` counts it.
    """

    topic: str
    options: dict[str, Any]
    lost: Callable[[], None]
    wait_ms: int = 100

    async def follow(
        self,
        take: Callable[[ConsumerRecord[Any, Any]], None],
        *,
        loaded: Callable[[], None] = lambda: None,
        after_poll: Callable[[Place], Awaitable[None]] | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Give `take` every record, in log order; runs until cancelled.

        `loaded` is called once what stood there at the start is taken. The broker is waited for at the start
        where there is `patience`. Raises KafkaError.
        """
        tp = TopicPartition(self.topic, 0)
        async with AsyncExitStack() as stack:
            opening = self._open(stack, tp)
            if patience is None:
                consumer, end = await opening()
            else:
                consumer, end = await patience.outlast(self.topic, opening)
            is_loaded, passing = False, PassingOver(self._leave_out)
            while True:
                try:
                    found = await polled(consumer, tp, timeout_ms=max(self.wait_ms, _POLL_MS))
                except BrokenBatchError as error:
                    passing.over(consumer, error)
                    continue
                for record in found.get(tp, ()):
                    take(record)
                if not is_loaded and await consumer.position(tp) >= end:
                    is_loaded = True
                    loaded()
                if after_poll is not None:
                    await after_poll(Place(consumer, tp))

    def _leave_out(self, error: BrokenBatchError) -> None:
        leave_out(error)
        self.lost()

    def _open(
        self, stack: AsyncExitStack, tp: TopicPartition
    ) -> Callable[[], Awaitable[tuple[AIOKafkaConsumer, int]]]:
        """What opens a reader at the start of the topic that lives as long as `stack`, and tells its end."""

        async def opening() -> tuple[AIOKafkaConsumer, int]:
            async with AsyncExitStack() as here:
                consumer = await here.enter_async_context(
                    reader(self.options, tp, fetch_wait_ms=self.wait_ms)
                )
                start, end = await bounds(consumer, tp)
                consumer.seek(tp, start)
                stack.push_async_callback(here.pop_all().aclose)
                return consumer, end

        return opening


def leave_out(error: BrokenBatchError) -> None:
    """Say that a batch of an internal topic is passed over."""
    log.error("a batch is left out, and what it held is missing", why=str(error))
