"""Record batches as they are on the wire: what is to be had of one that the client library cannot unpack.

It stops at the first record that is not as it should be, and takes the whole batch with it. Here each record
of an intact batch is read by itself, so that one that is broken costs that one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka import codec
from aiokafka.record.util import calc_crc32c
from aiokafka.record.util import decode_varint_py as decode_varint

from features.observing import Unreadable
from features.rejection import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

#: Base offset, length behind it, leader epoch, magic, CRC, attributes, last offset delta, first and largest
#: timestamp, producer id and epoch, base sequence, number of records: message format 2.
_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_LENGTH: Final = struct.Struct(">qi")
_MAGIC_AT, _CRC_AT, _CHECKED_FROM = 16, 17, 21
_CODEC, _LOG_APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20
_CODECS: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: bytes,
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}


class BrokenBatch(NamedTuple):
    """A batch that cannot be unpacked, in the place of its records; nothing follows it.

    Reading stands at `offset` and goes on at `until`, where the rest of it is met again if nothing told its
    end. `raw` is the batch as far as it is known.
    """

    offset: int
    until: int
    why: str
    raw: bytes

    @property
    def start(self) -> int:
        """Where the batch begins, which may lie before the place at which reading stands."""
        base = int.from_bytes(self.raw[:8], "big", signed=True) if len(self.raw) >= _HEADER.size else -1
        return base if 0 <= base <= self.offset else self.offset


class BatchError(ValueError):
    """The batch is broken as a whole: none of its records can be told from the others."""


class Salvaged(NamedTuple):
    """A record of a batch that was read here; the attributes of aiokafka's."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_type: int


class Framed(NamedTuple):
    """A batch in a fetch: its bytes, and where the next one begins.

    That is None where nothing follows it in the fetch, and 0 where its own length cannot be right.
    """

    raw: bytes
    following: int | None


def batch_at(fetched: bytes, offset: int) -> Framed:
    """The first batch in `fetched` that ends behind `offset`; all that is left where none can be told.

    Of one with a wrong checksum nothing is believed but its place and its length, which the brokers set:
    its end is where the next one begins.
    """
    place = 0
    while place + _HEADER.size <= len(fetched):
        base, length = _LENGTH.unpack_from(fetched, place)
        end = place + _LENGTH.size + length
        if not place + _HEADER.size <= end <= len(fetched):
            break
        found = Framed(fetched[place:end], _following(fetched, end, base))
        ends_at = _claimed_end(found.raw) if is_intact(found.raw) else found.following
        if not ends_at or ends_at > offset:
            return found
        place = end
    return Framed(fetched[place:], 0)


def _following(fetched: bytes, end: int, base: int) -> int | None:
    """Where the batch at byte `end` begins; 0 if there is none where one should be."""
    if end + _LENGTH.size > len(fetched):
        return None
    following, _ = _LENGTH.unpack_from(fetched, end)
    magic = fetched[end + _MAGIC_AT] if end + _MAGIC_AT < len(fetched) else 2
    return int(following) if following > base and magic == 2 else 0


def is_intact(batch: bytes) -> bool:
    """Whether what its producer wrote stands in it still: its checksum is right."""
    if len(batch) < _HEADER.size or batch[_MAGIC_AT] != 2:
        return False
    crc = int.from_bytes(batch[_CRC_AT:_CHECKED_FROM], "big")
    return bool(calc_crc32c(batch[_CHECKED_FROM:]) == crc)


def _claimed_end(batch: bytes) -> int:
    base, _, _, _, _, _, delta, *_ = _HEADER.unpack_from(batch)
    return int(base) + int(delta) + 1


def end_of(found: Framed, offset: int) -> int:
    """The offset behind a batch of which reading stands at `offset`.

    Where nothing tells, it is the next offset, and the rest of the batch is met again. What stands last in a
    fetch need not stand last in the log: an answer is cut by its size, and where a segment of the log ends.
    """
    if is_intact(found.raw):
        return max(_claimed_end(found.raw), offset + 1)
    return max(found.following or 0, offset + 1)


def salvage(batch: bytes) -> list[Salvaged | Unreadable]:
    """Every record of a batch by itself; raises BatchError where it is the batch that is broken."""
    if len(batch) < _HEADER.size or batch[_MAGIC_AT] != 2:
        raise BatchError("no batch of message format 2")
    base, _, _, _, _, attributes, delta, first, largest, _, _, _, count = _HEADER.unpack_from(batch)
    if not is_intact(batch):
        raise BatchError("its checksum is another")
    if attributes & _CONTROL:
        raise BatchError("it is a marker")
    if not delta >= 0 or not 0 <= count <= delta + 1:
        raise BatchError(f"{count} records in {delta + 1} offsets")
    unpack = _CODECS.get(attributes & _CODEC)
    if unpack is None:
        raise BatchError(f"codec {attributes & _CODEC} is unknown")
    try:
        body = unpack(batch[_HEADER.size :])
    except Exception as error:
        raise BatchError(f"it cannot be decompressed: {type(error).__name__}") from error
    stamped = largest if attributes & _LOG_APPEND_TIME else None
    found: list[Salvaged | Unreadable] = []
    place = 0
    for number in range(count):
        start, end = _frame(body, place)
        # Offsets rise, and a record that does not tell its own stands behind the one before.
        expected = found[-1].offset + 1 if found else base
        found.append(_record(body[start:end], base, expected, first, stamped))
        place = end
        if not expected <= found[-1].offset <= base + delta:
            raise BatchError(f"record {number} has offset {found[-1].offset}")
    if place != len(body):
        raise BatchError(f"{len(body) - place} bytes behind its last record")
    return found


def _frame(body: bytes, place: int) -> tuple[int, int]:
    try:
        length, start = decode_varint(body, place)
    except (IndexError, ValueError) as error:
        raise BatchError("it ends within a record") from error
    if not 0 <= length <= len(body) - start:
        raise BatchError("a record is longer than the rest")
    return start, start + length


def _record(frame: bytes, base: int, expected: int, first: int, stamped: int | None) -> Salvaged | Unreadable:
    """The record in its frame; one without readable fields has all its bytes for a value."""
    kind = int(stamped is not None)
    try:
        ts, place = decode_varint(frame, 1)  # behind attributes, of which there are none
        delta, place = decode_varint(frame, place)
        key, place = _bytes(frame, place)
        value, place = _bytes(frame, place)
        headers = _headers(frame, place)
    except (IndexError, ValueError) as error:
        why = Rejected("undecodable", f"the record is broken: {type(error).__name__}")
        return Unreadable(expected, None, frame, stamped or first, (), why, kind)
    timestamp = first + ts if stamped is None else stamped
    try:
        named = tuple((name.decode(), content) for name, content in headers)
    except UnicodeDecodeError:
        why = Rejected("invalid_utf8", "the name of a header")
        return Unreadable(base + delta, key, value, timestamp, (), why, kind)
    return Salvaged(base + delta, key, value, timestamp, named, kind)


def _bytes(frame: bytes, place: int) -> tuple[bytes | None, int]:
    """Bytes behind their length, which is negative for null; raises ValueError, IndexError."""
    length, place = decode_varint(frame, place)
    if length < 0:
        return None, place
    if place + length > len(frame):
        raise ValueError("a field is longer than its record")
    return frame[place : place + length], place + length


def _headers(frame: bytes, place: int) -> list[tuple[bytes, bytes | None]]:
    """Names and values up to the end of the record; raises ValueError, IndexError."""
    count, place = decode_varint(frame, place)
    if not 0 <= count <= len(frame):
        raise ValueError("more headers than bytes")
    headers = []
    for _ in range(count):
        name, place = _bytes(frame, place)
        content, place = _bytes(frame, place)
        headers.append((name or b"", content))
    if place != len(frame):
        raise ValueError("bytes behind the last header")
    return headers
