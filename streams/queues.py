"""A queue for each partition between Faust's stream and what takes its batches."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from streams.stopping import cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class PartitionQueues:
    """Batches of one table's topics: those of a partition are taken in the order they came, one at a time.

    Faust has one stream for all partitions. Who waited in its loop for one that recovers would hold up all
    the others; here each waits for itself. What is in the queues is under way, and bounded by
    `streams.window`. `take` takes a Faust event; an error in it is told to `failed`, and its partition's
    queue stands still from then on: nothing may pass for what was not taken.
    """

    def __init__(
        self, take: Callable[[Any], Awaitable[None]], failed: Callable[[BaseException], None]
    ) -> None:
        self._take = take
        self._failed = failed
        self._waiting: defaultdict[int, deque[Any]] = defaultdict(deque)
        #: What empties a queue: a task for as long as there is anything in it.
        self._emptying: dict[int, asyncio.Task[None]] = {}

    def put(self, event: Any) -> None:
        """Have a batch taken after those of its partition that came before it."""
        number = event.message.partition
        self._waiting[number].append(event)
        if number not in self._emptying:
            name = f"queue-{event.message.topic}-{number}"
            self._emptying[number] = asyncio.create_task(self._empty(number), name=name)

    async def close(self) -> None:
        """Take nothing more."""
        await asyncio.gather(*(cancelled(task) for task in self._emptying.values()))

    async def _empty(self, number: int) -> None:
        waiting = self._waiting[number]
        try:
            while waiting:
                await self._take(waiting.popleft())
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must hear of it and stop
            self._failed(error)
        else:
            del self._emptying[number], self._waiting[number]
