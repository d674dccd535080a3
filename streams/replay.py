"""Replay: recorded history through Kafka, in lock-step with the workers (DESIGN 4.6, 4.10).

A replay is a session: the workers know of it before the first event, and believe its ticks alone.
One grid interval of events, then a tick to every partition of every input topic, then wait until each
partition has swept that decision time and its alerts are decided. So a replay learns and alerts exactly
as if it had been there, at whatever speed the machine allows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import TopicPartition

from features.events import Tick
from features.hashing import partition_of
from features.layout import TOPICS
from features.observing import REPLAY_HEADER
from streams.following import Follower
from streams.progress import ProgressBoard
from streams.readers import ends_of, unread
from streams.sending import Message, Sender, new_producer
from streams.session import ANSWER_SECONDS, ReplayStalledError, Session
from streams.sources import Interval, SourceEvent, intervals
from streams.stopping import cancelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from aiokafka import ConsumerRecord

    from features.grid import DecisionGrid
    from streams.settings import Settings
    from streams.topics import Topics

_HEADERS: Final = ((REPLAY_HEADER, b"1"),)
_SECONDS: Final = 60.0
#: Events produced to one partition before the workers get to breathe: far below what any broker keeps.
_CHUNK: Final = 2_000


class ReplayLateError(RuntimeError):
    """Events of history came too late and are lost; the message says how many, and why that may be."""


@dataclass
class Replayed:
    """What a replay has done so far: what it has sent, and what the workers say has become of it, by fate."""

    events: int = 0
    intervals: int = 0
    ts: int = 0
    fates: Counter[str] = field(default_factory=Counter)


class Replayer:
    """Sends history and keeps step. Open it with `replaying`."""

    def __init__(
        self,
        settings: Settings,
        sender: Sender,
        board: ProgressBoard,
        session: Session,
        unread: Callable[[], Awaitable[int]],
    ) -> None:
        self._topics: Topics = settings.kafka.topics()
        self._grid: DecisionGrid = settings.core().grid
        self._partitions = settings.kafka.partitions
        self._sender = sender
        self._board = board
        self._session = session
        #: How many records the workers have not acknowledged of those that are there when it is first asked.
        self._unread = unread
        self.done = Replayed()

    async def run(
        self,
        events: Sequence[SourceEvent],
        *,
        speed: float | None = None,
        then_live: bool = False,
        progress: Callable[[Replayed], Any] = lambda _: None,
        after_interval: Callable[[], Any] | None = None,
    ) -> Replayed:
        """Replay time-ordered `events`; `speed` is event time against wall clock, None as fast as it goes.

        The last tick stands just behind the last event: a decision time further on would judge customers by
        days of which the log says nothing. The replay ends when everything is acknowledged and no partition
        takes what it reads for history any more; with `then_live` what follows is the shop's present.

        Raises ReplayRefusedError before anything was sent, ReplayStalledError when the workers stand still
        and ReplayLateError when events came too late: they are lost, and all that would follow as well.
        """
        if not events:
            return self.done
        try:
            await self._session.open(_begins(events))
            await self._history(events, speed, progress, after_interval)
            await self._until_none(self._unread, 0.2, "{} records were not read")
        except BaseException:
            await self._session.abandon()
            raise
        await self._session.end(live=then_live)
        self._require_on_time()
        return self.done

    async def _history(
        self,
        events: Sequence[SourceEvent],
        speed: float | None,
        progress: Callable[[Replayed], Any],
        after_interval: Callable[[], Any] | None,
    ) -> None:
        async def follow_up() -> None:
            progress(self.done)
            if after_interval is not None:
                await after_interval()

        clock = asyncio.get_running_loop().time
        started, first, last = clock(), None, 0
        held: Interval | None = None
        for interval in intervals(events, self._grid):
            if held is not None:
                await self._interval(held, held.until)
                await self._settle(held.until)
                await follow_up()
            held = interval
            if interval.events:
                first, last = first or interval.events[0].ts, interval.events[-1].ts
            if speed and first:
                due = started + (interval.until - self._grid.every_ms - first) / 1000 / speed
                await asyncio.sleep(max(due - clock(), 0))
        if held is not None:
            await self._interval(held, last + 1)
            await follow_up()

    async def _interval(self, interval: Interval, tick: int) -> None:
        for start in range(0, len(interval.events), _CHUNK):
            await self._send(interval.events[start : start + _CHUNK])
        await self._session.still_open()
        await self._tick(Tick(ts=tick, session=self._session.id))
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
        self._require_on_time()

    def _require_on_time(self) -> None:
        self.done.fates = self._board.replayed(self._session.id)
        if late := self.done.fates["late"]:
            raise ReplayLateError(
                f"{late:,} events of history came too late, and are lost: newer ones came before them. Keep "
                "the shop's own events back until history is handed over, and start with fresh topics"
            )

    async def _until_none(self, left: Callable[[], Awaitable[Any]], pause: float, what: str) -> None:
        """Wait until nothing is `left`; ReplayStalledError when that does not change for too long."""
        clock = asyncio.get_running_loop().time
        moved, behind = clock(), await left()
        while behind:
            await asyncio.sleep(pause)
            if (now := await left()) != behind:
                moved, behind = clock(), now
            elif clock() - moved > self._session.patience_seconds:
                raise ReplayStalledError(
                    f"{what.format(behind)} within {self._session.patience_seconds:.0f} s: is a worker "
                    "running, with the same settings, and ready?"
                )


def _begins(events: Sequence[SourceEvent]) -> dict[str, int]:
    """When history begins on each topic. Events by time: the first of each one tells."""
    found: dict[str, int] = {}
    for event in events:
        if event.user_id:
            found.setdefault(event.topic, event.ts)
    return found


@asynccontextmanager
async def replaying(
    settings: Settings, patience_seconds: float = 120.0, answer_seconds: float = ANSWER_SECONDS
) -> AsyncIterator[Replayer]:
    """A replayer connected to the broker, following the workers' progress.

    Raises ReplayStalledError into the block when that cannot be followed any more.
    """
    options, partitions = settings.kafka.client_options(), settings.kafka.partitions
    board, topics = ProgressBoard(partitions), settings.kafka.topics()
    inputs = [TopicPartition(topics[topic], partition) for topic in TOPICS for partition in range(partitions)]
    ends: dict[TopicPartition, int] = {}

    async def left() -> int:
        # A shop that is live goes on sending: its own events are not waited for.
        if not ends:
            ends.update(await ends_of(options, inputs))
        return await unread(options, settings.kafka.group, ends)

    async with new_producer(options) as producer, _following(topics["progress"], options, board):
        sender = Sender(producer, _SECONDS)
        session = Session(
            sender,
            topics["control"],
            board,
            partitions,
            settings.kafka.group,
            answer_seconds,
            patience_seconds,
        )
        yield Replayer(settings, sender, board, session, left)


@asynccontextmanager
async def _following(topic: str, options: dict[str, Any], board: ProgressBoard) -> AsyncIterator[None]:
    """`board` reads what stands on `progress` while the block lasts; the block ends if that fails."""
    block = asyncio.current_task()
    assert block is not None, "a block runs in a task"
    # What a lost batch said is said again with the next decision time, or missed in time.
    follower = Follower(topic, options, lambda: None, wait_ms=20)

    def take(record: ConsumerRecord[Any, Any]) -> None:
        if record.value is not None:
            board.read(record.value)

    following = asyncio.create_task(follower.follow(take))

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            block.cancel()

    following.add_done_callback(ended)
    try:
        yield
    except asyncio.CancelledError:
        if not following.done() or (error := following.exception()) is None:
            raise
        block.uncancel()
        raise ReplayStalledError(f"the workers' progress cannot be followed any more: {error}") from error
    finally:
        await cancelled(following)
