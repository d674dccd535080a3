"""Fencing without a fence: a changelog row says at which offset its writer expects it to stand.

A worker that was paused longer than its session wakes up as a zombie: it does not know yet that its
partitions are another's, and writes rows older than the new owner's over them. Nothing in Kafka's group
protocol stops it (docs/operations.md). So the log itself decides, as by compare-and-swap: whoever writes at
the offset that the rest of the log let them expect goes on from that log, and is right, whoever owns the
partition; whoever does not is late, and those rows are *void*. Readers leave void rows out. A writer whose
rows turn out void drops its state, reads the log again, and writes anew what void rows cover up, because
compaction keeps the newest row of a key, void or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from features.observing import RecordLike

_HEADER: Final = "at"
_AS_OF: Final = "as_of_row"
_BYTES: Final = 8


def claim(offset: int) -> tuple[tuple[str, bytes], ...]:
    """Headers of a row that is expected to stand at `offset`."""
    return ((_HEADER, offset.to_bytes(_BYTES, "big")),)


def is_void(record: RecordLike) -> bool:
    """Whether a row stands elsewhere than its writer expected. One that says nothing is taken as it is."""
    headers = record.headers
    return bool(headers) and any(
        name == _HEADER and place is not None and int.from_bytes(place, "big") != record.offset
        for name, place in headers
    )


def knowing(offset: int) -> tuple[tuple[str, bytes], ...]:
    """Headers of what was said by a writer to whom the changelog was known up to `offset`.

    Whoever acts upon it and knows less is a zombie.
    """
    return ((_AS_OF, offset.to_bytes(_BYTES, "big")),)


def known_to_writer(record: RecordLike) -> int:
    """Up to which offset of its changelog the writer of `record` knew; 0 if it does not say."""
    found = (known for name, known in record.headers if name == _AS_OF and known is not None)
    return next((int.from_bytes(known, "big") for known in found), 0)
