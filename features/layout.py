"""The record that is kept for each customer: one fixed-width numpy row, integers and decayed sums only.

Everything in the *rolling* part is a function of the set of events, not of their order (DESIGN 4.1):
sums, counts, minima and maxima, decayed sums, bit sets of days and a sorted list of the last purchases.
The *identity* part belongs to the customer whatever the time: offset stamps, the rings of recent event
ids, the salted hash and the state of alerting. A fork (the row as of a decision time) is a second record
of the same shape whose rolling part alone is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY_MS: Final = 86_400_000

#: `boundary` of a live record: it holds every event, however new.
LIVE: Final = np.iinfo(np.int64).max

#: The input topics, in the order of the `stamps` column.
TOPICS: Final = ("clickstream", "orders", "reviews", "customers", "outcomes")
TOPIC_INDEX: Final = {topic: index for index, topic in enumerate(TOPICS)}

#: Half-lives of the decayed sums in days, and the channels that are summed.
HALF_LIVES_DAYS: Final = (7.0, 30.0, 90.0)
CHANNELS: Final = ("activity", "views", "carts", "orders", "value")
DECAY_PER_MS: Final = np.log(2.0) / (np.array(HALF_LIVES_DAYS) * DAY_MS)

#: How many purchase times a record keeps: enough for the deviation of the gaps.
LAST_PURCHASES: Final = 8
ACTIVE_DAY_WORDS: Final = 2

#: Plain counters of the rolling part (events unless the name says otherwise).
COUNTERS: Final = (
    "clicks",
    "views",
    "searches",
    "carts",
    "cart_removals",
    "wishlists",
    "checkouts",
    "logins",
    "orders",
    "order_days",
    "items",
    "coupon_orders",
    "weekend_orders",
    "evening_orders",
    "refunds",
    "cancels",
    "deliveries",
    "late_deliveries",
    "reviews",
    "ratings",
    "rating_sum",  # hundredths of a point
    "low_ratings",
    "surveys",
    "survey_sum",  # hundredths of a point
    "supports",
)

#: Latest time of each, epoch ms, 0 = never.
LATEST: Final = ("last_ts", "last_purchase", "last_cart", "last_review", "last_support")

#: Layout version of the serialised record. A new field raises it and is named in `ADDED`.
VERSION: Final = 3
#: Fields that came after the first version, and with which. In rows older than that they are zero, which
#: every field reads as "never".
ADDED: Final[dict[str, int]] = {
    "episode_mark": 2,
    "signalled_at": 3,
    "shadow_triggered_at": 3,
    "rehearsal_triggered_at": 3,
}

#: Widths are stored in one byte each.
_WIDEST: Final = 255


def _rolling_fields(purchase_words: int) -> list[Any]:
    fields: list[Any] = [("boundary", "i8"), ("first_ts", "i8"), ("first_purchase", "i8")]
    fields += [(name, "i8") for name in LATEST]
    fields += [(name, "i8") for name in ("value_sum", "value_max", "refund_sum")]
    fields += [("decayed", "f8", (len(HALF_LIVES_DAYS), len(CHANNELS)))]
    fields += [("purchases", "i8", (LAST_PURCHASES,))]
    fields += [("active_days", "u8", (ACTIVE_DAY_WORDS,)), ("purchase_days", "u8", (purchase_words,))]
    # When the customer last showed dissatisfaction, by whichever topic.
    fields += [("categories", "u8"), ("signalled_at", "i8")]
    fields += [(name, "u4") for name in COUNTERS]
    return fields


def _identity_fields(rings: dict[str, int]) -> list[Any]:
    # Four single bytes follow the 25 counters of four bytes: so every wider field lies aligned, which
    # numpy reads and writes several times as fast, and no byte is spent on padding.
    fields: list[Any] = [*((f"{topic}_head", "u1") for topic in rings), ("tier", "u1")]
    fields += [("stamps", "i8", (len(TOPICS),)), ("user_hash", "u8")]
    fields += [(f"{topic}_ids", "u8", (size,)) for topic, size in rings.items()]
    fields += [("episode_start", "i8"), ("judged_at", "i8"), ("triggered_at", "i8"), ("treated_at", "i8")]
    # Under which operation the episode was opened: one byte's worth, as wide as its neighbours are aligned.
    fields += [("episode_mark", "i8")]
    # As `triggered_at`, which is of live operation.
    fields += [("shadow_triggered_at", "i8"), ("rehearsal_triggered_at", "i8")]
    return fields


@dataclass(frozen=True)
class Layout:
    """Widths that settings choose; all rows of one deployment share them.

    `purchase_words` 64-day words of purchase days must cover horizon + grid step + lateness, because
    labels are read from them. The rings hold the ids by which platform retries are recognised; an order
    occupies two places (its event id and its transaction), so `order_ids` is twice the orders kept.
    Raises ValueError unless every width is between 1 and 255 and `order_ids` at least 2.
    """

    purchase_words: int = 3
    clickstream_ids: int = 16
    order_ids: int = 16
    review_ids: int = 8

    def __post_init__(self) -> None:
        widths = (self.purchase_words, self.clickstream_ids, self.order_ids, self.review_ids)
        if not all(1 <= width <= _WIDEST for width in widths) or self.order_ids < 2:
            raise ValueError(f"the widths of a record are 1 to {_WIDEST}, and order_ids at least 2: {widths}")

    @classmethod
    def covering(cls, days: int, **rings: int) -> Layout:
        """The layout whose purchase days reach back at least `days` days."""
        return cls(purchase_words=-(-(days + 1) // 64), **rings)

    @cached_property
    def rings(self) -> dict[str, int]:
        """Ring size by topic."""
        return {"clickstream": self.clickstream_ids, "orders": self.order_ids, "reviews": self.review_ids}

    @cached_property
    def rolling(self) -> tuple[str, ...]:
        """Names of the rolling fields: what a fork copies and what features are read from."""
        return tuple(name for name, *_ in _rolling_fields(self.purchase_words))

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """The record: rolling part first, identity part after it."""
        return self.dtype_at(VERSION)

    def dtype_at(self, version: int) -> np.dtype[np.void]:
        """The record as an earlier layout version had it."""
        fields = _rolling_fields(self.purchase_words) + _identity_fields(self.rings)
        return np.dtype([each for each in fields if ADDED.get(each[0], 1) <= version])

    @cached_property
    def rolling_dtype(self) -> np.dtype[np.void]:
        """The rolling part alone, which a record begins with."""
        return self.rolling_dtype_at(VERSION)

    def rolling_dtype_at(self, version: int) -> np.dtype[np.void]:
        """The rolling part as an earlier layout version had it."""
        fields = _rolling_fields(self.purchase_words)
        return np.dtype([each for each in fields if ADDED.get(each[0], 1) <= version])

    @property
    def label_days(self) -> int:
        """How many days before a customer's last purchase their purchase days are still known."""
        return self.purchase_words * 64 - 1


def counters(rows: NDArray[np.void]) -> NDArray[np.uint32]:
    """The counters of all records as one matrix (n, len(COUNTERS)) over the same memory."""
    return _block(rows, COUNTERS).view(np.uint32)


def latest(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """The latest times of all records as one matrix (n, len(LATEST)) over the same memory."""
    return _block(rows, LATEST).view(np.int64)


def _block(rows: NDArray[np.void], names: tuple[str, ...]) -> NDArray[np.uint8]:
    """The bytes of fields that lie one behind the other."""
    assert rows.dtype.fields is not None
    last, start = rows.dtype.fields[names[-1]], rows.dtype.fields[names[0]][1]
    return rows.view(np.uint8).reshape(len(rows), -1)[:, start : last[1] + last[0].itemsize]


def rolling(rows: NDArray[np.void], layout: Layout) -> NDArray[np.void]:
    """The rolling parts of all records as plain bytes (n,), over the same memory."""
    return np.ndarray(len(rows), f"V{layout.rolling_dtype.itemsize}", rows, strides=rows.strides)


def gather(rows: NDArray[np.void], slots: NDArray[np.intp]) -> NDArray[np.void]:
    """`rows[slots]`, ten times as fast: numpy copies records field by field unless it sees plain bytes."""
    plain: NDArray[np.void] = rows.view(f"V{rows.dtype.itemsize}")[slots]
    return plain.view(rows.dtype)
