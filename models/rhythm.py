"""How often customers of the shop order: what the trainer knows of all partitions, and who is late by it.

Of a customer with two days of orders or more the *usual gap* is the mean of the days between them. It decides
who is overdue, and whether the horizon suits the shop: whose usual gap is longer than the horizon counts as
lost although they only order as they always did.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from features.layout import DAY_MS, gather
from features.view import rhythm
from models.closings import open_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.returns import ReturnHistogram
    from models.closings import Run

#: A horizon suits a shop if so many of its repeat customers usually order within it.
_WITHIN: Final = 0.8
_WEEK: Final = 7


class ShopRhythm(msgspec.Struct, frozen=True):
    """The usual gaps (days) of a shop's customers.

    `customers`: those with two days of orders or more, of whom alone a gap is known; at least one.
    `usual_gap`: half of them usually order again within it. `beyond_horizon`: the share of them whose usual
    gap is longer than the horizon. `suggested_horizon`: the least number of whole weeks within which four of
    five of them usually order, in days.
    """

    customers: int
    usual_gap: float
    beyond_horizon: float
    suggested_horizon: int

    @classmethod
    def of(cls, histogram: ReturnHistogram, horizon_days: int) -> ShopRhythm | None:
        """The rhythm of all customers counted; None where nobody came a second time.

        Customers of one cell count with the mean of the cell. Integers are added up in a fixed order, so the
        partitions that they come from change nothing.
        """
        customers, repeats, span = histogram.sums[:, 0], histogram.sums[:, 1], histogram.sums[:, 2]
        came_back = repeats > 0
        if not came_back.any():
            return None
        gaps, counts = span[came_back] / repeats[came_back], customers[came_back]
        order = np.argsort(gaps, kind="stable")
        gaps, counts = gaps[order], counts[order]
        upto = np.cumsum(counts)
        everybody = int(upto[-1])

        def within(share: float) -> float:
            return float(gaps[np.searchsorted(upto, share * everybody)])

        return cls(
            customers=everybody,
            usual_gap=round(within(0.5), 6),
            beyond_horizon=float(counts[gaps > horizon_days].sum() / everybody),
            suggested_horizon=_WEEK * max(1, int(np.ceil(within(_WITHIN) / _WEEK))),
        )


def overdue(
    rows: NDArray[np.void], slots: NDArray[np.intp], ts: int | NDArray[np.int64], shop: ShopRhythm | None
) -> NDArray[np.bool_]:
    """Who of the records at `slots` (n,), all with a purchase before `ts` (epoch ms), is late with the next.

    By their own usual gap, by that of the `shop` where there was one day of orders only; if nobody in the
    shop came a second time nobody can be called late or not, and all pass. In whole days, as sentences show
    them (`features.speaking.is_overdue` says the same of one).
    """
    records = gather(rows, slots)
    last = records["last_purchase"]
    repeats, span, _ = rhythm(records["first_purchase"], last, records["order_days"], ts)
    return late(np.asarray((ts - last) / DAY_MS), repeats, span, shop)


def late(
    days: NDArray[np.floating],
    repeats: NDArray[np.floating],
    span: NDArray[np.floating],
    shop: ShopRhythm | None,
) -> NDArray[np.bool_]:
    """See `overdue`, of customers (n,) so many `days` after their last order, `span` days after their first.

    They had `repeats` days of orders behind the first.
    """
    shop_gap = -inf if shop is None else shop.usual_gap
    gap = np.where(repeats >= 1, span / np.maximum(repeats, 1), shop_gap)
    return np.asarray((np.rint(days) > np.maximum(1, np.rint(gap))) | np.isinf(gap))


def not_overdue(
    rows: NDArray[np.void],
    as_of: NDArray[np.intp],
    ts: int,
    shop: ShopRhythm | None,
    closed: Sequence[Run] = (),
) -> NDArray[np.bool_]:
    """Who of the customers with records as of `ts` at `as_of` (n,) is no case for an alert.

    They are not late, days on which the shop was `closed` left out, and have not shown dissatisfaction since
    their last order either.
    """
    dissatisfied = rows["signalled_at"][as_of] >= rows["last_purchase"][as_of]
    at = open_time(rows["last_ts"][as_of], ts, closed)
    return ~(overdue(rows, as_of, at, shop) | dissatisfied)
