"""How much may be read and not yet acknowledged: what keeps a worker small when its broker is slow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.observing import RecordLike

#: What a record stands for in memory besides its value: Python's objects, and the row of its customer on its
#: way to the broker.
RECORD_BYTES: Final = 2_048


class Weighed(Protocol):
    """A batch of records; `weight` in bytes, 0 while it is not in the window."""

    value: Sequence[RecordLike]
    weight: int


class Window:
    """The batches that were delivered and are not acknowledged, by their bytes in memory.

    Nothing is read while they exceed `limit`, so they never exceed it by more than a poll. Until they are
    acknowledged they may lie in a stream's buffer, wait for their partition, or be on the way to the broker
    as rows: however slow any of these is, all of it together is bounded.
    """

    def __init__(self, limit: int) -> None:
        self.used = 0
        self._limit = limit
        self._room = asyncio.Event()
        self._room.set()

    def add(self, batch: Weighed) -> None:
        """`batch` is delivered."""
        values = sum(len(record.value or b"") for record in batch.value)
        batch.weight = values + RECORD_BYTES * len(batch.value)
        self.used += batch.weight
        if self.used >= self._limit:
            self._room.clear()

    def remove(self, batch: Weighed) -> None:
        """`batch` is acknowledged or will come again; said twice of it, it counts once."""
        self.used -= batch.weight
        batch.weight = 0
        if self.used < self._limit:
            self._room.set()

    async def has_room(self, seconds: float) -> bool:
        """Wait at most `seconds` until more may be read; whether that is so."""
        try:
            async with asyncio.timeout(seconds):
                return await self._room.wait()
        except TimeoutError:
            return False
