"""From raw records of one topic partition to judged events: decoded, keyed, timed, owned.

What cannot be used is never dropped in silence: it comes back as a rejection with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from features.clock import TopicClock
from features.columns import Columns, columns
from features.decoding import EventDecoder, check_key
from features.events import Tick, ts_ms
from features.rejection import Rejected

#: Header of every record that `replay` sends: nothing real may follow from it.
REPLAY_HEADER: Final = "churnwatch-replay"


class Record(NamedTuple):
    """A Kafka record as far as the pure core reads it; aiokafka's ConsumerRecord has the same names."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class RecordLike(Protocol):
    """Anything with the attributes of `Record`."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(slots=True)
class Judged:
    """One poll of a topic partition, judged: `batch` holds its valid events, `late` (n,) which come too late.

    `replayed` (n,) tells events of a replay; `ticks` are in log order; `skipped` were processed before.
    """

    batch: Columns
    late: NDArray[np.bool_]
    replayed: NDArray[np.bool_]
    ticks: list[Tick] = field(default_factory=list)
    rejected: list[tuple[RecordLike, Rejected]] = field(default_factory=list)
    skipped: int = 0


def judge(
    records: Sequence[RecordLike],
    decoder: EventDecoder,
    clock: TopicClock,
    lateness_ms: int,
    owned: Callable[[str], bool],
) -> Judged:
    """Decode and judge `records` (rising offsets); moves `clock`. `owned` tells whether a customer
    belongs into this partition.
    """
    events: list[Any] = []
    offsets: list[int] = []
    is_event: list[bool] = []
    ticks: list[Tick] = []
    replayed: list[bool] = []
    rejected: list[tuple[RecordLike, Rejected]] = []
    done, skipped = clock.offset, 0
    decode = decoder.decode
    for record in records:
        if record.offset <= done:
            skipped += 1
            continue
        try:
            event = decode(record.value, record.timestamp)
            if type(event) is Tick:
                ticks.append(event)
                events.append(event)
                is_event.append(False)
                continue
            check_key(record.key, event.user_id)
            if not owned(event.user_id):
                raise Rejected("misrouted", "the key belongs into another partition")
        except Rejected as rejection:
            rejected.append((record, rejection))
            continue
        events.append(event)
        offsets.append(record.offset)
        is_event.append(True)
        replayed.append(bool(record.headers) and any(name == REPLAY_HEADER for name, _ in record.headers))
    bounds = _bounds(events, is_event, clock, lateness_ms)
    batch = columns(decoder.topic, [e for e, real in zip(events, is_event, strict=True) if real], offsets)
    if records:
        clock.offset = max(clock.offset, records[-1].offset)
    return Judged(batch, batch.times < bounds, np.array(replayed, bool), ticks, rejected, skipped)


def _bounds(events: list[Any], is_event: list[bool], clock: TopicClock, lateness_ms: int) -> NDArray[np.int64]:
    """The watermark in force before each real event; ticks move it to their own time."""
    promises = [ts_ms(e) - lateness_ms if real else ts_ms(e) for e, real in zip(events, is_event, strict=True)]
    before = clock.pass_over(np.array(promises, np.int64))
    return before[np.array(is_event, bool)]
