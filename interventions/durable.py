"""What of a ledger is stored, handed out for writing, waiting to be published, and brought back.

Knows nothing of deciding: `ledger` builds on it and says in which order all this is called.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from interventions.rows import (
    STATE_KEY,
    BrokenRowError,
    ErasedRow,
    LedgerRow,
    PartitionRow,
    Pending,
    decode_row,
    encode_row,
    user_key,
)


class Output(NamedTuple):
    """One record to publish; `topic` is the logical name."""

    topic: str
    key: bytes
    value: bytes


class DurableRows:
    """One partition's rows, held as the bytes that are stored.

    They are decoded when an alert or an outcome asks for them: both are rare beside the customers who
    just lie there.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._state = PartitionRow()
        self._handed_out = 0
        self._dirty: set[bytes] = set()
        #: Unpublished decisions, by key of the row that carries them.
        self._outbox: dict[bytes, tuple[Pending, ...]] = {}
        #: Alerts to be decided again, as (-probability, time), by key of the row that carries them.
        self._waiting: dict[bytes, tuple[float, int]] = {}
        self._bytes = 0

    def dirty_rows(self) -> list[tuple[bytes, bytes]]:
        """The rows to write, each handed out once, the partition row last; opens the next `seq`."""
        if not self._dirty:
            return []
        self._state.seq += 1
        self._handed_out = self._state.seq
        rows = [(key, self._rows[key]) for key in sorted(self._dirty - {STATE_KEY})]
        self._dirty.clear()
        return [*rows, (STATE_KEY, encode_row(self._state))]

    def pending(self) -> list[Output]:
        """What is to be published now: outputs of rows handed out and not marked, in decided order."""
        waiting = [
            (entry.seq, entry.offset, key, entry.outputs)
            for key, entries in self._outbox.items()
            for entry in entries
            if entry.seq <= self._handed_out
        ]
        return [
            Output(topic, key[1:], value)
            for _, _, key, outputs in sorted(waiting, key=lambda entry: entry[:3])
            for topic, value in outputs
        ]

    def forget(self, before: int) -> list[bytes]:
        """Drop customers of whom nothing was heard since `before` (epoch ms); the keys to clear.

        To be called between a write that is confirmed and the next, which says in the partition row that
        their alerts were decided. The write after that may clear the keys: an alert that is delivered once
        more must find either the customer's row or this word. A row that is ahead of the partition row is
        kept: it is of a torn write, and of the alerts before its stamp some may have to be decided yet.
        """
        old = {
            key: row
            for key, value in self._rows.items()
            if key[:1] == b"u" and key not in self._outbox and key not in self._dirty
            if (row := decode_row(value, LedgerRow)).newest < before and row.stamp <= self._state.offset
        }
        for key, row in old.items():
            self._state.forgotten = max(self._state.forgotten, row.stamp)
            self._drop(key)
        if old:
            self._dirty.add(STATE_KEY)
        return sorted(old)

    def mark_published(self, seq: int) -> None:
        """Everything up to write `seq` is written and published; stored with the next write."""
        self._state.published_seq = max(self._state.published_seq, min(seq, self._handed_out))
        for key in list(self._outbox):
            self._store_row(key, self._row(key))

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take in one changelog row, in changelog order; None is a tombstone.

        Raises NewerRowError or BrokenRowError and leaves the ledger as it was.
        """
        if value is None:
            self._drop(key)
        elif key == STATE_KEY:
            self._state = decode_row(value, PartitionRow)
        elif key[:1] == b"u":
            row = decode_row(value, LedgerRow)
            self._outbox[key] = row.pending
            self._note_waiting(key, row)
            self._store(key, value)
        elif key[:1] == b"e":
            decode_row(value, ErasedRow)
            self._store(key, value)
        else:
            raise BrokenRowError(f"not a ledger key: {key[:16]!r}")

    def collect_torn(self) -> list[Pending]:
        """After the last `restore`: the decisions whose rows survived a write that was not completed.

        Their partition row did not, so it is dirty if there are any: the write goes on under its old
        `seq`, and their outputs are pending when it has been handed out. What is known to be published
        is forgotten.
        """
        durable, published = self._state.seq, self._state.published_seq
        self._handed_out = durable
        self._outbox = {
            key: tuple(entry for entry in entries if entry.seq > published)
            for key, entries in self._outbox.items()
            if any(entry.seq > published for entry in entries)
        }
        torn = [entry for entries in self._outbox.values() for entry in entries if entry.seq > durable]
        if torn:
            self._dirty.add(STATE_KEY)
        return torn

    def snapshot(self) -> bytes:
        """All rows as one blob for the local checkpoint, to be taken when the last write is confirmed.

        RuntimeError while changed rows were not even handed out: a checkpoint must not know more than
        the changelog, or another worker would decide the same alerts again.
        """
        if self._dirty:
            raise RuntimeError("ledger: snapshot between a step and its write")
        return msgspec.msgpack.encode([*self._rows.items(), (STATE_KEY, encode_row(self._state))])

    def restore_snapshot(self, blob: bytes) -> None:
        """Take in what `snapshot` gave. Raises BrokenRowError for another blob, and as `restore` does."""
        try:
            rows = msgspec.msgpack.decode(blob, type=list[tuple[bytes, bytes]])
        except msgspec.DecodeError as error:
            raise BrokenRowError(f"snapshot: {error}") from error
        for key, value in rows:
            self.restore(key, value)

    def history(self, user_id: str) -> LedgerRow | None:
        """A copy of a customer's row: episode, decisions, contacts, outcomes; None if unknown."""
        value = self._rows.get(user_key(user_id))
        return None if value is None else decode_row(value, LedgerRow)

    def value_of(self, key: bytes) -> bytes | None:
        """The stored form of a row now, to be sent again over a foreign write; None if there is none."""
        return encode_row(self._state) if key == STATE_KEY else self._rows.get(key)

    def touch(self, key: bytes) -> bool:
        """Have the row of `key` written again with the next write; False if there is none."""
        if key != STATE_KEY and key not in self._rows:
            return False
        self._dirty.add(key)
        return True

    @property
    def seq(self) -> int:
        """Sequence of the rows handed out last: what `mark_published` is to be called with."""
        return self._handed_out

    @property
    def offset(self) -> int:
        """Offset of the newest alert taken in, -1 before the first."""
        return self._state.offset

    @property
    def waiting_count(self) -> int:
        """Alerts that the budget had nothing left for, and that are to be decided again."""
        return len(self._waiting)

    @property
    def row_count(self) -> int:
        """Customers and erasures held."""
        return len(self._rows)

    @property
    def byte_count(self) -> int:
        """Bytes of all rows and their keys."""
        return self._bytes

    def _row(self, key: bytes) -> LedgerRow:
        value = self._rows.get(key)
        return LedgerRow() if value is None else decode_row(value, LedgerRow)

    def _put(self, key: bytes, row: LedgerRow) -> None:
        self._store_row(key, row)
        self._dirty.add(key)

    def _store_row(self, key: bytes, row: LedgerRow) -> None:
        row.pending = tuple(entry for entry in row.pending if entry.seq > self._state.published_seq)
        self._outbox.pop(key, None)
        if row.pending:
            self._outbox[key] = row.pending
        self._note_waiting(key, row)
        self._store(key, encode_row(row))

    def _note_waiting(self, key: bytes, row: LedgerRow) -> None:
        self._waiting.pop(key, None)
        if row.waiting is not None:
            self._waiting[key] = (-row.waiting.alert.probability, row.waiting.alert.ts)

    def _store(self, key: bytes, value: bytes) -> None:
        self._bytes += len(value) - len(self._rows.get(key, b"")) + (0 if key in self._rows else len(key))
        self._rows[key] = value

    def _drop(self, key: bytes) -> None:
        value = self._rows.pop(key, None)
        self._outbox.pop(key, None)
        self._waiting.pop(key, None)
        self._bytes -= 0 if value is None else len(key) + len(value)
