"""How much may be read and not yet acknowledged: what keeps a worker small when its broker is slow."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from features.observing import RecordLike

#: What a record stands for in memory besides its value: Python's objects, and the row of its customer on its
#: way to the broker.
RECORD_BYTES: Final = 2_048
#: Records of a poll: no more than Faust asks for, and so many however little room there is, because each
#: poll has its own costs.
MOST_RECORDS: Final = 5_000
LEAST_RECORDS: Final = 250


class Weighed(Protocol):
    """A batch of records; `weight` in bytes, 0 while it is not in the window."""

    value: Sequence[RecordLike]
    lane: Hashable
    weight: int


class Window:
    """The batches that were delivered and are not acknowledged, by their bytes in memory and by lane.

    A lane is what is served together: a partition of the customers, or of the ledger. Each may hold as much
    as it leaves free for the others: alone half of `limit`, and of many that stand still each its share, so
    that there is room for whoever goes on. Until batches are acknowledged they may lie in a queue, wait for
    their partition, or be on the way to the broker as rows: however slow any of these is, all of it together
    is bounded by `limit` and a small poll of each lane.
    """

    def __init__(self, limit: int) -> None:
        self.used = 0
        self._limit = limit
        self._lanes: Counter[Hashable] = Counter()
        self._less = asyncio.Event()

    def add(self, batch: Weighed) -> None:
        """`batch` is delivered."""
        values = sum(len(record.value or b"") for record in batch.value)
        batch.weight = values + RECORD_BYTES * len(batch.value)
        self.used += batch.weight
        self._lanes[batch.lane] += batch.weight

    def remove(self, batch: Weighed) -> None:
        """`batch` is acknowledged or will come again; said twice of it, it counts once."""
        if batch.weight:
            self.used -= batch.weight
            self._lanes[batch.lane] -= batch.weight
            if not self._lanes[batch.lane]:
                del self._lanes[batch.lane]
            batch.weight = 0
            self._less.set()

    def is_full(self, lane: Hashable) -> bool:
        """Whether nothing more of `lane` is to be read now; never of one of which nothing is under way."""
        held = self._lanes[lane]
        return held > 0 and held >= self._free

    def records(self) -> int:
        """How many records the next poll may bring: as many as fill half of what is free."""
        return min(max(self._free // 2 // RECORD_BYTES, LEAST_RECORDS), MOST_RECORDS)

    async def less(self, seconds: float) -> None:
        """Wait until something is acknowledged, and at most `seconds`."""
        self._less.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._less.wait()
        except TimeoutError:
            return

    @property
    def _free(self) -> int:
        return self._limit - self.used
