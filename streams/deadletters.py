"""Dead letters: what cannot be used, kept with its reason."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from features.rejection import Undecodable
from streams.logs import logger
from streams.sending import Message, Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.observing import RecordLike
    from features.rejection import Rejected
    from streams.telemetry import Metrics
    from streams.topics import Topics

log = logger(__name__)

#: Bytes of the original that are kept.
KEPT_BYTES: Final = 64 * 1024
_KEPT_KEY: Final = 1_024


class DeadLetters:
    """Sends refused records on."""

    def __init__(self, sender: Sender, topics: Topics, metrics: Metrics) -> None:
        self._sender = sender
        self._topics = topics
        self._metrics = metrics

    async def send(
        self, origin: str, partition: int, rejected: Sequence[tuple[RecordLike, Rejected]]
    ) -> None:
        """Send refused records of `origin` (logical topic) and wait until they are confirmed."""
        full = self._topics[origin]
        letters = [_letter(full, partition, record, rejection) for record, rejection in rejected]
        await self._sender.send(self._topics["dead-letters"], partition, letters)
        for _, rejection in rejected:
            self._metrics.dead_letters.labels(origin, rejection.reason).inc()
            if isinstance(rejection, Undecodable):
                self._metrics.undecodable.labels(origin, rejection.kind).inc()
                log.error(
                    "a record cannot be decoded, a fault of churnwatch", topic=full, why=rejection.detail
                )


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
