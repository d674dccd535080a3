"""Replay sessions: what the replayer announces on `control`, and what follows from it (DESIGN 2, B9).

A session has a random id that only those can read who read `control` or the input topics, and producers can
read neither. It is asked about (where does each partition stand?), opened, kept open by heartbeats and ended.
Whoever reads `control` from its start knows of every tick whether it belongs to a session.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from models.wire import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.observing import RecordLike

State = Literal["asked", "open", "ended"]

#: Seconds between two heartbeats, and without any until a session counts as cut off.
HEARTBEAT_SECONDS: Final = 2.0
SILENT_SECONDS: Final = 20.0


class Announcement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of `control`; its key is the session.

    `open` is said again and again: each time is a heartbeat. `live` says that what goes with it is the
    present: of a session that is open, that its ticks are a simulated clock and no history; of one that has
    ended, that live operation begins where history ended.
    """

    session: str
    state: State
    live: bool = False
    silent_seconds: float = SILENT_SECONDS


@dataclass
class _Session:
    state: State
    live: bool
    silent_ms: int
    #: Timestamp of the newest record about it, epoch ms.
    heard: int


@dataclass
class Sessions:
    """All sessions of which `control` tells. Pure: time comes with the records."""

    #: The newest that was opened, be it open or not; "" before any.
    newest: str = ""
    #: The newest of which anything was said, be it only asked about.
    last: str = ""
    _known: dict[str, _Session] = field(default_factory=dict)

    def read(self, value: bytes, timestamp: int) -> Announcement:
        """Take a record in log order; raises one of UNREADABLE, which says that it is none of ours."""
        said = _decoder.decode(value)
        self.last = said.session
        if said.state != "asked":
            # Compaction may leave nothing of a session but its end.
            if said.state == "open" or said.session not in self._known:
                self.newest = said.session
            silent_ms = int(said.silent_seconds * 1000)
            self._known[said.session] = _Session(said.state, said.live, silent_ms, timestamp)
        return said

    def follows(self, session: str, timestamp: int) -> bool:
        """Whether a tick of this session, whose record has this timestamp, was sent while it was open.

        A function of both logs: whenever it is asked, once all of `control` up to then was read. Without a
        timestamp (0 or less) a session that is known will do.
        """
        known = self._known.get(session)
        return known is not None and timestamp <= known.heard + known.silent_ms

    @property
    def said_open(self) -> bool:
        """Whether the newest session has not ended, though it may have fallen silent."""
        return bool(self.newest) and self._known[self.newest].state == "open"

    @property
    def live(self) -> bool:
        """What the newest session said of the present; True before any."""
        return not self.newest or self._known[self.newest].live

    @property
    def silent_seconds(self) -> float:
        """How long the newest session may be silent."""
        return self._known[self.newest].silent_ms / 1000 if self.newest else SILENT_SECONDS

    @property
    def heard(self) -> int:
        """When the newest session was last heard of, epoch ms; 0 before any."""
        return self._known[self.newest].heard if self.newest else 0


class _Tick(msgspec.Struct):
    """As much of a tick as tells whether to wait for what is said of its session."""

    type: str
    session: str = ""


_tick: Final = msgspec.json.Decoder(_Tick)


def ticks_of(records: Iterable[RecordLike]) -> list[tuple[str, int]]:
    """Session and record time of those ticks among `records` that name a session: they have no key."""
    found = []
    for record in records:
        if record.key is None and record.value:
            # What is no tick is refused when it is judged.
            with suppress(*UNREADABLE):
                tick = _tick.decode(record.value)
                if tick.type == "tick" and tick.session:
                    found.append((tick.session, record.timestamp))
    return found


def new_session() -> str:
    """An id that nobody can guess."""
    return secrets.token_hex(16)


def encode(said: Announcement) -> bytes:
    """Value of a record."""
    return msgspec.json.encode(said)


_decoder: Final = msgspec.json.Decoder(Announcement)
