"""Keys and values of a partition's stored rows."""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from features.clock import TopicClock
from features.layout import TOPICS
from features.profile import Profile
from features.rowcodec import NewerRowError, RowError
from models.core import Pending, ReplayCount
from models.erasure import Erased
from models.triggers import Held
from models.wire import UNREADABLE

Row = tuple[bytes, bytes | None]


class PartitionRowError(RowError):
    """The partition row cannot be read: nothing can be right without it, so it is never left out."""


#: First byte of a key: what kind of row it is.
CUSTOMER: Final = b"u"
COHORT: Final = b"c"
ERASED: Final = b"e"
#: A tombstone that a checkpoint still owes the changelog; the rest of the key is the key to be deleted.
OWED: Final = b"t"
#: The partition row.
PARTITION_KEY: Final = b"p"
ROW_VERSION: Final = 1
#: The longest customer's row that is written. Brokers take a megabyte by default, headers and all.
MAX_ROW_BYTES: Final = 512 * 1024
#: Records as of decision times that are left to a customer with a longer one: some 400 kB of them.
MAX_FORKS: Final = 1_000

_COHORT: Final = struct.Struct(">qH")
_HASH: Final = struct.Struct(">Q")
_ERASED: Final = struct.Struct(f">{1 + len(TOPICS)}q")


class Tail(msgspec.Struct, array_like=True):
    """What a customer's row holds besides records."""

    profile: Profile | None
    pending: list[Pending]
    held: list[Held] = []


class PartitionRow(msgspec.Struct):
    """The partition's own row. `chunks` counts the stored pieces of each pending cohort."""

    version: int
    seq: int
    published_seq: int
    swept: int | None
    matured: int | None
    clocks: dict[str, TopicClock]
    chunks: dict[int, int]
    #: Over how many partitions customers were spread when this was written; 0 in rows of old releases.
    partitions: int = 0
    #: What became of the newest replay.
    replayed: ReplayCount = msgspec.field(default_factory=ReplayCount)
    #: Always false. Older releases insist on it, and may take a partition over while workers are upgraded.
    replaying: bool = False


_partition_decoder: Final = msgspec.msgpack.Decoder(PartitionRow)


def customer_key(user: str) -> bytes:
    """Key of a customer's row."""
    return CUSTOMER + user.encode()


def cohort_key(start: int, number: int) -> bytes:
    """Key of piece `number` of the cohort of decision time `start`."""
    return COHORT + _COHORT.pack(start, number)


def read_cohort_key(key: bytes) -> tuple[int, int]:
    """(decision time, piece) of a cohort key; raises struct.error."""
    start, number = _COHORT.unpack(key[1:])
    return start, number


def erased_row(code: int, erased: Erased) -> Row:
    """The row of an erased customer: hash, time and place of the erasure."""
    return ERASED + _HASH.pack(code), _ERASED.pack(erased.ts, *erased.offsets)


def read_erased_key(key: bytes) -> int:
    """The hash of an erased customer; raises struct.error."""
    (code,) = _HASH.unpack(key[1:])
    return int(code)


def read_erased(key: bytes, value: bytes) -> tuple[int, Erased]:
    """Hash and erasure of a stored row; raises struct.error."""
    ts, *offsets = _ERASED.unpack(value)
    return read_erased_key(key), Erased(ts, tuple(offsets))


def read_partition_row(value: bytes) -> PartitionRow:
    """The partition row; raises PartitionRowError, NewerRowError for one of a newer release."""
    try:
        row = _partition_decoder.decode(value)
    except UNREADABLE as error:
        raise PartitionRowError(f"the partition row cannot be read: {error}") from error
    if row.version > ROW_VERSION:
        raise NewerRowError(
            f"partition row version {row.version} is newer than {ROW_VERSION}: upgrade this worker"
        )
    return row
