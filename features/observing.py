"""From raw records of one topic partition to judged events: decoded, keyed, timed, owned.

What cannot be used is never dropped in silence: it comes back as a rejection with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, Protocol

import numpy as np

from features.clock import BEGINNING
from features.columns import Columns, columns
from features.decoding import EventDecoder, Headers, check_key
from features.events import Tick, ts_ms
from features.rejection import Rejected, Undecodable

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from numpy.typing import NDArray

    from features.clock import Times, TopicClock

#: Header of every record that `replay` sends: nothing real may follow from it.
REPLAY_HEADER: Final = "churnwatch-replay"
#: How far a producer's clock may run ahead of ours before its word about when it wrote is refused.
MAX_SKEW_MS: Final = 600_000
#: `timestamp_type` of a record that the broker stamped when it appended it (`LogAppendTime`).
BY_BROKER: Final = 1
#: Whether to follow a tick of this replay session, whose record has this timestamp.
Follows = Callable[[str, int], bool]
#: Stands for the time of a record that has none: it bounds nothing.
ANY_TIME: Final = 2**62


class Record(NamedTuple):
    """A Kafka record as far as the pure core reads it; aiokafka's ConsumerRecord has the same names."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: Headers = ()
    timestamp_type: int | None = None


class Unreadable(NamedTuple):
    """A record that could not be read as it stands in the log: of its fields what is to be had, and `why`."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    why: Rejected
    timestamp_type: int = 0


class RecordLike(Protocol):
    """Anything with the attributes of `Record`."""

    @property
    def offset(self) -> int:
        """Place in the log of its topic partition."""
        ...

    @property
    def key(self) -> bytes | None:
        """UTF-8 of the user id."""
        ...

    @property
    def value(self) -> bytes | None:
        """JSON of the event."""
        ...

    @property
    def timestamp(self) -> int:
        """When the record was written, epoch ms; 0 or less if nobody knows."""
        ...

    @property
    def timestamp_type(self) -> int | None:
        """Who says so: `BY_BROKER`, or else its producer."""
        ...

    @property
    def headers(self) -> Headers:
        """Kafka headers."""
        ...


@dataclass(slots=True)
class Judged:
    """One poll of a topic partition, judged.

    `batch` holds its valid events, `late` (n,) which come too late, `replayed` (n,) which are a replay's,
    `stamps` (n,) the times of their records (ANY_TIME for one that has none); `ticks` are in log order;
    `skipped` counts records that were processed before. `reached` is how far event time has come by its
    events, each of which says no more than the time of its record. Times are in epoch ms.
    """

    batch: Columns
    late: NDArray[np.bool_]
    replayed: NDArray[np.bool_]
    stamps: NDArray[np.int64]
    ticks: list[Tick] = field(default_factory=list)
    rejected: list[tuple[RecordLike, Rejected]] = field(default_factory=list)
    skipped: int = 0
    reached: int = BEGINNING


def judge(
    records: Sequence[RecordLike],
    decoder: EventDecoder,
    clock: TopicClock,
    lateness_ms: int,
    known: Container[str],
    owned: Callable[[str], bool],
    *,
    follows: Follows,
    now: int | None = None,
) -> Judged:
    """Decode and judge `records` (rising offsets); moves `clock`.

    `owned` tells whether a customer who is not `known` belongs into this partition, `follows` which ticks to
    believe. Whatever a record makes the decoder raise costs that record alone. No event moves the clock
    beyond the time of its own record: a wrong clock harms only itself. With `now` (epoch ms) a record must
    have a time, and one that its producer gave it must not lie more than `MAX_SKEW_MS` ahead.
    """
    events: list[Any] = []
    offsets: list[int] = []
    stamps: list[int] = []
    ticks: list[Tick] = []
    places: list[int] = []
    replayed: list[bool] = []
    rejected: list[tuple[RecordLike, Rejected]] = []
    done, decode = clock.offset, decoder.decode
    unseen = [record for record in records if record.offset > done]
    earliest, latest = (-ANY_TIME, ANY_TIME) if now is None else (1, now + MAX_SKEW_MS)
    for record in unseen:
        stamp = record.timestamp
        if type(record) is Unreadable:
            rejected.append((record, record.why))
            continue
        try:
            if not earliest <= stamp <= latest:
                _check_stamp(record, latest)
            event = decode(record.value, stamp, record.headers)
            if isinstance(event, Tick):
                _check_tick(event, stamp, follows)
                ticks.append(event)
                places.append(len(events))
                continue
            user = event.user_id
            if record.key != user.encode() or not (user in known or owned(user)):
                _misrouted(record.key, user)
            from_replay = is_replay(record.headers)
        except Rejected as rejection:
            rejected.append((record, rejection))
            continue
        except MemoryError:
            raise  # this process is at fault and not the record
        except Exception as error:  # noqa: BLE001 - a record that is refused is better than a worker that ends
            rejected.append((record, Undecodable(error)))
            continue
        events.append(event)
        offsets.append(record.offset)
        stamps.append(stamp if stamp > 0 else ANY_TIME)
        replayed.append(from_replay)
    batch, written = columns(decoder.topic, events, offsets), np.array(stamps, np.int64)
    times = np.minimum(batch.times, written)
    bounds = _bounds(times - lateness_ms, places, [ts_ms(tick) for tick in ticks], clock)
    if unseen:
        clock.offset = unseen[-1].offset
    skipped = len(records) - len(unseen)
    reached = int(times.max()) if len(times) else BEGINNING
    late = batch.times < bounds
    return Judged(batch, late, np.array(replayed, bool), written, ticks, rejected, skipped, reached)


def _check_stamp(record: RecordLike, latest: int) -> None:
    """Raises Rejected for a record without a time, and for one whose producer's clock runs ahead."""
    if record.timestamp <= 0:
        raise Rejected("bad_timestamp", "the record has no timestamp")
    if record.timestamp > latest and record.timestamp_type != BY_BROKER:
        ahead = record.timestamp - latest + MAX_SKEW_MS
        raise Rejected("bad_timestamp", f"the record's timestamp lies {ahead} ms ahead of our clock")


def _check_tick(tick: Tick, stamp: int, follows: Follows) -> None:
    """Raises Rejected unless an open session sent `tick`, and what it promises was past by then."""
    if not follows(tick.session, stamp):
        raise Rejected("stray_tick", "no replay session that was open then has sent it")
    if 0 < stamp < ts_ms(tick):
        raise Rejected("bad_timestamp", f"the tick lies {ts_ms(tick) - stamp} ms ahead of its record")


def is_replay(headers: Headers) -> bool:
    """Whether a replay has sent the record with these headers."""
    return bool(headers) and any(name == REPLAY_HEADER for name, _ in headers)


def _misrouted(key: bytes | None, user: str) -> NoReturn:
    check_key(key, user)
    raise Rejected("misrouted", "the key belongs into another partition")


def _bounds(promises: Times, places: list[int], ticks: list[int], clock: TopicClock) -> Times:
    """The watermark in force before each event, given what events promise.

    The k-th of the `ticks` between them stands before event number `places[k]`.
    """
    if not places:
        return clock.pass_over(promises)
    before = clock.pass_over(np.insert(promises, places, ticks))
    return np.delete(before, np.array(places, np.intp) + np.arange(len(places)))
