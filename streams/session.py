"""The replayer's side of a replay session: ask where the workers stand, open, keep open, end."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from models.taking import FEATURE_TOPICS
from streams.control import HEARTBEAT_SECONDS, Announcement, State, encode, new_session
from streams.logs import logger
from streams.sending import Message, Sender, SendError
from streams.stopping import cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.progress import Progress, ProgressBoard

log = logger(__name__)

#: By now a worker that runs has answered.
ANSWER_SECONDS: Final = 10.0
_PAUSE: Final = 0.01
#: Who breaks a replay off does not wait longer for a broker to hear of it.
_GIVE_UP_SECONDS: Final = 5.0


class ReplayRefusedError(RuntimeError):
    """The replay has not begun, and nothing was sent; the message says why, and the way out."""


class ReplayStalledError(RuntimeError):
    """The workers do not move on; the message says which partitions are behind."""


@dataclass
class Session:
    """One session: `open` it, send its ticks with its `id`, `end` it or `abandon` it.

    `topic` is the full name of `control`; `board` follows the progress of `partitions` partitions. Whoever
    does not answer within `answer_seconds` is not there; who has begun to is given `patience_seconds`.
    """

    sender: Sender
    topic: str
    board: ProgressBoard
    partitions: int
    group: str
    answer_seconds: float = ANSWER_SECONDS
    patience_seconds: float = 120.0
    id: str = field(default_factory=new_session)
    _beating: asyncio.Task[None] | None = None

    async def open(self, begins: Mapping[str, int]) -> None:
        """Open it for a history of which each topic `begins` at a time (epoch ms).

        Raises ReplayRefusedError if no worker answers, another session is open, or history would come too
        late; nothing but the question was announced then.
        """
        answers = await self._said("asked", lambda _: True)
        self._require_alone(answers)
        self._require_behind(begins, answers)
        self._beating = asyncio.create_task(self._beat())
        self._require_alone(await self._said("open", lambda answer: bool(answer.open)))

    async def still_open(self) -> None:
        """Say that it is open, before a tick: a process that slept for long was closed meanwhile."""
        await self._say("open")

    async def end(self, *, live: bool) -> None:
        """End it when all that was sent is acknowledged, and wait until no partition holds it open.

        Raises ReplayStalledError.
        """
        await self._stop_beating()
        await self._said("ended", lambda answer: answer.open != self.id, live=live)

    async def abandon(self) -> None:
        """End it in the midst, if it is open: partitions are live again, wherever they are."""
        if self._beating is None:
            return
        try:
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                await self._stop_beating()
                await self._say("ended")
        except (SendError, TimeoutError) as error:
            log.warning("the session's end could not be sent: its silence will tell", why=repr(error))

    async def _stop_beating(self) -> None:
        if self._beating is not None:
            await cancelled(self._beating)
            self._beating = None

    def _require_alone(self, answers: Mapping[int, Progress]) -> None:
        """Raises ReplayRefusedError if any partition holds another session open."""
        if any(answer.open not in {"", self.id} for answer in answers.values()):
            raise ReplayRefusedError(
                "another replay is under way; one that was cut off is over after twenty seconds"
            )

    def _require_behind(self, begins: Mapping[str, int], answers: Mapping[int, Progress]) -> None:
        """Raises ReplayRefusedError if any partition stands beyond where history begins."""
        featured = {topic: ts for topic, ts in begins.items() if topic in FEATURE_TOPICS}
        if not featured:
            return
        first = min(featured.values())
        beyond = [
            where
            for answer in answers.values()
            for topic, where in answer.stands.items()
            if where > featured.get(topic, where if topic else first)
        ]
        if beyond:
            raise ReplayRefusedError(
                f"group {self.group} already stands at {_day(max(beyond))}, and events before it would all "
                f"be late (the first is of {_day(first)}): give all files to one replay (several --mapping), "
                "or start with fresh topics (another kafka.topic_prefix, kafka.group and worker.state_dir)"
            )

    async def _say(self, state: State, *, live: bool = False) -> None:
        said = Announcement(self.id, state, live)
        await self.sender.send(self.topic, 0, [Message(self.id.encode(), encode(said))])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._say("open")
            except SendError as error:
                # The broker is away. If it stays so, the next events say so; nobody counts the silence.
                log.warning("a heartbeat could not be sent", why=str(error))

    async def _said(
        self, state: State, enough: Callable[[Progress], bool], *, live: bool = False
    ) -> dict[int, Progress]:
        """What all partitions answer to this word, once it is `enough`.

        Partitions answer to what was said last, be it by another replayer: so the word is said again and
        again.
        """
        clock = asyncio.get_running_loop().time
        began, said = clock(), -math.inf
        while True:
            if clock() - said >= HEARTBEAT_SECONDS:
                await self._say(state, live=live)
                said = clock()
            found = self.board.answers(self.id)
            missing = [p for p in range(self.partitions) if p not in found or not enough(found[p])]
            if not missing:
                return found
            waited = clock() - began
            if state == "asked" and not found and waited > self.answer_seconds:
                raise ReplayRefusedError(
                    f"no worker of group {self.group} answers within {self.answer_seconds:.0f} s: start "
                    "`churnwatch worker` with the same settings, and begin when it is ready"
                )
            if waited > max(self.patience_seconds, self.answer_seconds):
                raise ReplayStalledError(
                    f"partitions {missing} did not answer within {waited:.0f} s: are all workers of group "
                    f"{self.group} ready?"
                )
            await asyncio.sleep(_PAUSE)


def _day(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).date().isoformat()
