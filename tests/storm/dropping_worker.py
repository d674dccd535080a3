"""The worker to which the worst befalls in each generation: what its first poll fetched is not delivered.

Faust drops records that were fetched when a rebalance comes between fetching and delivering, and then counts
the hole as acknowledged. That moment is short and seldom met; here it is met each time, by the same path.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from streams.bulk import BulkConsumer
from streams.cli import main
from tests.storm import shop_time  # noqa: F401 - a storm's ledger goes by the shop's time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_getmany = BulkConsumer.getmany
_met: set[int] = set()


async def _drop_first(self: BulkConsumer, timeout: float) -> AsyncIterator[Any]:  # noqa: ASYNC109 - Faust's name
    generation = self.app.consumer_generation_id
    if self.flow_active and generation not in _met:
        records, _ = await self._wait_next_records(timeout)
        if records:
            _met.add(generation)
            self.guard.arm(*records)
        return
    async for delivered in _getmany(self, timeout):
        yield delivered


BulkConsumer.getmany = _drop_first  # type: ignore[method-assign]

if __name__ == "__main__":
    main(["worker", *sys.argv[1:]])
