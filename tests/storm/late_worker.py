"""The worker whose rebalances take long, and end late: in the midst of the next one.

When a rebalance ends Faust seeks, and then reads on, though everything may have been revoked again meanwhile.
Both moments are short and seldom fall into one another; here they do each time.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from streams.bulk import BulkConsumer
from streams.cli import main
from tests.storm import shop_time  # noqa: F401 - a storm's ledger goes by the shop's time

if TYPE_CHECKING:
    from faust.types.tuples import TP

_SEEK_S: Final = 1.5
_REVOKE_S: Final = 2.0

_perform_seek = BulkConsumer.perform_seek
_on_partitions_revoked = BulkConsumer.on_partitions_revoked


async def _seek_late(self: BulkConsumer) -> None:
    await _perform_seek(self)
    await asyncio.sleep(_SEEK_S)


async def _revoke_long(self: BulkConsumer, revoked: set[TP]) -> None:
    await _on_partitions_revoked(self, revoked)
    await asyncio.sleep(_REVOKE_S)


BulkConsumer.perform_seek = _seek_late  # type: ignore[method-assign]
BulkConsumer.on_partitions_revoked = _revoke_long  # type: ignore[method-assign]

if __name__ == "__main__":
    main(["worker", *sys.argv[1:]])
