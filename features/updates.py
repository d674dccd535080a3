"""What one micro-batch does to the rolling part of the records: vectorised, and commutative.

`facts` reads what the events say, once for each event; `update` adds facts to records. An event may
belong to several records (a live one and its forks), so entries of an update and events differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from features import bitdays
from features.events import Kind
from features.groups import Groups
from features.layout import CHANNELS, COUNTERS, DAY_MS, DECAY_PER_MS, LAST_PURCHASES, LATEST, counters, latest

if TYPE_CHECKING:
    from features.columns import Columns

#: (value, currency) -> micros of the configured currency.
Money = Callable[[float, str], int]
Records = NDArray[np.void]
Times = NDArray[np.int64]

_EVENING_HOUR: Final = 18
_HOUR_MS: Final = 3_600_000
LOW_RATING: Final = 2.0
#: Units of one order that count: no order can wear a 32-bit counter out.
MOST_ITEMS: Final = 10_000

_COUNTER: Final = {name: index for index, name in enumerate(COUNTERS)}
_LATEST: Final = {name: index for index, name in enumerate(LATEST)}
_CHANNEL: Final = {name: index for index, name in enumerate(CHANNELS)}
#: More days than there are up to any believable time.
_DAYS: Final = 1_000_000
_NEVER: Final = np.iinfo(np.int64).max
#: The largest float64 that is an int64: sums of money stop there instead of turning negative.
_FULL: Final = 2**63 - 1024

#: As plain numbers: reading an enum's member takes microseconds.
_PURCHASE, _REFUND, _DELIVERY, _REVIEW, _SURVEY = (
    int(kind) for kind in (Kind.PURCHASE, Kind.REFUND, Kind.DELIVERY, Kind.REVIEW, Kind.SURVEY)
)

#: Counters, latest times and channels in which an event of a kind counts once.
_COUNTED: Final = {
    Kind.VIEW_ITEM: "views",
    Kind.SEARCH: "searches",
    Kind.ADD_TO_CART: "carts",
    Kind.REMOVE_FROM_CART: "cart_removals",
    Kind.ADD_TO_WISHLIST: "wishlists",
    Kind.BEGIN_CHECKOUT: "checkouts",
    Kind.LOGIN: "logins",
    Kind.PURCHASE: "orders",
    Kind.REFUND: "refunds",
    Kind.CANCEL: "cancels",
    Kind.DELIVERY: "deliveries",
    Kind.REVIEW: "reviews",
    Kind.SURVEY: "surveys",
    Kind.SUPPORT: "supports",
}
_TIMED: Final = {
    Kind.PURCHASE: "last_purchase",
    Kind.ADD_TO_CART: "last_cart",
    Kind.REVIEW: "last_review",
    Kind.SUPPORT: "last_support",
}
_SUMMED: Final = {Kind.VIEW_ITEM: "views", Kind.ADD_TO_CART: "carts", Kind.PURCHASE: "orders"}


def _one_hot(columns: dict[str, int], names: dict[Kind, str], dtype: type[Any]) -> NDArray[Any]:
    table = np.zeros((max(Kind) + 1, len(columns)), dtype)
    for kind, name in names.items():
        table[kind, columns[name]] = 1
    return table


_COUNTS_OF_KIND: Final = _one_hot(_COUNTER, _COUNTED, np.uint32)
_COUNTS_OF_KIND[Kind.PAGE_VIEW : Kind.LOGIN + 1, _COUNTER["clicks"]] = 1
_TIMES_OF_KIND: Final = _one_hot(_LATEST, _TIMED, np.int64)
_TIMES_OF_KIND[:, _LATEST["last_ts"]] = 1
_VALUES_OF_KIND: Final = _one_hot(_CHANNEL, _SUMMED, np.float64)
_VALUES_OF_KIND[:, _CHANNEL["activity"]] = 1


@dataclass(slots=True)
class Facts:
    """What m events add to a record, one row each.

    `times` (m,) epoch ms; `counts` (m, len(COUNTERS)); `values` (m, len(CHANNELS)) for the decayed sums;
    `latest` (m, len(LATEST)) epoch ms, 0 = no such event; `categories` (m,) bit sets; `bought` (m,) which
    are purchases; `spent` and `refunded` (m,) micros.
    """

    times: Times
    counts: NDArray[np.uint32]
    values: NDArray[np.float64]
    latest: Times
    categories: NDArray[np.uint64]
    bought: NDArray[np.bool_]
    spent: NDArray[np.int64]
    refunded: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)

    def take(self, index: NDArray[np.intp]) -> Facts:
        """The facts at `index`."""
        return Facts(*(getattr(self, each.name)[index] for each in fields(self)))


def facts(batch: Columns, money: Money) -> Facts:
    """What the events of `batch` (of a topic that features are made of) say."""
    n, kinds = len(batch), batch.kinds
    read = Facts(
        times=batch.times,
        counts=_COUNTS_OF_KIND[kinds],
        values=_VALUES_OF_KIND[kinds],
        latest=_TIMES_OF_KIND[kinds] * batch.times[:, None],
        categories=np.zeros(n, np.uint64),
        bought=kinds == _PURCHASE,
        spent=np.zeros(n, np.int64),
        refunded=np.zeros(n, np.int64),
    )
    _READERS[batch.topic](read, batch, money)
    return read


def _read_clicks(read: Facts, batch: Columns, _money: Money) -> None:
    found = [_category_bit(event.item_category) for event in batch.events]
    read.categories[:] = np.array(found, np.uint64)


def _read_orders(read: Facts, batch: Columns, money: Money) -> None:
    bought, purchases = _of_kind(batch, _PURCHASE)
    refunded, refunds = _of_kind(batch, _REFUND)
    delivered, deliveries = _of_kind(batch, _DELIVERY)
    times = batch.times[bought]
    read.spent[bought] = [money(event.value, event.currency) for event in purchases]
    read.values[bought, _CHANNEL["value"]] = read.spent[bought] / 1e6
    read.counts[bought, _COUNTER["items"]] = [_item_count(event) for event in purchases]
    read.counts[bought, _COUNTER["coupon_orders"]] = [bool(event.coupon) for event in purchases]
    # The epoch was a Thursday; 0 = Monday.
    read.counts[bought, _COUNTER["weekend_orders"]] = (times // DAY_MS + 3) % 7 >= 5
    read.counts[bought, _COUNTER["evening_orders"]] = times // _HOUR_MS % 24 >= _EVENING_HOUR
    read.categories[bought] = np.array([_item_categories(event) for event in purchases], np.uint64)
    read.refunded[refunded] = [money(event.value, event.currency) for event in refunds]
    late = [(event.late_days or 0) > 0 for event in deliveries]
    read.counts[delivered, _COUNTER["late_deliveries"]] = late


def _read_reviews(read: Facts, batch: Columns, _money: Money) -> None:
    reviewed, reviews = _of_kind(batch, _REVIEW)
    surveyed, surveys = _of_kind(batch, _SURVEY)
    rated = reviewed[np.array([event.rating is not None for event in reviews], bool)]
    ratings = [event.rating for event in reviews if event.rating is not None]
    read.counts[rated, _COUNTER["ratings"]] = 1
    read.counts[rated, _COUNTER["rating_sum"]] = [round(100 * rating) for rating in ratings]
    read.counts[rated, _COUNTER["low_ratings"]] = [rating <= LOW_RATING for rating in ratings]
    read.counts[surveyed, _COUNTER["survey_sum"]] = [round(100 * event.score) for event in surveys]


def _of_kind(batch: Columns, kind: int) -> tuple[NDArray[np.intp], list[Any]]:
    index = (batch.kinds == kind).nonzero()[0]
    return index, [batch.events[i] for i in index.tolist()]


_READERS: Final = {"clickstream": _read_clicks, "orders": _read_orders, "reviews": _read_reviews}


def _item_count(event: Any) -> int:
    # One whose items are not known counts for one.
    return min(round(sum([item.quantity for item in event.items])), MOST_ITEMS) if event.items else 1


def _item_categories(event: Any) -> int:
    found = 0
    for item in event.items:
        found |= _category_bit(item.item_category)
    return found


@lru_cache(maxsize=65_536)
def _category_bit(name: str | None) -> int:
    return 1 << (xxhash.xxh3_64_intdigest(name.encode()) & 63) if name else 0


def update(rows: Records, targets: NDArray[np.intp], added: Facts) -> None:
    """Add each of the `added` facts (m,), m > 0, to the record at its place in `targets` (m,)."""
    groups = Groups(targets)
    slots = groups.slots
    bought = added.bought.nonzero()[0]
    if len(bought):
        _purchases(rows, Groups(targets[bought]), added.times[bought], added.spent[bought])
    _keep_earliest(rows, "first_ts", groups, added.times)
    _move_on(rows, groups, added)
    # From here on `last_ts` and `last_purchase` are the new ones.
    newest = latest(rows)
    newest[slots] = np.maximum(newest[slots], groups.max(added.latest))
    counters(rows)[slots] += groups.sum(added.counts)
    if added.categories.any():
        rows["categories"][slots] |= groups.bit_or(added.categories)
    if added.refunded.any():
        _add_money(rows, "refund_sum", groups, added.refunded)


def _move_on(rows: Records, groups: Groups, added: Facts) -> None:
    """Move the decayed sums and active days to each record's newest event, then add the new ones."""
    slots, times = groups.slots, added.times
    old = rows["last_ts"][slots]
    new = np.maximum(old, groups.max(times))
    # A record without events has sums of zero, whatever they are multiplied by.
    keep = np.exp((old - new)[:, None] * DECAY_PER_MS)
    weight = np.exp((times - new[groups.inverse])[:, None] * DECAY_PER_MS)
    sums = groups.sum(weight[:, :, None] * added.values[:, None, :])
    rows["decayed"][slots] = rows["decayed"][slots] * keep[:, :, None] + sums
    _add_days(rows, "active_days", groups, times, old=old, new=new)


def _purchases(rows: Records, groups: Groups, times: Times, spent: NDArray[np.int64]) -> None:
    slots = groups.slots
    old = rows["last_purchase"][slots]
    new = np.maximum(old, groups.max(times))
    rows["order_days"][slots] += _new_days(rows["purchase_days"][slots], groups, times, old)
    _add_days(rows, "purchase_days", groups, times, old=old, new=new)
    rows["purchases"][slots] = _newest(rows["purchases"][slots], groups, times)
    rows["value_max"][slots] = np.maximum(rows["value_max"][slots], groups.max(spent))
    _add_money(rows, "value_sum", groups, spent)
    _keep_earliest(rows, "first_purchase", groups, times)


def _add_days(rows: Records, name: str, groups: Groups, times: Times, *, old: Times, new: Times) -> None:
    """Add the days of `times` to the sets `name`, whose anchor moves from `old` to `new` (k,)."""
    day = new // DAY_MS
    words = rows[name][groups.slots]
    # The set of a record without events is empty wherever its anchor lies.
    words = bitdays.shifted(words, np.where(old > 0, day - old // DAY_MS, 0))
    added = groups.bit_or(bitdays.bits(day[groups.inverse] - times // DAY_MS, words.shape[1]))
    rows[name][groups.slots] = words | added


def _new_days(words: bitdays.Words, groups: Groups, times: Times, old: Times) -> NDArray[np.uint32]:
    """How many days of `times` each set, anchored at `old`, has not (k,).

    Judged against the sets as they were: one poll may reach further than a set does, and a day that it
    both brings and leaves behind counts too.
    """
    owner, day = np.divmod(np.unique(groups.inverse * _DAYS + times // DAY_MS), _DAYS)
    age = old[owner] // DAY_MS - day
    new = ~bitdays.any_between(words[owner], age, age)
    return np.bincount(owner[new], minlength=len(groups)).astype(np.uint32)


def _keep_earliest(rows: Records, name: str, groups: Groups, times: Times) -> None:
    known = rows[name][groups.slots]
    rows[name][groups.slots] = np.minimum(np.where(known == 0, _NEVER, known), groups.min(times))


def _add_money(rows: Records, name: str, groups: Groups, amounts: NDArray[np.int64]) -> None:
    known = rows[name][groups.slots]
    rough = known.astype(np.float64) + groups.sum(amounts.astype(np.float64))
    rows[name][groups.slots] = np.where(rough < _FULL, known + groups.sum(amounts), _FULL)


def _newest(kept: Times, groups: Groups, times: Times) -> Times:
    """The newest LAST_PURCHASES times of each group, newest first, zeros behind; shape (k, 8)."""
    wide = 2 * LAST_PURCHASES
    for start in range(0, int(groups.rank.max()) + 1, LAST_PURCHASES):
        # A few times of every group a round, so that one busy customer does not widen the table for all.
        place = groups.rank - start
        now = (place >= 0) & (place < LAST_PURCHASES)
        merged = np.zeros((len(groups), wide), np.int64)
        merged[:, :LAST_PURCHASES] = kept
        merged[groups.inverse[now], LAST_PURCHASES + place[now]] = times[now]
        merged.sort(axis=1)
        kept = merged[:, : LAST_PURCHASES - 1 : -1]
    return kept
