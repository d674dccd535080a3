"""Self-describing compressed values for what partitions and the trainer exchange and store.

One byte of version, then zlib over msgpack: no pickle, so a value can only be data.
"""

from __future__ import annotations

import zlib
from typing import Final, TypeVar

import cramjam
import msgspec

VERSION: Final = 1
_LEVEL: Final = 1  # most of the gain: feature matrices are full of zeros

T = TypeVar("T")

#: What msgspec raises for bytes that are none of ours: text that is no UTF-8 and nesting without end have
#: errors of their own.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


#: A version byte further ahead than this is no newer release's, but garbage.
_NEAR: Final = 15


class WireError(ValueError):
    """A stored or received value is torn, foreign or of a newer version."""


class NewerError(WireError):
    """A value was written by a newer release: this one cannot say what it would lose without it."""


def pack(value: msgspec.Struct, *, compressed: bool = False) -> bytes:
    """The bytes of a struct; equal structs give equal bytes.

    What is `compressed` already is not compressed again.
    """
    # The same format as the standard library's, at half its cost.
    found = cramjam.zlib.compress(msgspec.msgpack.encode(value), 0 if compressed else _LEVEL)
    return bytes([VERSION]) + bytes(found)


def unpack(data: bytes, kind: type[T]) -> T:
    """The struct of type `kind` in `data`; raises WireError, NewerError for one of a newer release."""
    if not data or data[0] != VERSION:
        newer = bool(data) and VERSION < data[0] <= VERSION + _NEAR
        why = f"version {data[0] if data else 'none'}, this code reads {VERSION}"
        raise NewerError(f"{why}: upgrade this worker") if newer else WireError(why)
    try:
        return msgspec.msgpack.decode(zlib.decompress(data[1:]), type=kind)
    except (zlib.error, *UNREADABLE) as error:
        raise WireError(f"not a {kind.__name__}: {error}") from error
