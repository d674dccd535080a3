"""Self-describing compressed values for what partitions and the trainer exchange and store.

One byte of version, then zlib over msgpack: no pickle, so a value can only be data.
"""

from __future__ import annotations

import zlib
from typing import Final, TypeVar

import msgspec

VERSION: Final = 1
_LEVEL: Final = 1  # most of the gain: feature matrices are full of zeros

T = TypeVar("T")


class WireError(ValueError):
    """A stored or received value is torn, foreign or of a newer version."""


def pack(value: msgspec.Struct) -> bytes:
    """The bytes of a struct; equal structs give equal bytes."""
    return bytes([VERSION]) + zlib.compress(msgspec.msgpack.encode(value), _LEVEL)


def unpack(data: bytes, kind: type[T]) -> T:
    """The struct of type `kind` in `data`; raises WireError."""
    if not data or data[0] != VERSION:
        raise WireError(f"version {data[0] if data else 'none'}, this code reads {VERSION}")
    try:
        return msgspec.msgpack.decode(zlib.decompress(data[1:]), type=kind)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise WireError(f"not a {kind.__name__}: {error}") from error
