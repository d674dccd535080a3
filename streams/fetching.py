"""What aiokafka makes of a fetch, for every consumer of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka.consumer import fetcher

if TYPE_CHECKING:
    from aiokafka import TopicPartition


class PlainRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Hands out records as they were parsed: key, value, offset, timestamp and headers.

    aiokafka copies each into a frozen dataclass of eleven fields, which takes longer than parsing it, and
    longer than most of what we do with it. There is no setting for this.
    """

    def _consumer_record(self, _: TopicPartition, record: Any) -> Any:
        return record


def use_plain_records() -> None:
    """From now on, in consumers that exist already too."""
    fetcher.PartitionRecords = PlainRecords
