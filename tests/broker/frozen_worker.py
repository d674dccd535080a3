"""A worker that stays up and stops consuming, as Faust's may: `frozen_worker.py PART RECORDS`.

After so many records of `orders` its consumer never returns again, or the consumer's thread is busy for ever,
or its queues wait for ever for something that never comes. Nothing else of it is changed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from streams import logs
from streams.bulk import BulkConsumer
from streams.serving import run_worker
from streams.settings import load
from streams.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_FOR_EVER: Final = 10_000.0


class _Count:
    """Records of `orders` so far, and the event that freezes something."""

    def __init__(self, records: int) -> None:
        self.left = records

    def enough(self, message: Any) -> bool:
        if message.topic.rpartition(".")[2] == "orders":
            self.left -= len(message.value)
        return self.left <= 0


async def _busy() -> None:
    time.sleep(_FOR_EVER)  # noqa: ASYNC251 - that is what is wrong with it


def freeze_consumer(count: _Count, *, busy: bool = False) -> None:
    """The consumer delivers no further poll; with `busy` because its thread does something else."""
    getmany = BulkConsumer.getmany

    async def frozen(consumer: BulkConsumer, timeout: float) -> AsyncIterator[Any]:  # noqa: ASYNC109
        if count.left <= 0:
            await (consumer._thread.call_thread(_busy) if busy else asyncio.sleep(_FOR_EVER))
        async for tp, message in getmany(consumer, timeout):
            count.enough(message)
            yield tp, message

    BulkConsumer.getmany = frozen  # type: ignore[method-assign]


def freeze_agent(count: _Count) -> None:
    """No batch is taken any more out of any partition's queue."""
    give = Worker._give

    async def frozen(worker: Worker, table: Any, event: Any) -> None:
        if count.left <= 0:
            await asyncio.sleep(_FOR_EVER)
        count.enough(event.message)
        await give(worker, table, event)

    Worker._give = frozen  # type: ignore[method-assign]


def main(part: str, records: str) -> None:
    """Run until it freezes, and then on."""
    count = _Count(int(records))
    if part == "agent":
        freeze_agent(count)
    else:
        freeze_consumer(count, busy=part == "thread")
    settings = load(None)
    logs.configure(settings.worker.log_level)
    asyncio.run(run_worker(settings))


if __name__ == "__main__":
    main(*sys.argv[1:])
