"""What aiokafka makes of a fetch, for every consumer of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from streams.batches import BatchError, BrokenBatch, batch_at, end_of, salvage
from streams.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiokafka import TopicPartition

log = logger(__name__)


class KeptRecords:
    """The batches of a fetch, with the bytes that they are parsed from."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._parsed = MemoryRecords(data)
        self.has_next = self._parsed.has_next
        self.next_batch = self._parsed.next_batch
        self.size_in_bytes = self._parsed.size_in_bytes


class PlainRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Hands out records as they were parsed: key, value, offset, timestamp and headers.

    aiokafka copies each into a frozen dataclass of eleven fields, which takes longer than parsing it, and
    longer than most of what we do with it. There is no setting for this.

    What aiokafka cannot unpack raises an error there, which ends Faust, and records fetched before it are
    lost. Here the records of an intact batch are read one by one; a batch that is broken as a whole comes in
    their place, a `BrokenBatch` behind all that was fetched before it, and reading stands there.
    """

    next_fetch_offset: int

    def __next__(self) -> Any:
        """The next record, or the batch that cannot be unpacked."""
        try:
            return super().__next__()
        except (StopIteration, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the library raises of what stands in a batch
            self._records_iterator = self._instead(error)
            return super().__next__()

    def _instead(self, error: Exception) -> Iterator[Any]:
        place = self.next_fetch_offset
        framed = batch_at(self._records.data, place)
        until = end_of(framed, place)
        try:
            found = salvage(framed.raw)
        except BatchError as why:
            yield BrokenBatch(place, until, f"{why} ({type(error).__name__})", framed.raw)
            return
        log.warning("a batch was read record by record", topic=self._tp.topic, why=type(error).__name__)
        for record in found:
            if record.offset >= self.next_fetch_offset:
                self.next_fetch_offset = record.offset + 1
                yield record
        # Also behind what compaction has removed; what was fetched behind it is fetched again.
        self.next_fetch_offset = max(until, self.next_fetch_offset)

    def _consumer_record(self, _: TopicPartition, record: Any) -> Any:
        return record


_ATTRIBUTES: Final = {"PartitionRecords": PlainRecords, "MemoryRecords": KeptRecords}


def use_plain_records() -> None:
    """From now on, in consumers that exist already too."""
    for name, ours in _ATTRIBUTES.items():
        setattr(fetcher, name, ours)
