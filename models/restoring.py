"""A partition's core from its stored rows: the other half of `models.storage`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features import rowcodec
from features.clock import TopicClock
from features.layout import TOPICS
from features.rowcodec import NewerRowError, RowError
from models import rows
from models.cohorts import Cohort, read_chunk
from models.rows import PARTITION_KEY, PartitionRow, PartitionRowError, Row, Tail
from models.wire import UNREADABLE, NewerError, WireError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.core import PartitionCore

_tail_decoder = msgspec.msgpack.Decoder(Tail)


class Restorer:
    """Fills an empty core; see `Storage.restore` and `Storage.finish`."""

    def __init__(self, core: PartitionCore) -> None:
        self.core = core
        self._partition_row: PartitionRow | None = None
        self._pieces: dict[int, dict[int, Cohort]] = {}
        #: Keys whose newest row cannot be read, and those without which nothing is right.
        self._unreadable: set[bytes] = set()
        self._fatal: dict[bytes, Exception] = {}
        self._owed: set[bytes] = set()

    def restore(self, found: Iterable[Row]) -> list[tuple[bytes, str]]:
        """See `Storage.restore`."""
        newest = dict(found)  # the last of equal keys wins, as in a compacted log
        self._restore_plain(newest)
        broken: list[tuple[bytes, str]] = []
        for key, value in newest.items():
            try:
                self._restore_one(key, value)
            except (NewerRowError, NewerError, PartitionRowError) as error:
                # Only if nothing better follows under the same key.
                self._fatal[key] = error
            except (RowError, WireError, struct.error, *UNREADABLE) as error:
                broken.append((key, str(error)))
                self._unreadable.add(key)
            else:
                self._heal(key)
        return broken

    def _heal(self, key: bytes) -> None:
        """A row under this key was read: what was there before does not matter."""
        self._fatal.pop(key, None)
        self._unreadable.discard(key)

    def _restore_plain(self, newest: dict[bytes, bytes | None]) -> None:
        """Take the customers who have neither forks nor a tail out of `newest`, all at once."""
        core, layout = self.core, self.core.table.layout
        head = rowcodec.header(layout)
        size = len(head) + layout.dtype.itemsize
        plain = [
            key
            for key, value in newest.items()
            if value is not None
            and len(value) == size
            and value.startswith(head)
            and key[:1] == rows.CUSTOMER
        ]
        try:
            users = [key[1:].decode() for key in plain]
        except UnicodeDecodeError:
            return  # one by one, so that all but this one are restored
        data = np.frombuffer(b"".join([newest.pop(key) or b"" for key in plain]), np.uint8)
        records = np.ascontiguousarray(data.reshape(-1, size)[:, len(head) :]).view(layout.dtype)[:, 0]
        slots = core.table.put_many(users, records)
        if self._fatal or self._unreadable:
            for key in plain:
                self._heal(key)
        if core.pending or core.held or core.table.profiles:
            for user, slot in zip(users, slots.tolist(), strict=True):
                core.pending.pop(user, None)
                core.held.pop(user, None)
                core.table.profiles.pop(slot, None)

    def _restore_one(self, key: bytes, value: bytes | None) -> None:
        kind = key[:1]
        if kind == rows.CUSTOMER:
            self._restore_customer(key[1:].decode(), value)
        elif kind == rows.COHORT:
            start, number = rows.read_cohort_key(key)
            if value is None:
                self._pieces.get(start, {}).pop(number, None)
            else:
                self._pieces.setdefault(start, {})[number] = read_chunk(value)
        elif kind == rows.ERASED and value is not None:
            code, erased = rows.read_erased(key, value)
            self.core.erased[code] = erased
        elif kind == rows.OWED:
            self._owed.add(key[1:])
        elif key == PARTITION_KEY:
            if value is not None:
                self._partition_row = rows.read_partition_row(value)
        else:
            raise RowError(f"unknown kind of row {kind!r}")

    def _restore_customer(self, user: str, value: bytes | None) -> None:
        core = self.core
        core.pending.pop(user, None)
        core.held.pop(user, None)
        if value is None:
            core.table.remove(user)
            return
        records, tail = rowcodec.decode(core.table.layout, value)
        kept = _tail_decoder.decode(tail) if tail else Tail(None, [])
        slot = core.table.put(user, records)
        if kept.profile is not None:
            core.table.profiles[slot] = kept.profile
        if kept.pending:
            core.pending[user] = kept.pending
        if kept.held:
            core.held[user] = kept.held

    def finish(self) -> tuple[dict[int, int], set[bytes]]:
        """Complete the core; returns the number of stored pieces by cohort, and the keys to be deleted."""
        for error in self._fatal.values():
            raise NewerRowError(str(error)) if isinstance(error, NewerError) else error
        core, row = self.core, self._partition_row
        # What was applied to a core that is still being restored would be taken back without a trace.
        assert not core.dirty | core.gone, "events were applied before all rows were"
        assert not core.new_erased, "events were applied before all rows were"
        chunks: dict[int, int] = {}
        if row is not None:
            core.seq, core.published_seq = row.seq, row.published_seq
            core.swept, core.matured, core.replayed = row.swept, row.matured, row.replayed
            core.clocks = {topic: row.clocks.get(topic, TopicClock()) for topic in core.clocks}
            chunks = row.chunks
            if row.partitions not in {0, core.config.partitions}:
                raise RowError(
                    f"its customers were spread over {row.partitions} partitions, and kafka.partitions is "
                    f"{core.config.partitions}"
                )
        for start, count in chunks.items():
            if self._unreadable.isdisjoint(rows.cohort_key(start, number) for number in range(count)):
                core.cohorts[start] = self._joined(start, count)
            else:
                core.new_cohorts.add(start)  # so that its pieces are deleted
        _finish_erasures(core)
        owed = self._owed | self._leftovers(chunks)
        self._pieces, self._owed = {}, set()
        return chunks, owed

    def _joined(self, start: int, count: int) -> Cohort:
        pieces = self._pieces.get(start, {})
        missing = [number for number in range(count) if number not in pieces]
        if missing:
            raise RowError(f"the cohort of {start} misses pieces {missing}: the changelog is incomplete")
        cohort = Cohort.join([pieces[number] for number in range(count)])
        # Pieces rewritten by an erasure overlap when the write was cut short.
        _, first = np.unique(cohort.hashes, return_index=True)
        if len(first) == len(cohort):
            return cohort
        self.core.new_cohorts.add(start)
        return cohort.take(first)

    def _leftovers(self, chunks: dict[int, int]) -> set[bytes]:
        """Keys of pieces that belong to no pending cohort, and to no sweep that will be repeated."""
        swept = settled_sweep(self.core)
        return {
            rows.cohort_key(start, number)
            for start, pieces in self._pieces.items()
            for number in pieces
            if swept is not None and start <= swept and number >= chunks.get(start, 0)
        }


def settled_sweep(core: PartitionCore) -> int | None:
    """The last decision time swept; None while the start on the grid may still move back."""
    return None if core.matured is None else core.swept


def _finish_erasures(core: PartitionCore) -> None:
    """After a crash: finish erasures whose tombstones were not written, and take back torn ones.

    An erasure beyond what the partition row knows comes again, and is carried out then.
    """
    place = TOPICS.index("customers")
    durable = core.clocks["customers"].offset
    core.erased = {code: e for code, e in core.erased.items() if e.offsets[place] <= durable}
    if not core.erased:
        return
    rows = core.table.rows
    for user, slot in list(core.table.index.items()):
        erased = core.erased.get(int(rows["user_hash"][slot]))
        if erased is not None and erased.covers(rows["stamps"][slot]):
            core.forget(user)
