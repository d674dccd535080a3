"""The replay sessions that a worker knows of: read from `control` with a plain consumer, as versions are."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka.errors import KafkaError

from models.wire import UNREADABLE
from streams.control import Sessions
from streams.following import Follower
from streams.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.following import Place
    from streams.patience import Patience
    from streams.telemetry import Metrics

log = logger(__name__)

#: Longest wait for what stands on `control` already: whoever sends ticks has said so there before.
_SETTLE_SECONDS: Final = 10.0
#: Pause between two looks whether there is more to read, while a session is open.
_LOOK_SECONDS: Final = 1.0
#: At the start a session that was heard of longer ago than this, besides its own patience, is over: clocks of
#: hosts may differ by less.
_SKEW_MS: Final = 600_000


class Standing(NamedTuple):
    """What partitions answer to: the session that was spoken of last, and which one is open, "" if none."""

    last: str
    open: str


class SessionStore:
    """Follows `control`. A session that falls silent is closed; it is open again if it is heard of after all.

    Silent is who says nothing while the broker answers: a broker that is away silences everybody. `now` is
    epoch ms, `clock` monotonic seconds.
    """

    def __init__(
        self,
        topic: str,
        options: dict[str, Any],
        metrics: Metrics,
        now: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.loaded = asyncio.Event()
        self._topic = topic
        self._options = options
        self._metrics = metrics
        self._now = now
        self._clock = clock
        self._sessions = Sessions()
        self._listeners: list[Callable[[], None]] = []
        #: The session that was closed because nothing was heard of it.
        self._cut_off = ""
        self._silent = 0.0
        self._looked = clock()
        self._present = False
        self._asking: list[asyncio.Future[None]] = []
        self._told = Standing("", "")

    # -- what is so

    @property
    def standing(self) -> Standing:
        """See `Standing`."""
        sessions = self._sessions
        is_open = sessions.said_open and sessions.newest != self._cut_off
        return Standing(sessions.last, sessions.newest if is_open else "")

    @property
    def history(self) -> str:
        """The open session which says that what is read is history; "" if what is read is the present."""
        return "" if self._sessions.live else self.standing.open

    @property
    def wall_clock_speaks(self) -> bool:
        """Whether silence on all topics means that nothing happens, and not that nobody listens yet.

        After a replay that has handed nothing over, the shop's feed may not be connected: nobody has left
        because of that. It is as soon as the first event comes that no replay has sent.
        """
        return self._present or self._sessions.live

    def present(self) -> None:
        """An event came that no replay has sent."""
        self._present = self._present or not self.standing.open

    def follows(self, session: str, timestamp: int) -> bool:
        """See `Sessions.follows`."""
        return self._sessions.follows(session, timestamp)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever another session is spoken of, opened or closed."""
        self._listeners.append(listener)

    async def settle(self, ticks: Iterable[tuple[str, int]]) -> None:
        """Wait until all of `control` was read that may tell of `ticks` (session, timestamp of the record).

        At once if it is known that all of them are to be followed; for a limited time otherwise.
        """
        if all(self.follows(*tick) for tick in ticks):
            return
        read: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.append(read)
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await read
        except TimeoutError:
            log.warning("control cannot be read to its end: a tick is judged without")

    # -- reading

    async def follow(self, patience: Patience) -> None:
        """Read all that was announced, then what follows; waits for the broker, and runs until cancelled."""
        # A session of which nothing is heard any more, because a batch is lost, is over by itself.
        follower = Follower(self._topic, self._options, self._metrics.lost_batches.labels("control").inc)
        await follower.follow(
            lambda record: self.take(record.value, record.timestamp),
            loaded=self.load,
            after_poll=self._look_in_time,
            patience=patience,
        )

    async def _look_in_time(self, place: Place) -> None:
        if self._asking or self._clock() - self._looked >= _LOOK_SECONDS:
            await self._look(place)

    async def _look(self, place: Place) -> None:
        asking, self._asking = self._asking, []
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                at_end = await place.is_end()
        except (KafkaError, TimeoutError):
            at_end = False
        if at_end:
            for read in asking:
                if not read.done():
                    read.set_result(None)
        else:
            self._asking += [read for read in asking if not read.done()]
        self.look(at_end=at_end)

    def load(self) -> None:
        """All was read that was there at the start."""
        sessions = self._sessions
        given_up = sessions.heard + sessions.silent_seconds * 1000 + _SKEW_MS
        if sessions.said_open and given_up < self._now():
            self._close()
        self.loaded.set()
        self._tell()

    def take(self, value: bytes | None, timestamp: int) -> None:
        """One record of `control`."""
        try:
            said = self._sessions.read(value or b"", timestamp)
        except UNREADABLE as error:
            self._metrics.refused_announcements.inc()
            log.warning("an announcement on control was refused", why=str(error))
            return
        if said.session == self._sessions.newest:
            self._silent, self._cut_off = 0.0, ""
            # A new session asks again whether the shop's feed is connected.
            self._present = self._present and not self.standing.open
        if self.loaded.is_set():
            self._tell()

    def look(self, *, at_end: bool) -> None:
        """Time went by; `at_end` tells whether all that stands on `control` was read."""
        now = self._clock()
        # Longer than a few seconds this process was stopped, and may not have read what has come meanwhile.
        passed, self._looked = min(now - self._looked, 3 * _LOOK_SECONDS), now
        self._silent = self._silent + passed if at_end else 0.0
        if self.standing.open and self._silent > self._sessions.silent_seconds:
            self._close()
            self._tell()

    def _close(self) -> None:
        self._cut_off = self._sessions.newest
        log.warning("a replay session was cut off: partitions are live again", silent=round(self._silent))

    def _tell(self) -> None:
        self._metrics.replaying.set(bool(self.history))
        if (standing := self.standing) != self._told:
            self._told = standing
            log.info("replay session", open=bool(standing.open), history=bool(self.history))
            for listener in self._listeners:
                listener()
