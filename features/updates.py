"""What one micro-batch does to the rolling part of the records: vectorised, and commutative.

Each function takes the records, the target slot of every entry and the events those entries stand for.
An event may be entered for several records (a live one and its forks), so entries and events differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from features.bitdays import insert, shifted
from features.columns import Columns
from features.events import Kind
from features.groups import Groups
from features.layout import CHANNELS, DAY_MS, DECAY_PER_MS, LAST_PURCHASES

#: (value, currency) -> micros of the configured currency.
Money = Callable[[float, str], int]
Records = NDArray[np.void]

_CLICK_COUNTERS: Final = {
    Kind.VIEW_ITEM: "views",
    Kind.SEARCH: "searches",
    Kind.ADD_TO_CART: "carts",
    Kind.REMOVE_FROM_CART: "cart_removals",
    Kind.ADD_TO_WISHLIST: "wishlists",
    Kind.BEGIN_CHECKOUT: "checkouts",
    Kind.LOGIN: "logins",
}
_KINDS: Final = max(Kind) + 1
_ACTIVITY, _VIEWS, _CARTS, _ORDERS, _VALUE = range(len(CHANNELS))
_EVENING_HOUR: Final = 18
LOW_RATING: Final = 2.0


@dataclass(slots=True)
class Entries:
    """Entries of one update: `targets` (m,) slots; `batch` (m,) the event behind each entry."""

    targets: NDArray[np.intp]
    batch: Columns

    def where(self, mask: NDArray[np.bool_]) -> Entries:
        """Only the entries that `mask` (m,) chooses."""
        index = np.flatnonzero(mask)
        return Entries(self.targets[index], self.batch.take(index))


def update(rows: Records, entries: Entries, money: Money) -> None:
    """Add the entries' events to their records. `entries` must not be empty."""
    groups = Groups(entries.targets)
    values = np.zeros((len(entries.targets), len(CHANNELS)))
    values[:, _ACTIVITY] = 1.0
    _UPDATES[entries.batch.topic](rows, entries, values, money)
    _advance(rows, groups, entries.batch.times, values)


def _advance(rows: Records, groups: Groups, times: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    """Move the decayed sums and active days to each record's newest event, then add the new ones."""
    slots = groups.slots
    old = rows["last_ts"][slots]
    new = np.maximum(old, groups.max(times))
    first = rows["first_ts"][slots]
    earliest = groups.min(times)
    rows["first_ts"][slots] = np.where(first == 0, earliest, np.minimum(first, earliest))
    rows["last_ts"][slots] = new

    weight = np.exp((times - new[groups.inverse])[:, None] * DECAY_PER_MS)
    keep = np.where(old > 0, 1.0, 0.0)[:, None] * np.exp((old - new)[:, None] * DECAY_PER_MS)
    added = groups.sum(weight[:, :, None] * values[:, None, :])
    rows["decayed"][slots] = rows["decayed"][slots] * keep[:, :, None] + added

    days = shifted(rows["active_days"][slots], np.where(old > 0, new // DAY_MS - old // DAY_MS, 0))
    insert(days, groups.inverse, new[groups.inverse] // DAY_MS - times // DAY_MS)
    rows["active_days"][slots] = days


def _latest(rows: Records, name: str, entries: Entries) -> None:
    if len(entries.targets):
        groups = Groups(entries.targets)
        rows[name][groups.slots] = np.maximum(rows[name][groups.slots], groups.max(entries.batch.times))


def _categories(rows: Records, entries: Entries, names: list[tuple[str, ...]]) -> None:
    if any(names):
        sets = np.fromiter((_category_bits(each) for each in names), np.uint64, len(names))
        np.bitwise_or.at(rows["categories"], entries.targets, sets)


def _category_bits(names: tuple[str, ...]) -> int:
    bits = 0
    for name in names:
        bits |= 1 << (xxhash.xxh3_64_intdigest(name.encode()) & 63)
    return bits


def _clickstream(rows: Records, entries: Entries, values: NDArray[np.float64], _money: Money) -> None:
    kinds = entries.batch.kinds
    values[:, _VIEWS] = kinds == Kind.VIEW_ITEM
    values[:, _CARTS] = kinds == Kind.ADD_TO_CART
    groups = Groups(entries.targets)
    counts = groups.counts(kinds, _KINDS).astype(np.uint32)
    rows["clicks"][groups.slots] += counts.sum(axis=1, dtype=np.uint32)
    for kind, name in _CLICK_COUNTERS.items():
        if counts[:, kind].any():
            rows[name][groups.slots] += counts[:, kind]
    _latest(rows, "last_cart", entries.where(kinds == Kind.ADD_TO_CART))
    _categories(rows, entries, [(c,) if (c := event.item_category) else () for event in entries.batch.events])


def _orders(rows: Records, entries: Entries, values: NDArray[np.float64], money: Money) -> None:
    kinds, events = entries.batch.kinds, entries.batch.events
    bought = kinds == Kind.PURCHASE
    if bought.any():
        amounts = _purchases(rows, entries.where(bought), money)
        values[bought, _ORDERS] = 1.0
        values[bought, _VALUE] = amounts / 1e6
    for kind, name in ((Kind.REFUND, "refunds"), (Kind.CANCEL, "cancels"), (Kind.DELIVERY, "deliveries")):
        _count(rows, name, entries.targets[kinds == kind])
    late = [kind == Kind.DELIVERY and (e.late_days or 0) > 0 for e, kind in zip(events, kinds, strict=True)]
    _count(rows, "late_deliveries", entries.targets[np.array(late, bool)])
    refunds = entries.where(kinds == Kind.REFUND)
    _add_exactly(rows, "refund_sum", refunds, [money(e.value, e.currency) for e in refunds.batch.events])


def _count(rows: Records, name: str, targets: NDArray[np.intp]) -> None:
    np.add.at(rows[name], targets, np.uint32(1))


def _add_exactly(rows: Records, name: str, entries: Entries, amounts: list[int]) -> None:
    np.add.at(rows[name], entries.targets, np.array(amounts, rows[name].dtype))


def _purchases(rows: Records, entries: Entries, money: Money) -> NDArray[np.int64]:
    """Enter purchases; returns their amounts in micros, shape (m,)."""
    batch, targets = entries.batch, entries.targets
    amounts = np.array([money(event.value, event.currency) for event in batch.events], np.int64)
    groups = Groups(targets)
    slots = groups.slots
    _count(rows, "orders", targets)
    np.add.at(rows["value_sum"], targets, amounts)
    np.maximum.at(rows["value_max"], targets, amounts)
    _add_exactly(rows, "items", entries, [_item_count(event) for event in batch.events])
    _count(rows, "coupon_orders", targets[np.array([bool(event.coupon) for event in batch.events], bool)])
    hours = (batch.times // 3_600_000) % 24
    weekdays = (batch.times // DAY_MS + 3) % 7  # the epoch was a Thursday; 0 = Monday
    _count(rows, "weekend_orders", targets[weekdays >= 5])
    _count(rows, "evening_orders", targets[hours >= _EVENING_HOUR])
    earliest, first = groups.min(batch.times), rows["first_purchase"][slots]
    rows["first_purchase"][slots] = np.where(first == 0, earliest, np.minimum(first, earliest))
    _purchase_days(rows, groups, targets, batch.times)
    rows["purchases"][slots] = _newest(rows["purchases"][slots], groups, batch.times)
    _categories(rows, entries, [_item_categories(event) for event in batch.events])
    return amounts


def _purchase_days(
    rows: Records, groups: Groups, targets: NDArray[np.intp], times: NDArray[np.int64]
) -> None:
    slots = groups.slots
    old = rows["last_purchase"][slots]
    new = np.maximum(old, groups.max(times))
    rows["last_purchase"][slots] = new
    days = shifted(rows["purchase_days"][slots], np.where(old > 0, new // DAY_MS - old // DAY_MS, 0))
    fresh = insert(days, groups.inverse, new[groups.inverse] // DAY_MS - times // DAY_MS)
    rows["purchase_days"][slots] = days
    _count(rows, "order_days", targets[fresh])


def _newest(kept: NDArray[np.int64], groups: Groups, times: NDArray[np.int64]) -> NDArray[np.int64]:
    """The newest LAST_PURCHASES times of each group, newest first, zeros behind; shape (k, 8)."""
    k = len(groups)
    owner = np.concatenate([np.repeat(np.arange(k), LAST_PURCHASES), groups.inverse])
    values = np.concatenate([kept.ravel(), times])
    order = np.lexsort((-values, owner))
    owner, values = owner[order], values[order]
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
    best = rank < LAST_PURCHASES
    return values[best].reshape(k, LAST_PURCHASES)


def _item_count(event: Any) -> int:
    return round(sum(item.quantity for item in event.items)) if event.items else 1


def _item_categories(event: Any) -> tuple[str, ...]:
    return tuple(item.item_category for item in event.items or () if item.item_category)


def _reviews(rows: Records, entries: Entries, _values: NDArray[np.float64], _money: Money) -> None:
    kinds = entries.batch.kinds
    names = ((Kind.REVIEW, "reviews"), (Kind.SURVEY, "surveys"), (Kind.SUPPORT, "supports"))
    for kind, name in names:
        _count(rows, name, entries.targets[kinds == kind])
    rated = entries.where(np.array([getattr(e, "rating", None) is not None for e in entries.batch.events]))
    ratings = [event.rating for event in rated.batch.events]
    _count(rows, "ratings", rated.targets)
    _add_exactly(rows, "rating_sum", rated, [round(100 * rating) for rating in ratings])
    _count(rows, "low_ratings", rated.targets[np.array(ratings) <= LOW_RATING])
    surveyed = entries.where(kinds == Kind.SURVEY)
    _add_exactly(rows, "survey_sum", surveyed, [round(100 * event.score) for event in surveyed.batch.events])
    _latest(rows, "last_review", entries.where(kinds == Kind.REVIEW))
    _latest(rows, "last_support", entries.where(kinds == Kind.SUPPORT))


_UPDATES: Final = {"clickstream": _clickstream, "orders": _orders, "reviews": _reviews}


