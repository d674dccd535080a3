"""Clicks, carts, favourites and purchases of 884 users of Tmall, 15 April to 15 August.

The file has days without a year and no prices: it is read as 2013, stamped 12:00 UTC, a brand stands for item
and category, and a purchase counts 1.0 of no currency. It is no package, so it is looked for in a folder.
"""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import orjson

from streams.sources import SourceError, SourceEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_YEAR: Final = 2013
_TYPES: Final = {"0": "view_item", "1": "purchase", "2": "add_to_wishlist", "3": "add_to_cart"}


class Tmall:
    """The log as purchases and a clickstream, ordered by time. See `streams.sources.Source`.

    `path` is the gzipped CSV file. Iterating raises `SourceError` when it is missing or something else.
    """

    name = "tmall"
    description = "182,880 clicks, carts, favourites and purchases of 884 users of Tmall in four months"
    currency = "XXX"
    total = 182_880
    horizon_days = 21
    every_days = 7
    active_within_days = 60
    ordered = True

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[SourceEvent]:
        """Events by day, those of one day in the order of the file."""
        if not self._path.is_file():
            raise SourceError(f"there is no {self._path.name} in {self._path.parent}")
        try:
            with gzip.open(self._path, "rt", encoding="utf-8", newline="") as file:
                events = [_event(number, row) for number, row in enumerate(csv.DictReader(file))]
        except (OSError, EOFError, KeyError, ValueError) as error:
            raise SourceError(f"{self._path} is not the Tmall log: {error!r}") from error
        return iter(sorted(events, key=attrgetter("ts")))


def _event(number: int, row: dict[str, str]) -> SourceEvent:
    user_id, brand, ts = row["user_id"], row["brand_id"], _noon(row["visit_datetime"])
    item = {"item_id": brand, "item_category": brand}
    event: dict[str, Any] = {
        "type": _TYPES[row["type"]],
        "event_id": f"tmall-{number}",
        "user_id": user_id,
        "ts": ts,
    }
    if event["type"] != "purchase":
        return SourceEvent("clickstream", user_id, ts, orjson.dumps(event | item))
    event |= {"transaction_id": event["event_id"], "value": 1.0, "currency": Tmall.currency}
    event["items"] = [item | {"price": 1.0, "quantity": 1}]
    return SourceEvent("orders", user_id, ts, orjson.dumps(event))


@cache
def _noon(day: str) -> int:
    """12:00 UTC of "M-D" in epoch ms."""
    month, number = map(int, day.split("-"))
    return int(datetime(_YEAR, month, number, 12, tzinfo=UTC).timestamp()) * 1000
