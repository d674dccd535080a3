"""What a partition's core writes to its changelog and reads back: the durable form of the state.

The partition row is written last: what it says is true of all rows before it, so after a crash in the
middle of a write the rows are ahead of it, never behind. Whatever a write makes needless (pieces of
matured cohorts, evicted and erased customers) is tombstoned one write *after* the mark that proves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features import rowcodec
from features.layout import gather, rolling
from models import known, rows, sweeping
from models.core import Overgrown
from models.restoring import Restorer, settled_sweep
from models.rows import PARTITION_KEY, PartitionRow, Row, Tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from models.core import PartitionCore

__all__ = ["Row", "Storage"]

_tail_encoder = msgspec.msgpack.Encoder()


class Storage:
    """Turns what changed in a core into rows, and rows into a core again.

    `take` hands out the next write, `confirm` says that it is durable: never two writes at a time, and
    none after one that failed. `restore` and `finish` rebuild a core from rows in any batches, in log order.
    """

    def __init__(self, core: PartitionCore) -> None:
        self.core = core
        self._stored_chunks: dict[int, int] = {}
        #: Keys that the next write deletes.
        self._due: set[bytes] = set()
        self._unconfirmed_sweep: int | None = None
        #: The partition row as it was handed out last.
        self._written = b""
        self._restorer = Restorer(core)

    # -- writing

    def take(self) -> list[Row]:
        """The rows of the next write, the partition row last; empties the core's list of changes.

        Nothing if nothing changed: an idle partition writes nothing.
        """
        core = self.core
        taken = [*self._tombstones(), *self._customers(core.dirty), *self._cohorts(), *self._erased()]
        core.dirty.clear()
        if not taken and self._encode_partition() == self._written:
            return []
        core.seq += 1
        self._written = self._encode_partition()
        taken.append((PARTITION_KEY, self._written))
        self._unconfirmed_sweep = settled_sweep(core)
        return taken

    def confirm(self) -> None:
        """The last write is durable."""
        if self._unconfirmed_sweep is not None:
            self.core.swept_durably(self._unconfirmed_sweep)

    def mark_published(self, seq: int) -> None:
        """All alerts of writes up to `seq` are on their topic; the next partition row says so."""
        core = self.core
        for user, pending in list(core.pending.items()):
            # A mark that says nothing new would be a write, and that write need another mark.
            published = [each.seq for each in pending if each.seq <= seq]
            core.published_seq = max(core.published_seq, *published, 0)
            rest = [each for each in pending if each.seq > seq]
            if rest:
                core.pending[user] = rest
            else:
                del core.pending[user]

    def everything(self) -> Iterator[Row]:
        """All rows of the current state, for a checkpoint that stands behind the last `take`.

        Only when nothing changed since: what is not yet on the changelog would never get there.
        """
        core = self.core
        assert not core.dirty | core.gone | core.new_cohorts, "changes that were not taken"
        yield from self._customers(core.table.index)
        for start, cohort in sorted(core.cohorts.items()):
            yield from ((rows.cohort_key(start, n), chunk) for n, chunk in enumerate(cohort.chunks()))
        yield from (rows.erased_row(code, erased) for code, erased in sorted(core.erased.items()))
        yield from ((rows.OWED + key, b"") for key in sorted(self._due))
        yield PARTITION_KEY, self._encode_partition()

    def _tombstones(self) -> Iterator[Row]:
        """What became needless with the last write, which is durable; what does so now has to wait."""
        due, self._due = sorted(self._due), {rows.customer_key(user) for user in self.core.gone}
        self.core.gone.clear()
        yield from ((key, None) for key in due if not self._alive(key))

    def _alive(self, key: bytes) -> bool:
        """Whether the key came back since: the customer of that name, or the piece of a cohort."""
        if key[:1] == rows.CUSTOMER:
            return key[1:].decode() in self.core.table.index
        start, number = rows.read_cohort_key(key)
        return number < self._stored_chunks.get(start, 0)

    def _customers(self, users: Iterable[str]) -> Iterable[Row]:
        table = self.core.table
        found = sorted(table.index.keys() & users)
        if not found:
            return ()
        slots = np.array([table.index[user] for user in found], np.intp)
        forks, counts = table.forks_of(slots)
        values = rowcodec.encode_many(
            table.layout,
            gather(table.rows, slots),
            rolling(table.rows, table.layout)[forks],
            counts.tolist(),
            self._tails(found, slots),
        )
        values = [
            value if len(value) <= rows.MAX_ROW_BYTES else self._cut_back(user, value)
            for user, value in zip(found, values, strict=True)
        ]
        return zip([rows.customer_key(user) for user in found], values, strict=True)

    def _cut_back(self, user: str, value: bytes) -> bytes:
        """The row of a customer who has outgrown it, without what can best be done without.

        A row that the broker refuses would end this worker and the next. Triggers that wait go first, and
        records as of the oldest decision times, whose sweeps then see a later record; pending alerts last.
        """
        core = self.core
        core.overgrown.append(Overgrown(user, value))
        slot = core.table.index[user]
        core.held.pop(user, None)
        core.table.thin(slot, rows.MAX_FORKS)
        value = self._encode(user, slot)
        if len(value) > rows.MAX_ROW_BYTES:
            core.pending.pop(user, None)
            value = self._encode(user, slot)
        return value

    def _encode(self, user: str, slot: int) -> bytes:
        table = self.core.table
        (tail,) = self._tails([user], np.array([slot], np.intp))
        return rowcodec.encode(table.layout, table.rows[[slot, *table.forks(slot)]], tail)

    def _tails(self, users: list[str], slots: NDArray[np.intp]) -> list[bytes]:
        core, tails = self.core, [b""] * len(users)
        profiles, pending, held = core.table.profiles, core.pending, core.held
        if profiles or pending or held:
            for i, (user, slot) in enumerate(zip(users, slots.tolist(), strict=True)):
                if slot in profiles or user in pending or user in held:
                    tail = Tail(profiles.get(slot), pending.get(user, []), held.get(user, []))
                    tails[i] = _tail_encoder.encode(tail)
        return tails

    def _cohorts(self) -> Iterator[Row]:
        core = self.core
        for start in sorted(core.new_cohorts):
            before = self._stored_chunks.pop(start, 0)
            cohort = core.cohorts.get(start)
            chunks = list(cohort.chunks()) if cohort is not None else []
            if chunks:
                self._stored_chunks[start] = len(chunks)
            for number, chunk in enumerate(chunks):
                yield rows.cohort_key(start, number), chunk
            self._due |= {rows.cohort_key(start, number) for number in range(len(chunks), before)}
        core.new_cohorts.clear()

    def _erased(self) -> Iterator[Row]:
        # Not all of them each time: they stay for ever, and there are more and more.
        for code in sorted(self.core.new_erased):
            yield rows.erased_row(code, self.core.erased[code])
        self.core.new_erased.clear()

    def _encode_partition(self) -> bytes:
        core = self.core
        row = PartitionRow(
            version=rows.ROW_VERSION,
            seq=core.seq,
            published_seq=core.published_seq,
            swept=core.swept,
            matured=core.matured,
            replayed=core.replayed,
            clocks=core.clocks,
            chunks=self._stored_chunks,
            partitions=core.config.partitions,
        )
        return msgspec.msgpack.encode(row)

    # -- reading

    def restore(self, found: Iterable[Row]) -> list[tuple[bytes, str]]:
        """Apply rows in log order; returns (key, why) of those that cannot be read, which are left out."""
        return self._restorer.restore(found)

    def finish(self) -> None:
        """Make the core whole once all rows are applied: rows may be ahead of the partition row.

        Raises RowError when the partition row cannot be read, a pending cohort misses pieces, or customers
        were spread over another number of partitions, and NewerRowError for any row of a newer release, which
        would be overwritten if it was left out. A cohort of which a piece cannot be read is given up whole.
        """
        self._stored_chunks, self._due = self._restorer.finish()
        self.mark_published(self.core.published_seq)
        self.core.newest = known.newest(self.core)
        if (swept := settled_sweep(self.core)) is not None:
            self.core.swept_durably(swept)
            sweeping.evict(self.core, swept)

    def rewrite(self, keys: AbstractSet[bytes]) -> None:
        """Have the next write repeat what is true of the rows of `keys`, of some of which nothing is."""
        core = self.core
        for key in keys:
            if key[:1] == rows.CUSTOMER:
                core.dirty.add(key[1:].decode(errors="replace"))
            elif key[:1] == rows.COHORT:
                core.new_cohorts.add(rows.read_cohort_key(key)[0])
            elif key[:1] == rows.ERASED:
                core.new_erased |= core.erased.keys() & {rows.read_erased_key(key)}
        self._due |= {key for key in keys if key[:1] in {rows.CUSTOMER, rows.COHORT}}
