"""Features of attention: visits, looking around, carts, categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.feature import Feature, decayed, since, trend
from features.speaking import (
    all_of,
    at_least,
    at_most,
    browses,
    falling,
    fewer_active_days,
    hardly_any_activity,
    overdue,
    unseen,
    usually_active,
)
from features.view import or_nan

if TYPE_CHECKING:
    from features.view import Floats, View


def _cart_abandonment(view: View) -> Floats:
    carts, orders = view.decayed("carts", 30), view.decayed("orders", 30)
    some = or_nan(carts, carts > 0.01)
    return np.asarray(1.0 - np.minimum(orders / some, 1.0))


ENGAGEMENT: Final = (
    Feature(
        name="tenure_days",
        theme="rhythm",
        direction="safer",
        speaks=all_of(overdue, at_most("tenure_days", 90)),
        unit="days",
        formula="t - first event",
        why="new customers leave more than old ones",
        compute=since("first_ts"),
    ),
    Feature(
        name="days_since_activity",
        theme="browsing",
        direction="riskier",
        speaks=unseen,
        unit="days",
        formula="t - last event of any kind",
        why="browsing without buying is still interest",
        compute=since("last_ts"),
        fill=3650.0,
    ),
    Feature(
        name="activity_7d",
        theme="browsing",
        direction="safer",
        speaks=hardly_any_activity(7, 90),
        unit="events",
        formula="all events, decayed with a half-life of 7 days",
        why="attention goes before orders do",
        compute=decayed("activity", 7),
    ),
    Feature(
        name="activity_30d",
        theme="browsing",
        direction="safer",
        speaks=hardly_any_activity(30, 90),
        unit="events",
        formula="all events, decayed with a half-life of 30 days",
        why="attention goes before orders do",
        compute=decayed("activity", 30),
    ),
    Feature(
        name="activity_90d",
        theme="browsing",
        direction="safer",
        speaks=all_of(browses, at_most("activity_90d", 0.5)),
        unit="events",
        formula="all events, decayed with a half-life of 90 days",
        why="attention goes before orders do",
        compute=decayed("activity", 90),
    ),
    Feature(
        name="activity_trend",
        theme="browsing",
        direction="safer",
        speaks=all_of(falling("activity_trend"), usually_active),
        unit="log ratio",
        formula="log of the 7-day activity rate against the 30-day one",
        why="attention that falls below the customer's own",
        compute=trend("activity", 7, 30),
        scale="linear",
        high=10.0,
    ),
    Feature(
        name="active_days_30d",
        theme="browsing",
        direction="safer",
        speaks=fewer_active_days,
        unit="days",
        formula="days with any event among the last 30",
        why="coming often is a habit",
        compute=lambda v: v.active_days(30),
    ),
    Feature(
        name="active_days_90d",
        theme="browsing",
        direction="safer",
        speaks=all_of(browses, at_most("active_days_90d", 0)),
        unit="days",
        formula="days with any event among the last 90",
        why="coming often is a habit",
        compute=lambda v: v.active_days(90),
    ),
    Feature(
        name="views_30d",
        theme="browsing",
        direction="safer",
        speaks=all_of(browses, at_most("views_30d", 0.5)),
        unit="events",
        formula="item views, decayed with a half-life of 30 days",
        why="looking at products is the nearest thing to buying",
        compute=decayed("views", 30),
    ),
    Feature(
        name="searches",
        theme="browsing",
        direction="either",
        unit="events",
        formula="number of searches",
        why="searching without finding tires",
        compute=lambda v: v.count("searches"),
    ),
    Feature(
        name="carts_30d",
        theme="browsing",
        direction="safer",
        speaks=all_of(browses, at_most("carts_30d", 0.5)),
        unit="events",
        formula="cart additions, decayed with a half-life of 30 days",
        why="intent that was nearly an order",
        compute=decayed("carts", 30),
    ),
    Feature(
        name="cart_abandonment",
        theme="browsing",
        direction="riskier",
        speaks=all_of(at_least("carts_30d", 0.5), at_least("cart_abandonment", 0.5)),
        unit="share",
        formula="1 - orders / cart additions, both decayed over 30 days, at least 0",
        why="intent that fails is a complaint nobody files",
        compute=_cart_abandonment,
        scale="linear",
        fill=0.5,
    ),
    Feature(
        name="category_breadth",
        theme="browsing",
        direction="safer",
        speaks=all_of(browses, at_least("category_breadth", 1), at_most("category_breadth", 1)),
        unit="categories",
        formula="distinct categories seen (64 hash buckets)",
        why="who uses more of the shop has more reasons to return",
        compute=lambda v: v.breadth,
    ),
)
