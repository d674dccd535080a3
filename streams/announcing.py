"""What a partition of the customers tells on `progress`: how far it has swept, and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.core import ReplayCount
from streams.progress import Progress

if TYPE_CHECKING:
    from models.core import PartitionCore
    from streams.context import Context
    from streams.session_store import Standing


class Announcer:
    """Says each decision time once, and answers each word about a replay session once."""

    def __init__(self, number: int, context: Context) -> None:
        self._number = number
        self._context = context
        self._swept: int | None = None
        self._answered: Standing | None = None

    @property
    def swept(self) -> int | None:
        """The last decision time that was said: its alerts all stand on their topic."""
        return self._swept

    def anew(self) -> None:
        """Say everything again: the partition has recovered, and the word may have been lost."""
        self._swept = self._answered = None

    async def announce(self, core: PartitionCore, alerts_end: int) -> None:
        """Tell what was not told yet; the partition's alerts reach up to `alerts_end`."""
        await self._answer_session(core)
        if (swept := core.swept) is None or swept == self._swept:
            return
        replayed = core.replayed if core.replaying else ReplayCount()
        place = Progress(
            "swept", self._number, alerts_end, swept, session=replayed.session, replayed=replayed.counts
        )
        await self._context.announce(place)
        self._swept = swept

    async def _answer_session(self, core: PartitionCore) -> None:
        """Tell the replayer where this partition stands, whenever something was said of a session."""
        standing = self._context.sessions.standing
        if not standing.last or standing == self._answered:
            return
        counts = core.replayed.counts if core.replayed.session == standing.last else {}
        answer = Progress(
            "session",
            self._number,
            session=standing.last,
            open=standing.open,
            stands=core.stands,
            replayed=counts,
        )
        await self._context.announce(answer)
        self._answered = standing
