"""Replay: recorded history through Kafka, in lock-step with the workers (DESIGN 4.6, 4.10).

One grid interval of events, then a tick to every partition of every input topic, then wait until each
partition has swept that decision time and its alerts are decided. So a replay learns and alerts exactly
as if it had been there, at whatever speed the machine allows.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import TopicPartition

from features.events import Tick
from features.hashing import partition_of
from features.layout import TOPICS
from features.observing import REPLAY_HEADER
from streams.progress import ProgressBoard
from streams.readers import bounds, reader, unread
from streams.sending import Message, Sender, new_producer
from streams.sources import Interval, SourceEvent, intervals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from features.grid import DecisionGrid
    from streams.settings import Settings
    from streams.topics import Topics

_HEADERS: Final = ((REPLAY_HEADER, b"1"),)
_SECONDS: Final = 60.0
#: Events produced to one partition before the workers get to breathe: far below what any broker keeps.
_CHUNK: Final = 2_000


class ReplayStalledError(RuntimeError):
    """The workers do not move on; the message says which partitions are behind."""


@dataclass
class Replayed:
    """What a replay has done so far."""

    events: int = 0
    intervals: int = 0
    ts: int = 0


class Replayer:
    """Sends history and keeps step. Open it with `replaying`."""

    def __init__(
        self,
        settings: Settings,
        sender: Sender,
        board: ProgressBoard,
        patience_seconds: float,
        unread: Callable[[], Awaitable[int]],
    ) -> None:
        self._topics: Topics = settings.kafka.topics()
        self._grid: DecisionGrid = settings.core().grid
        self._partitions = settings.kafka.partitions
        self._sender = sender
        self._board = board
        self._patience = patience_seconds
        #: How many records the workers have not acknowledged.
        self._unread = unread
        self.done = Replayed()

    async def run(
        self,
        events: Iterable[SourceEvent],
        *,
        speed: float | None = None,
        then_live: bool = False,
        progress: Callable[[Replayed], Any] = lambda _: None,
        after_interval: Callable[[], Any] | None = None,
    ) -> Replayed:
        """Replay time-ordered `events`; `speed` is event time against wall clock, None as fast as it goes.

        The last tick stands just behind the last event: a decision time further on would judge customers by
        days of which the log says nothing. With `then_live` it hands over to live operation, else the
        replay ends when everything is acknowledged. Raises ReplayStalledError when the workers stand still.
        """
        clock = asyncio.get_running_loop().time
        started, first, last = clock(), None, 0
        held: Interval | None = None
        for interval in intervals(events, self._grid):
            if held is not None:
                await self._interval(held, held.until)
                await self._settle(held.until)
                progress(self.done)
                if after_interval is not None:
                    await after_interval()
            held = interval
            if interval.events:
                first, last = first or interval.events[0].ts, interval.events[-1].ts
            if speed and first:
                due = started + (interval.until - self._grid.every_ms - first) / 1000 / speed
                await asyncio.sleep(max(due - clock(), 0))
        if held is not None:
            await self._interval(held, last + 1, live=then_live)
            if not then_live:
                await self._acknowledged()
            progress(self.done)
            if after_interval is not None:
                await after_interval()
        return self.done

    async def _interval(self, interval: Interval, tick: int, *, live: bool = False) -> None:
        for start in range(0, len(interval.events), _CHUNK):
            await self._send(interval.events[start : start + _CHUNK])
        await self._tick(Tick(ts=tick, replay=True, live=live))
        self.done.events += len(interval.events)
        self.done.intervals += 1
        self.done.ts = tick

    async def _send(self, events: list[SourceEvent]) -> None:
        batches: dict[tuple[str, int], list[Message]] = {}
        for event in events:
            key = event.user_id.encode()
            place = (event.topic, partition_of(key, self._partitions))
            batches.setdefault(place, []).append(Message(key, event.value, _HEADERS))
        await asyncio.gather(
            *(
                self._sender.send(self._topics[topic], partition, messages)
                for (topic, partition), messages in batches.items()
            )
        )

    async def _tick(self, tick: Tick) -> None:
        message = Message(None, msgspec.json.encode(tick), _HEADERS)
        await asyncio.gather(
            *(
                self._sender.send(self._topics[topic], partition, [message])
                for topic in TOPICS
                for partition in range(self._partitions)
            )
        )

    async def _settle(self, ts: int) -> None:
        async def waiting() -> list[int]:
            return self._board.waiting(ts)

        await self._until_none(waiting, 0.002, "partitions {} did not finish a decision time")

    async def _acknowledged(self) -> None:
        await self._until_none(self._unread, 0.2, "{} records were not read")

    async def _until_none(self, left: Callable[[], Awaitable[Any]], pause: float, what: str) -> None:
        """Wait until nothing is `left`; ReplayStalledError when that does not change for too long."""
        clock = asyncio.get_running_loop().time
        moved, behind = clock(), await left()
        while behind:
            await asyncio.sleep(pause)
            if (now := await left()) != behind:
                moved, behind = clock(), now
            elif clock() - moved > self._patience:
                raise ReplayStalledError(
                    f"{what.format(behind)} within {self._patience:.0f} s: is a worker running, with "
                    "the same settings, and ready?"
                )


@asynccontextmanager
async def replaying(settings: Settings, patience_seconds: float = 120.0) -> AsyncIterator[Replayer]:
    """A replayer connected to the broker, following the workers' progress."""
    options = settings.kafka.client_options()
    board = ProgressBoard(settings.kafka.partitions)
    producer = new_producer(options)
    await producer.start()
    topics, partitions = settings.kafka.topics(), range(settings.kafka.partitions)
    tp = TopicPartition(topics["progress"], 0)
    inputs = [TopicPartition(topics[topic], partition) for topic in TOPICS for partition in partitions]

    async def left() -> int:
        return await unread(options, settings.kafka.group, inputs)

    try:
        async with reader(options, tp) as consumer:
            consumer.seek(tp, (await bounds(consumer, tp))[0])
            following = asyncio.create_task(_follow(consumer, tp, board))
            try:
                yield Replayer(settings, Sender(producer, _SECONDS), board, patience_seconds, left)
            finally:
                following.cancel()
                await asyncio.wait([following])
    finally:
        await producer.stop()


async def _follow(consumer: Any, tp: TopicPartition, board: ProgressBoard) -> None:
    while True:
        for record in (await consumer.getmany(tp, timeout_ms=50)).get(tp, ()):
            if record.value is not None:
                board.read(record.value)
