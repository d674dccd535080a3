"""Dead letters: what cannot be used, kept with its reason, and a limit beyond which the worker stops."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING, Final

from streams.sending import Message, Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.observing import RecordLike
    from features.rejection import Rejected
    from streams.telemetry import Metrics
    from streams.topics import Topics

#: Bytes of the original that are kept.
KEPT_BYTES: Final = 64 * 1024
_KEPT_KEY: Final = 1_024


class TooManyDeadLettersError(RuntimeError):
    """Most of what arrives cannot be used: better to stop than to drain the topic into dead letters."""


class DeadLetters:
    """Sends refused records on, and watches their share of the last `window` records."""

    def __init__(self, sender: Sender, topics: Topics, metrics: Metrics, share: float, window: int) -> None:
        self._sender = sender
        self._topics = topics
        self._metrics = metrics
        self._share = share
        self._window = window
        self._recent: deque[tuple[int, int]] = deque()
        self._total = self._dead = 0

    def watch(self, records: int, dead: int) -> None:
        """Note a poll of `records` of which `dead` were refused; raises TooManyDeadLettersError."""
        self._recent.append((records, dead))
        self._total += records
        self._dead += dead
        while self._total - self._recent[0][0] >= self._window:
            old = self._recent.popleft()
            self._total -= old[0]
            self._dead -= old[1]
        if self._total >= self._window and self._dead > self._share * self._total:
            raise TooManyDeadLettersError(
                f"{self._dead} of the last {self._total} records were refused, more than {self._share:.0%}: "
                "look into dead letters, mend the producer or raise worker.max_dead_share"
            )

    async def send(
        self, origin: str, partition: int, rejected: Sequence[tuple[RecordLike, Rejected]]
    ) -> None:
        """Send refused records of `origin` (logical topic) and wait until they are confirmed."""
        full = self._topics[origin]
        letters = [_letter(full, partition, record, rejection) for record, rejection in rejected]
        await self._sender.send(self._topics["dead-letters"], partition, letters)
        for _, rejection in rejected:
            self._metrics.dead_letters.labels(origin, rejection.reason).inc()


def _letter(origin: str, partition: int, record: RecordLike, rejection: Rejected) -> Message:
    value = record.value or b""
    headers = (
        ("reason", rejection.reason.encode()),
        ("detail", rejection.detail.encode(errors="replace")),
        ("origin", f"{origin}/{partition}/{record.offset}".encode()),
        ("length", str(len(value)).encode()),
        ("sha256", hashlib.sha256(value).hexdigest().encode()),
    )
    # An empty original stays distinguishable from a tombstone by its length header.
    return Message((record.key or b"")[:_KEPT_KEY] or None, value[:KEPT_BYTES], headers)
