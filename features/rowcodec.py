"""Customer records to bytes and back: compact, self-describing, readable by later versions.

    version u1 | ring sizes u1 x3 | purchase words u1 | records u1 | tail length u4 | records | tail

The first record is the live one, the others its forks, newest boundary first. The tail is the owner's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from features.layout import VERSION, Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_HEADER: Final = struct.Struct("<6BI")
HEADER_BYTES: Final = _HEADER.size


class RowError(ValueError):
    """A stored customer row cannot be read: torn, foreign, or of a newer version."""


def header(layout: Layout, records: int = 1, tail: int = 0) -> bytes:
    """The header of a row; equal for all rows of one layout that have neither forks nor tail."""
    widths = (layout.clickstream_ids, layout.order_ids, layout.review_ids, layout.purchase_words)
    return _HEADER.pack(VERSION, *widths, records, tail)


def encode(layout: Layout, records: NDArray[np.void], tail: bytes = b"") -> bytes:
    """One customer's row."""
    return header(layout, len(records), len(tail)) + records.tobytes() + tail


def encode_many(layout: Layout, records: NDArray[np.void], tails: Sequence[bytes]) -> list[bytes]:
    """Rows of many customers without forks: one record (n,) and one tail each. The bulk path."""
    plain, size, data = header(layout), records.dtype.itemsize, records.tobytes()
    return [
        (header(layout, 1, len(tail)) if tail else plain) + data[start : start + size] + tail
        for start, tail in zip(range(0, len(data), size), tails, strict=True)
    ]


def decode(layout: Layout, value: bytes) -> tuple[NDArray[np.void], bytes]:
    """Records (converted to `layout`) and tail of a row; raises RowError."""
    if len(value) < HEADER_BYTES:
        raise RowError(f"a row of {len(value)} bytes is torn")
    version, clicks, orders, reviews, words, count, tail = _HEADER.unpack_from(value)
    if version > VERSION:
        raise RowError(f"row version {version} is newer than {VERSION}: upgrade this worker")
    try:
        stored = Layout(purchase_words=words, clickstream_ids=clicks, order_ids=orders, review_ids=reviews)
    except ValueError as error:
        raise RowError(str(error)) from error
    dtype = stored.dtype_at(version)
    end = HEADER_BYTES + count * dtype.itemsize
    if version < 1 or count < 1 or len(value) != end + tail:
        raise RowError(f"a row of {len(value)} bytes does not hold {count} records and a tail of {tail}")
    records = np.frombuffer(value[HEADER_BYTES:end], dtype)
    return (records if dtype == layout.dtype else convert(records, layout)), value[end:]


def convert(records: NDArray[np.void], layout: Layout) -> NDArray[np.void]:
    """Records of another layout or version in this one: new fields zero, rings of another size emptied."""
    result = np.zeros(len(records), layout.dtype)
    names = layout.dtype.names or ()
    for name in set(names) & set(records.dtype.names or ()):
        old, new = records[name], result[name]
        if old.shape == new.shape:
            result[name] = old
        elif name == "purchase_days":
            width = min(old.shape[1], new.shape[1])
            new[:, :width] = old[:, :width]
    for name in names:
        # A ring of another size starts empty, and so does its head.
        ring = name.replace("_head", "_ids")
        if name.endswith("_head") and records.dtype[ring].shape != layout.dtype[ring].shape:
            result[name] = 0
    return result
