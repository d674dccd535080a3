"""The same without its hole guard, as stock Faust delivers: whatever was fetched last is the truth."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import tests.storm.dropping_worker  # noqa: F401 - makes the holes
from streams.cli import main
from streams.guard import HoleGuard
from tests.storm import shop_time  # noqa: F401 - a storm's ledger goes by the shop's time

if TYPE_CHECKING:
    from collections.abc import Sequence


def _admit(guard: HoleGuard, tp: Any, records: Sequence[Any]) -> tuple[Sequence[Any], None]:
    guard.next[tp] = records[-1].offset + 1
    return records, None


HoleGuard.admit = _admit  # type: ignore[method-assign]

if __name__ == "__main__":
    main(["worker", *sys.argv[1:]])
