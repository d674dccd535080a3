"""Guards of the ways on which stock Faust loses events around rebalances (docs/operations.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiokafka import ConsumerRecord
    from faust.types.tuples import TP


class HoleGuard:
    """Knows the next expected offset of every partition, and mends holes that Faust makes.

    Around a rebalance Faust drops records that were fetched already and counts the hole as acknowledged.
    The guard is *armed* by every path on which fetched records are not delivered; while armed, a batch that
    begins too late is dropped and read again from where it should have begun. Compaction and transaction
    markers make natural gaps, which stay gaps when read again, and then count as the truth.
    """

    def __init__(self) -> None:
        self.next: dict[TP, int] = {}
        self.mended = 0
        self._armed: set[TP] = set()
        self._read_again: dict[TP, int] = {}

    def arm(self, *tps: TP) -> None:
        """Records of these partitions may have been fetched and not delivered, read again or not."""
        self._armed.update(tps)
        for tp in tps:
            self._read_again.pop(tp, None)

    def expect(self, offsets: Mapping[TP, int]) -> None:
        """The position of these partitions was set; fetched records from before may still arrive."""
        for tp, offset in offsets.items():
            self.next[tp] = offset
        self.arm(*offsets)

    def stop_at(self, tp: TP, offset: int) -> None:
        """Reading stands at `offset`: what was admitted there last was no record."""
        self.next[tp] = offset

    def forget(self, tps: set[TP]) -> None:
        """These partitions are somebody else's now."""
        for tp in tps:
            self.next.pop(tp, None)
            self._read_again.pop(tp, None)
        self._armed -= tps

    def is_sure(self, tp: TP) -> bool:
        """Whether nothing that was fetched may have been dropped."""
        return tp not in self._armed or self._read_again.get(tp) == self.next[tp]

    def doubt(self, tp: TP) -> int | None:
        """Where to read again, because what was fetched last may have been dropped; None if not, or done."""
        if self.is_sure(tp):
            return None
        self._read_again[tp] = self.next[tp]
        return self.next[tp]

    def admit(self, tp: TP, records: Sequence[ConsumerRecord]) -> tuple[Sequence[ConsumerRecord], int | None]:
        """(records to deliver, offset to read again from): at most one of them is anything."""
        expected = self.next.get(tp)
        if expected is not None and records[0].offset < expected:
            records = [record for record in records if record.offset >= expected]
            if not records:
                return (), None
        again = self._read_again.pop(tp, None)
        if expected is not None and tp in self._armed and records[0].offset > expected:
            if again != expected:
                self._read_again[tp] = expected
                return (), expected
        elif again is not None:
            self.mended += 1
        self._armed.discard(tp)
        self.next[tp] = records[-1].offset + 1
        return records, None


class LostBatchError(RuntimeError):
    """A batch was handed out and did not arrive, and what follows it did."""


class Numbered(Protocol):
    """A batch; `number` is its own, `after` that of the one handed out before it, None behind a seek."""

    tp: TP
    number: int
    after: int | None


class Succession:
    """Knows which batch arrived last of each partition, and that none is missing before the next.

    The hole guard sees what is fetched. Behind it batches pass through Faust's hands, and one that is dropped
    there without a seek would be missing for good: what follows would make it look as if it was counted.
    """

    def __init__(self) -> None:
        self._arrived: dict[TP, int] = {}

    def require(self, batch: Numbered) -> None:
        """Raises LostBatchError if `batch` does not follow what arrived last."""
        if batch.after is not None and batch.after != self._arrived.get(batch.tp):
            raise LostBatchError(
                f"a batch of {batch.tp.topic}/{batch.tp.partition} was handed out and did not arrive: begun "
                "anew, the worker reads it again"
            )

    def arrived(self, batch: Numbered) -> None:
        """`batch` is where it will be applied."""
        self._arrived[batch.tp] = batch.number
