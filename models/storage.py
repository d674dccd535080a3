"""What a partition's core writes to its changelog and reads back: the durable form of the state.

Keys: `u`+user a customer, `c`+time+chunk a piece of a cohort, `e`+hash an erased customer, `p` the
partition row. The partition row is written last: what it says is true of all rows before it, so after a
crash in the middle of a write the rows are ahead of it, never behind. Whatever a sweep makes needless
(matured cohorts, evicted and erased customers) is tombstoned one write *after* the mark that proves it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import numpy as np

from features import rowcodec
from features.clock import BEGINNING, TopicClock
from features.profile import Profile
from models.cohorts import Cohort, read_chunk
from models.core import PartitionCore, Pending
from models.wire import WireError

Row = tuple[bytes, bytes | None]

PARTITION_KEY: Final = b"p"
_COHORT: Final = struct.Struct(">qH")
_HASH: Final = struct.Struct(">Q")
_TIME: Final = struct.Struct(">q")
ROW_VERSION: Final = 1


class _Tail(msgspec.Struct, array_like=True):
    """What a customer's row holds besides records."""

    profile: Profile | None
    pending: list[Pending]


class PartitionRow(msgspec.Struct):
    """The partition's own row. `chunks` counts the stored pieces of each pending cohort."""

    version: int
    seq: int
    published_seq: int
    swept: int | None
    matured: int | None
    replaying: bool
    clocks: dict[str, TopicClock]
    chunks: dict[int, int]


_tail_encoder = msgspec.msgpack.Encoder()
_tail_decoder = msgspec.msgpack.Decoder(_Tail)
_partition_decoder = msgspec.msgpack.Decoder(PartitionRow)


class Storage:
    """Turns what changed in a core into rows, and rows into a core again.

    `take` hands out the next write; `confirm` says that it is durable, after which the tombstones it
    made safe are due. `restore` and `finish` rebuild a core from rows in any batches, in log order.
    """

    def __init__(self, core: PartitionCore) -> None:
        self.core = core
        self._stored_chunks: dict[int, int] = {}
        self._due: set[bytes] = set()
        self._waiting: set[bytes] = set()
        self._unconfirmed_sweep: int | None = None
        self._written_erased: dict[int, int] = {}
        self._pieces: dict[int, dict[int, Cohort]] = {}
        self._partition_row: PartitionRow | None = None

    # -- writing

    def take(self) -> list[Row]:
        """The rows of the next write, the partition row last; empties the core's list of changes."""
        core = self.core
        core.seq += 1
        rows = [*self._tombstones(), *self._customers(core.dirty), *self._cohorts(), *self._erased()]
        core.dirty.clear()
        rows.append((PARTITION_KEY, self._encode_partition()))
        self._unconfirmed_sweep = core.swept
        return rows

    def confirm(self) -> None:
        """The last write is durable."""
        self._due |= self._waiting
        self._waiting = set()
        if self._unconfirmed_sweep is not None:
            self.core.durable_swept = self._unconfirmed_sweep

    def mark_published(self, seq: int) -> None:
        """All alerts of writes up to `seq` are on their topic; the next partition row says so."""
        core = self.core
        core.published_seq = max(core.published_seq, seq)
        for user, pending in list(core.pending.items()):
            rest = [each for each in pending if each.seq > seq]
            if rest:
                core.pending[user] = rest
            else:
                del core.pending[user]

    def _tombstones(self) -> Iterator[Row]:
        due, self._due = sorted(self._due), set()
        for key in due:
            if key[:1] == b"u" and key[1:].decode() in self.core.table.index:
                continue  # the customer came back
            yield key, None
        self._waiting |= {b"u" + user.encode() for user in self.core.gone}
        self.core.gone.clear()

    def _customers(self, users: Iterable[str]) -> Iterator[Row]:
        table, plain = self.core.table, []
        for user in sorted(users):
            slot = table.slot(user)
            if slot is None:
                continue
            if table.older[slot] != -1 or slot in table.profiles or user in self.core.pending:
                yield b"u" + user.encode(), self._customer(user, slot)
            else:
                plain.append((user, slot))
        if plain:
            records = table.rows[np.array([slot for _, slot in plain])]
            values = rowcodec.encode_plain(table.layout, records)
            yield from ((b"u" + user.encode(), value) for (user, _), value in zip(plain, values, strict=True))

    def _customer(self, user: str, slot: int) -> bytes:
        table = self.core.table
        tail = _Tail(table.profiles.get(slot), self.core.pending.get(user, []))
        empty = tail.profile is None and not tail.pending
        records = table.rows[np.array([slot, *table.forks(slot)])]
        return rowcodec.encode(table.layout, records, b"" if empty else _tail_encoder.encode(tail))

    def _cohorts(self) -> Iterator[Row]:
        core = self.core
        for start in sorted(core.new_cohorts):
            before = self._stored_chunks.pop(start, 0)
            cohort = core.cohorts.get(start)
            chunks = list(cohort.chunks()) if cohort is not None else []
            if chunks:
                self._stored_chunks[start] = len(chunks)
            for number, chunk in enumerate(chunks):
                yield _cohort_key(start, number), chunk
            self._waiting |= {_cohort_key(start, number) for number in range(len(chunks), before)}
        core.new_cohorts.clear()

    def _erased(self) -> Iterator[Row]:
        for code, ts in sorted(self.core.erased.items()):
            if self._written_erased.get(code) != ts:
                self._written_erased[code] = ts
                yield b"e" + _HASH.pack(code), _TIME.pack(ts)

    def _encode_partition(self) -> bytes:
        core = self.core
        row = PartitionRow(
            version=ROW_VERSION,
            seq=core.seq,
            published_seq=core.published_seq,
            swept=core.swept,
            matured=core.matured,
            replaying=core.replaying,
            clocks=core.clocks,
            chunks=self._stored_chunks,
        )
        return msgspec.msgpack.encode(row)

    def everything(self) -> Iterator[Row]:
        """All rows of the current state, for a checkpoint; take it between writes only."""
        yield from self._customers(list(self.core.table.index))
        for start, cohort in sorted(self.core.cohorts.items()):
            yield from ((_cohort_key(start, n), chunk) for n, chunk in enumerate(cohort.chunks()))
        for code, ts in sorted(self.core.erased.items()):
            yield b"e" + _HASH.pack(code), _TIME.pack(ts)
        yield PARTITION_KEY, self._encode_partition()

    # -- reading

    def restore(self, rows: Iterable[Row]) -> list[tuple[bytes, str]]:
        """Apply rows in log order; returns (key, why) of those that cannot be read, which are left out."""
        newest = dict(rows)  # the last of equal keys wins, as in a compacted log
        broken: list[tuple[bytes, str]] = []
        plain: list[tuple[str, bytes]] = []
        head = rowcodec.header(self.core.table.layout)
        size = len(head) + self.core.table.layout.dtype.itemsize
        for key, value in newest.items():
            if key[:1] == b"u" and value is not None and len(value) == size and value.startswith(head):
                plain.append((key[1:].decode(), value[len(head) :]))
                continue
            try:
                self._restore_one(key, value)
            except (rowcodec.RowError, WireError, msgspec.MsgspecError, struct.error, UnicodeDecodeError) as error:
                broken.append((key, str(error)))
        if plain:
            records = np.frombuffer(b"".join(data for _, data in plain), self.core.table.layout.dtype)
            slots = self.core.table.put_many([user for user, _ in plain], records)
            for (user, _), slot in zip(plain, slots.tolist(), strict=True):
                self.core.pending.pop(user, None)
                self.core.table.profiles.pop(slot, None)
        return broken

    def _restore_one(self, key: bytes, value: bytes | None) -> None:
        kind, rest = key[:1], key[1:]
        if kind == b"u":
            self._restore_customer(rest.decode(), value)
        elif kind == b"c":
            start, number = _COHORT.unpack(rest)
            if value is None:
                self._pieces.get(start, {}).pop(number, None)
            else:
                self._pieces.setdefault(start, {})[number] = read_chunk(value)
        elif kind == b"e" and value is not None:
            (code,), (ts,) = _HASH.unpack(rest), _TIME.unpack(value)
            self.core.erased[code] = self._written_erased[code] = ts
        elif key == PARTITION_KEY and value is not None:
            row = _partition_decoder.decode(value)
            if row.version > ROW_VERSION:
                raise rowcodec.RowError(f"partition row version {row.version} is newer than {ROW_VERSION}")
            self._partition_row = row
        else:
            raise rowcodec.RowError(f"unknown kind of row {kind!r}")

    def _restore_customer(self, user: str, value: bytes | None) -> None:
        core = self.core
        core.pending.pop(user, None)
        if value is None:
            core.table.remove(user)
            return
        records, tail = rowcodec.decode(core.table.layout, value)
        slot = core.table.put(user, records)
        if tail:
            kept = _tail_decoder.decode(tail)
            if kept.profile is not None:
                core.table.profiles[slot] = kept.profile
            if kept.pending:
                core.pending[user] = kept.pending

    def finish(self) -> None:
        """Make the core whole once all rows are applied: rows may be ahead of the partition row."""
        core, row = self.core, self._partition_row
        if row is not None:
            core.seq, core.published_seq = row.seq, row.published_seq
            core.swept, core.matured, core.replaying = row.swept, row.matured, row.replaying
            core.clocks = {topic: row.clocks.get(topic, TopicClock()) for topic in core.clocks}
            self._stored_chunks = dict(row.chunks)
        core.durable_swept = BEGINNING if core.swept is None else core.swept
        core.table.drop_forks(core.durable_swept)
        self.mark_published(core.published_seq)
        for start, count in self._stored_chunks.items():
            core.cohorts[start] = self._joined(start, count)
        self._forget_erased()
        leftovers = {
            _cohort_key(start, number)
            for start, pieces in self._pieces.items()
            for number in pieces
            if number >= self._stored_chunks.get(start, 0) and start <= core.durable_swept
        }
        self._due |= leftovers
        self._pieces = {}

    def _joined(self, start: int, count: int) -> Cohort:
        pieces = self._pieces.get(start, {})
        missing = [number for number in range(count) if number not in pieces]
        if missing:
            raise rowcodec.RowError(f"the cohort of {start} misses pieces {missing}: the changelog is incomplete")
        cohort = Cohort.join([pieces[number] for number in range(count)])
        # Pieces rewritten by an erasure may overlap when the write was cut short.
        _, first = np.unique(cohort.hashes, return_index=True)
        return cohort if len(first) == len(cohort) else cohort.take(first)

    def _forget_erased(self) -> None:
        """Finish erasures whose tombstones were not written any more."""
        core = self.core
        if core.erased:
            for user, slot in list(core.table.index.items()):
                row = core.table.rows[slot]
                if int(row["last_ts"]) <= core.erased.get(int(row["user_hash"]), BEGINNING):
                    core.erase(user, core.erased[int(row["user_hash"])])


def _cohort_key(start: int, number: int) -> bytes:
    return b"c" + _COHORT.pack(start, number)

