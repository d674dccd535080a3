"""Customer records to bytes and back: compact, self-describing, readable by later versions.

    version u1 | ring sizes u1 x3 | purchase words u1 | records u1 | tail length u4 | record | forks | tail

The record is the live one; of its forks, newest boundary first, only the rolling parts are kept, because
nothing else of them is read. The tail is the owner's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from features.layout import VERSION, Layout, rolling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_HEADER: Final = struct.Struct("<6BI")
HEADER_BYTES: Final = _HEADER.size
#: Of more records than a byte counts the header says 0, and the length of the row says how many: a log of
#: years that is read at once has customers who were active on as many decision times not swept yet.
_MOST_COUNTED: Final = 255


#: A version byte further ahead than this is no newer release's, but garbage.
_NEAR: Final = 15


class RowError(ValueError):
    """A stored customer row cannot be read: torn, foreign, or of a newer version."""


class NewerRowError(RowError):
    """A row was written by a newer release; whoever left it out would overwrite it with less."""


def header(layout: Layout, records: int = 1, tail: int = 0) -> bytes:
    """The header of a row; equal for all rows of one layout that have neither forks nor tail."""
    widths = (layout.clickstream_ids, layout.order_ids, layout.review_ids, layout.purchase_words)
    return _HEADER.pack(VERSION, *widths, records if records <= _MOST_COUNTED else 0, tail)


def encode(layout: Layout, records: NDArray[np.void], tail: bytes = b"") -> bytes:
    """One customer's row: the live record and its forks."""
    (value,) = encode_many(layout, records[:1], rolling(records[1:], layout), [len(records) - 1], [tail])
    return value


def encode_many(
    layout: Layout,
    live: NDArray[np.void],
    forks: NDArray[np.void],
    counts: Sequence[int],
    tails: Sequence[bytes],
) -> list[bytes]:
    """Rows of n customers, the bulk path.

    `live` (n,) their records, `forks` (m,) the rolling parts of one customer's forks after the other's,
    `counts` (n,) how many each has.
    """
    size, width = live.itemsize, forks.itemsize
    records, parts = memoryview(live.tobytes()), memoryview(forks.tobytes())
    heads: dict[tuple[int, int], bytes] = {}
    start = end = place = 0
    encoded = []
    for count, tail in zip(counts, tails, strict=True):
        kind = (1 + count, len(tail))
        if kind not in heads:
            heads[kind] = header(layout, *kind)
        end = start + count * width
        encoded.append(b"".join((heads[kind], records[place : place + size], parts[start:end], tail)))
        place, start = place + size, end
    return encoded


def decode(layout: Layout, value: bytes) -> tuple[NDArray[np.void], bytes]:
    """Records (converted to `layout`) and tail of a row; raises RowError, NewerRowError among them."""
    if len(value) < HEADER_BYTES:
        raise RowError(f"a row of {len(value)} bytes is torn")
    version, clicks, orders, reviews, words, count, tail = _HEADER.unpack_from(value)
    if VERSION < version <= VERSION + _NEAR:
        raise NewerRowError(f"row version {version} is newer than {VERSION}: upgrade this worker")
    if not 1 <= version <= VERSION:
        raise RowError(f"there is no row version {version}")
    try:
        stored = Layout(purchase_words=words, clickstream_ids=clicks, order_ids=orders, review_ids=reviews)
    except ValueError as error:
        raise RowError(str(error)) from error
    dtype, part = stored.dtype_at(version), stored.rolling_dtype_at(version)
    first = HEADER_BYTES + dtype.itemsize
    if count == 0:
        count = max(1 + (len(value) - tail - first) // part.itemsize, 0)
    end = first + (count - 1) * part.itemsize
    if count < 1 or len(value) != end + tail:
        raise RowError(f"a row of {len(value)} bytes does not hold {count} records and a tail of {tail}")
    records = np.zeros(count, layout.dtype)
    _convert(np.frombuffer(value[HEADER_BYTES:first], dtype), records[:1])
    _convert(np.frombuffer(value[first:end], part), records[1:])
    return records, value[end:]


def _convert(records: NDArray[np.void], result: NDArray[np.void]) -> None:
    """Fill `result`, all zero, from records of a part, another layout or another version.

    New fields stay zero, and rings of another size empty.
    """
    if records.dtype == result.dtype:
        result[:] = records
        return
    names = result.dtype.names or ()
    for name in set(names) & set(records.dtype.names or ()):
        old, new = records[name], result[name]
        if old.shape == new.shape:
            result[name] = old
        elif name == "purchase_days":
            width = min(old.shape[1], new.shape[1])
            new[:, :width] = old[:, :width]
    for name in records.dtype.names or ():
        # A ring of another size starts empty, and so does its head.
        ring = name.replace("_head", "_ids")
        if name.endswith("_head") and records.dtype[ring].shape != result.dtype[ring].shape:
            result[name] = 0
