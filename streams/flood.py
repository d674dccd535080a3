"""The limit of dead letters: a topic that is mostly refused is not to be emptied into them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from streams.checkpoint import replace
from streams.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logger(__name__)


class TooManyDeadLettersError(RuntimeError):
    """Most of what arrives cannot be used: better to stop than to drain the topic into dead letters."""


class Poll(NamedTuple):
    """Records of a topic, and how many of them were refused."""

    records: int
    refused: int


NO_POLL: Final = Poll(0, 0)


class _Window:
    """The last polls of a topic: as few as hold `size` records. `kept` is what an earlier process saw."""

    def __init__(self, size: int, kept: Poll = NO_POLL) -> None:
        self.records, self.refused = kept
        self.knows_earlier = kept.records > 0
        self._size = size
        self._polls = deque([kept] if kept.records else [])

    def add(self, poll: Poll) -> None:
        self._polls.append(poll)
        self.records += poll.records
        self.refused += poll.refused
        while self.records - self._polls[0].records >= self._size:
            old = self._polls.popleft()
            self.records -= old.records
            self.refused -= old.refused
            self.knows_earlier = False

    @property
    def is_full(self) -> bool:
        return self.records >= self._size


class FloodGuard:
    """Watches the share of refused records among the last `window` of each topic.

    What stood in the windows at a stop is kept at `path` and is there again after a restart, else a
    supervised worker would take another window's worth of the flood each time.
    """

    def __init__(self, share: float, window: int, path: Path) -> None:
        self._share = share
        self._size = window
        self._path = path
        self._windows = {topic: _Window(window, kept) for topic, kept in self._read().items()}

    def watch(self, polls: Iterable[tuple[str, Poll]]) -> None:
        """Note polls of topics, which may become durable only if this returns.

        A poll that is bearable by itself is always taken: nothing is gained by keeping it waiting. Raises
        TooManyDeadLettersError, and OSError when it cannot keep what led to that.
        """
        before = {topic: Poll(each.records, each.refused) for topic, each in self._windows.items()}
        for topic, poll in polls:
            window = self._windows.setdefault(topic, _Window(self._size))
            self._add(window, poll)
            if window.is_full and self._is_flood(*poll) and self._is_flood(window.records, window.refused):
                self._windows = {topic: _Window(self._size, kept) for topic, kept in before.items()}
                replace(self._path, msgspec.json.encode(before))
                raise TooManyDeadLettersError(self._said(topic, window))

    def _said(self, topic: str, window: _Window) -> str:
        return (
            f"{window.refused} of the last {window.records} records of {topic} were refused, more than "
            f"{self._share:.0%}: look into dead letters, mend the producer. A restart stops here again; to "
            "let the rest pass into dead letters, raise worker.max_dead_share meanwhile"
        )

    def _add(self, window: _Window, poll: Poll) -> None:
        knew = window.knows_earlier
        window.add(poll)
        if knew and not any(each.knows_earlier for each in self._windows.values()):
            self._path.unlink(missing_ok=True)

    def _is_flood(self, records: int, refused: int) -> bool:
        return refused > self._share * records

    def _read(self) -> dict[str, Poll]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Poll])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            log.warning("what led to an earlier stop cannot be read", path=str(self._path), why=str(error))
            return {}
