"""Replay: recorded history through Kafka, in lock-step with the workers (DESIGN 4.6, 4.10).

One grid interval of events, then a tick to every partition of every input topic, then wait until each
partition has swept that decision time and its alerts are decided. So a replay learns and alerts exactly
as if it had been there, at whatever speed the machine allows.
"""

from __future__ import annotations

import asyncio
import time
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
from streams.readers import bounds, reader
from streams.sending import Message, Sender, new_producer
from streams.sources import Interval, SourceEvent, intervals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

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
        self, settings: Settings, sender: Sender, board: ProgressBoard, patience_seconds: float
    ) -> None:
        self._topics: Topics = settings.kafka.topics()
        self._grid: DecisionGrid = settings.core().grid
        self._partitions = settings.kafka.partitions
        self._sender = sender
        self._board = board
        self._patience = patience_seconds
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

        With `then_live` the last tick hands over to live operation just behind the last event. Raises
        ReplayStalledError when the workers stand still.
        """
        started, first, last = time.monotonic(), None, 0
        held: Interval | None = None
        for interval in intervals(events, self._grid):
            if held is not None:
                await self._interval(held, held.until, live=False)
                progress(self.done)
                if after_interval is not None:
                    await after_interval()
            held = interval
            if interval.events:
                first, last = first or interval.events[0].ts, interval.events[-1].ts
            if speed and first:
                due = started + (interval.until - self._grid.every_ms - first) / 1000 / speed
                await asyncio.sleep(max(due - time.monotonic(), 0))
        if held is not None:
            await self._interval(held, last + 1 if then_live else held.until, live=then_live)
            progress(self.done)
            if after_interval is not None:
                await after_interval()
        return self.done

    async def _interval(self, interval: Interval, tick: int, *, live: bool) -> None:
        for start in range(0, len(interval.events), _CHUNK):
            await self._send(interval.events[start : start + _CHUNK])
        await self._tick(Tick(ts=tick, replay=True, live=live))
        if not live:
            await self._settle(tick)
        self.done.events += len(interval.events)
        self.done.intervals += 1
        self.done.ts = interval.until

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
        moved, behind = time.monotonic(), self._board.waiting(ts)
        while not self._board.settled(ts):
            await asyncio.sleep(0.002)
            if (now := self._board.waiting(ts)) != behind:
                moved, behind = time.monotonic(), now
            elif time.monotonic() - moved > self._patience:
                raise ReplayStalledError(
                    f"partitions {behind} did not finish a decision time within {self._patience:.0f} s: is a "
                    "worker running, with the same settings, and ready?"
                )


@asynccontextmanager
async def replaying(settings: Settings, patience_seconds: float = 120.0) -> AsyncIterator[Replayer]:
    """A replayer connected to the broker, following the workers' progress."""
    options = settings.kafka.client_options()
    board = ProgressBoard(settings.kafka.partitions)
    producer = new_producer(options)
    await producer.start()
    tp = TopicPartition(settings.kafka.topics()["progress"], 0)
    try:
        async with reader(options, tp) as consumer:
            consumer.seek(tp, (await bounds(consumer, tp))[0])
            following = asyncio.create_task(_follow(consumer, tp, board))
            try:
                yield Replayer(settings, Sender(producer, _SECONDS), board, patience_seconds)
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
