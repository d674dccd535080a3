"""One poll of one topic partition as columns: what the vectorised table update reads.

Decoding yields one small object per event; this is the only place that walks over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xxhash

from features.events import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_hash = xxhash.xxh3_64_intdigest

#: Kinds that happen once for each transaction, whatever the event id.
_ONCE: Final = frozenset({int(Kind.PURCHASE), int(Kind.REFUND), int(Kind.CANCEL)})


@dataclass(slots=True)
class Columns:
    """Events of one topic in offset order. All arrays have length n; `events` keeps the rest.

    `times` are epoch ms, `kinds` the codes of `Kind`, `ids` 64-bit hashes of `event_id`.
    """

    topic: str
    events: list[Any]
    users: list[str]
    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    ids: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.users)

    def take(self, index: NDArray[np.intp]) -> Columns:
        """The events at `index`, which must rise: log order stays."""
        if len(index) == len(self.users):
            return self
        chosen = index.tolist()
        return Columns(
            topic=self.topic,
            events=[self.events[i] for i in chosen],
            users=[self.users[i] for i in chosen],
            offsets=self.offsets[index],
            times=self.times[index],
            kinds=self.kinds[index],
            ids=self.ids[index],
        )


def columns(topic: str, events: list[Any], offsets: Sequence[int]) -> Columns:
    """Columns of decoded `events` (ticks left out by the caller) with their log `offsets`."""
    n = len(events)
    return Columns(
        topic=topic,
        events=events,
        users=[event.user_id for event in events],
        offsets=np.array(offsets, np.int64),
        times=np.array([event.ts for event in events], np.int64),
        kinds=np.frombuffer(bytes([event.kind for event in events]), np.uint8),
        ids=np.fromiter([_hash(event.event_id.encode()) for event in events], np.uint64, n),
    )


def transaction_ids(batch: Columns) -> NDArray[np.uint64]:
    """A second identity for orders: purchases, refunds and cancels are known by their transaction too.

    The kind takes part, so that a refund is not taken for its purchase, before a character that no id may
    hold, so that no event id spells a transaction. Other events repeat their id.
    """
    return np.fromiter(
        [
            _hash(f"{kind}\0{event.transaction_id}".encode()) if kind in _ONCE else own
            for event, kind, own in zip(batch.events, batch.kinds.tolist(), batch.ids.tolist(), strict=True)
        ],
        np.uint64,
        len(batch),
    )
