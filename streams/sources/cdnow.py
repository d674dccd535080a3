"""The CDNOW log: all purchases of 23,570 new customers of a music shop, January 1997 to June 1998.

Fader and Hardie, "Forecasting Repeat Sales at CDNOW: A Case Study" (Interfaces 31, 2001). The whole log
comes inside the PyPI package Lifetimes. Its resolution is the day: purchases are stamped 12:00 UTC. 255
rows repeat another one exactly; they are orders of the same day, so an order's id is its row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from streams.sources import SourceError, SourceEvent, package_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PACKAGE: Final = ("Lifetimes", "0.11.3", "lifetimes/datasets/CDNOW_master.txt")


class _Order(NamedTuple):
    """One row: `row` counts from 1 after the header line; `value` in dollars."""

    ts: int
    row: int
    user_id: str
    quantity: int
    value: float


class Cdnow:
    """The CDNOW log as purchases in USD, ordered by time. See `streams.sources.Source`.

    `path` is the master file, by default the one inside the package. Iterating raises `SourceError`
    when it is missing or not what it should be.
    """

    name = "cdnow"
    description = "69,659 purchases of 23,570 customers of the music shop CDNOW, 1997-01-01 to 1998-06-30"
    currency = "USD"
    total = 69_659
    horizon_days = 90
    every_days = 7
    active_within_days = 180
    ordered = True

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def __iter__(self) -> Iterator[SourceEvent]:
        """Purchases by day, those of one day in the order of the file (by customer)."""
        path = self._path or package_file(*_PACKAGE)
        with path.open(encoding="ascii") as lines:
            next(lines, None)  # the header
            try:
                orders = sorted(_order(row, line) for row, line in enumerate(lines, start=1))
            except ValueError as error:
                raise SourceError(f"{path} is not the CDNOW log: {error}") from error
        return map(_purchase, orders)


def _order(row: int, line: str) -> _Order:
    user_id, day, quantity, value = line.split()
    return _Order(_noon(day), row, user_id, int(quantity), float(value))


@cache
def _noon(day: str) -> int:
    """12:00 UTC of YYYYMMDD in epoch ms."""
    return int(datetime.strptime(day, "%Y%m%d").replace(hour=12, tzinfo=UTC).timestamp()) * 1000


def _purchase(order: _Order) -> SourceEvent:
    event_id = f"cdnow-{order.row}"
    event = {
        "type": "purchase",
        "event_id": event_id,
        "user_id": order.user_id,
        "ts": order.ts,
        "transaction_id": event_id,
        "value": order.value,
        "currency": Cdnow.currency,
        # The log knows how many discs and what they cost together.
        "items": [
            {"item_id": "cd", "price": round(order.value / order.quantity, 6), "quantity": order.quantity}
        ],
    }
    return SourceEvent("orders", order.user_id, order.ts, orjson.dumps(event))
