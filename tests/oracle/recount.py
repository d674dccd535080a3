"""What is known of a customer, recounted with pandas from the raw set of events: slow, plain, independent.

Nothing here is shared with `features` but the names of its fields and features. An event that is not in
the frame does not exist, so everything as of t follows from a frame cut off at t.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.events import Event
    from features.layout import Layout
    from features.returns import ReturnModel

DAY = 86_400_000
NAN = math.nan
CLICKS = ["page_view", "search", "view_item", "add_to_cart", "remove_from_cart", "add_to_wishlist"]
CLICKS += ["begin_checkout", "login"]
COUNTED = {
    "views": "view_item",
    "searches": "search",
    "carts": "add_to_cart",
    "cart_removals": "remove_from_cart",
    "wishlists": "add_to_wishlist",
    "checkouts": "begin_checkout",
    "logins": "login",
    "orders": "purchase",
    "refunds": "refund",
    "cancels": "cancel",
    "deliveries": "delivery",
    "reviews": "review",
    "surveys": "survey",
    "supports": "support",
}


def frame(events: Iterable[Event]) -> pd.DataFrame:
    """One row for each event, in order of time."""
    rows = [
        {
            "user": event.user_id,
            "ts": event.ts,
            "kind": event.kind.name.lower(),
            "value": getattr(event, "value", 0.0),
            "coupon": bool(getattr(event, "coupon", None)),
            "items": _items(event),
            "categories": _categories(event),
            "rating": _or_nan(getattr(event, "rating", None)),
            "score": _or_nan(getattr(event, "score", None)),
            "late_days": _or_nan(getattr(event, "late_days", None)),
        }
        for event in events
    ]
    table = pd.DataFrame(rows, columns=list(rows[0]) if rows else ["user", "ts"])
    table["micros"] = [round(value * 1_000_000) for value in table.get("value", [])]
    table["day"] = table.ts // DAY
    return table.sort_values("ts", kind="stable", ignore_index=True)


def _or_nan(value: float | None) -> float:
    return NAN if value is None else float(value)


def _items(event: Any) -> int:
    items = getattr(event, "items", ())
    return min(round(sum(item.quantity for item in items)), 10_000) if items else 1


def _categories(event: Any) -> frozenset[int]:
    names = {getattr(event, "item_category", None)} | {i.item_category for i in getattr(event, "items", ())}
    return frozenset(xxhash.xxh3_64_intdigest(name.encode()) % 64 for name in names if name)


def _of(e: pd.DataFrame, kind: str) -> pd.DataFrame:
    found: pd.DataFrame = e.loc[e.kind.to_numpy() == kind]
    return found


def _last(e: pd.DataFrame, kind: str) -> int:
    return int(e.ts.to_numpy()[e.kind.to_numpy() == kind].max(initial=0))


CHANNELS = ("activity", "views", "carts", "orders", "value")


def _decayed(e: pd.DataFrame, at: int) -> dict[tuple[str, int], float]:
    """Sums of the channels, in which a half-life halves the weight of an event."""
    age, kind = (at - e.ts.to_numpy()) / DAY, e.kind.to_numpy(dtype=str)
    weights = {
        "activity": np.ones(len(e)),
        "views": kind == "view_item",
        "carts": kind == "add_to_cart",
        "orders": kind == "purchase",
        "value": (kind == "purchase") * e.micros.to_numpy() / 1e6,
    }
    return {(c, h): float((weights[c] * 0.5 ** (age / h)).sum()) for c in CHANNELS for h in (7, 30, 90)}


def _days(e: pd.DataFrame, words: int) -> list[int]:
    """Bit sets of the days of `e`, youngest day first."""
    bits = sum(1 << int(age) for age in set(e.day.max() - e.day)) if len(e) else 0
    return [bits >> 64 * word & (1 << 64) - 1 for word in range(words)]


def record(e: pd.DataFrame, purchase_words: int) -> dict[str, Any]:
    """The rolling fields of a customer whose events are `e`."""
    bought, refunds = _of(e, "purchase"), _of(e, "refund")
    ratings, scores = e.rating.dropna(), e.score.dropna()
    last, counts = int(e.ts.max()) if len(e) else 0, e.kind.value_counts()
    times, decayed = bought.ts.sort_values(ascending=False).tolist(), _decayed(e, last)
    return {
        **{name: counts.get(kind, 0) for name, kind in COUNTED.items()},
        "first_ts": e.ts.min() if len(e) else 0,
        "last_ts": last,
        "first_purchase": bought.ts.min() if len(bought) else 0,
        "last_purchase": _last(e, "purchase"),
        "last_cart": _last(e, "add_to_cart"),
        "last_review": _last(e, "review"),
        "last_support": _last(e, "support"),
        "value_sum": bought.micros.sum(),
        "value_max": bought.micros.max() if len(bought) else 0,
        "refund_sum": refunds.micros.sum(),
        "decayed": [[decayed[channel, half_life] for channel in CHANNELS] for half_life in (7, 30, 90)],
        "purchases": (times + [0] * 8)[:8],
        "active_days": _days(e, 2),
        "purchase_days": _days(bought, purchase_words),
        "categories": sum(1 << bit for bit in frozenset().union(*e.categories)),
        "clicks": e.kind.isin(CLICKS).sum(),
        "order_days": bought.day.nunique(),
        "items": bought["items"].sum(),
        "coupon_orders": bought.coupon.sum(),
        "weekend_orders": (pd.to_datetime(bought.ts, unit="ms").dt.day_of_week >= 5).sum(),
        "evening_orders": (pd.to_datetime(bought.ts, unit="ms").dt.hour >= 18).sum(),
        "late_deliveries": (e.late_days > 0).sum(),
        "ratings": len(ratings),
        "rating_sum": sum(round(100 * rating) for rating in ratings),
        "low_ratings": (ratings <= 2).sum(),
        "survey_sum": sum(round(100 * score) for score in scores),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else NAN


def _since(e: pd.DataFrame, ts: int, kind: str) -> float:
    last = _last(e, kind)
    return (ts - last) / DAY if last else NAN


def _no_purchase(bought: pd.DataFrame, ts: int, horizon: int, m: ReturnModel) -> float:
    if not len(bought):
        return NAN
    days = sorted(set(bought.day))
    x, t_x, age = len(days) - 1, days[-1] - days[0], (ts - 1) // DAY - days[0]
    stays = ((m.alpha + age) / (m.alpha + age + horizon)) ** (m.r + x)
    gone = m.a / max(m.b + x - 1, m.b) * ((m.alpha + age) / (m.alpha + t_x)) ** (m.r + x) if x else 0.0
    return float(1 - (1 - stays) / (1 + gone))


def features(e: pd.DataFrame, ts: int, horizon: int, returns: ReturnModel) -> dict[str, float]:
    """Raw values of all features of a customer whose events before `ts` are `e`; NaN = missing."""
    bought, refunds = _of(e, "purchase"), _of(e, "refund")
    orders, spent = len(bought), bought.micros.sum()
    days, since = sorted(set(bought.day)), _since(e, ts, "purchase")
    gap = (days[-1] - days[0]) / (len(days) - 1) if len(days) > 1 else NAN
    gaps = bought.ts.diff().dropna() / DAY
    deviation = gaps.tail(7).std() if len(gaps) > 1 else NAN
    ratings, scores = e.rating.dropna(), e.score.dropna()
    today, decayed = (ts - 1) // DAY, _decayed(e, ts)
    carts, lately = decayed["carts", 30], decayed["orders", 30]

    def trend(channel: str, short: int, long: int) -> float:
        floor = 0.05 / long
        return math.log((decayed[channel, short] / short + floor) / (decayed[channel, long] / long + floor))

    return {
        "no_purchase_probability": _no_purchase(bought, ts, horizon, returns),
        "days_since_purchase": since,
        "overdue_ratio": since / (gap + 1),
        "overdue_deviations": (since - gap) / (deviation + 7),
        "gap_mean": gap,
        "gap_deviation": deviation,
        "last_gap_ratio": gaps.iloc[-1] / (gap + 1) if len(gaps) else NAN,
        "orders": orders,
        "order_days": len(days),
        "order_frequency": 30 * len(days) / ((ts - bought.ts.min()) / DAY + 30) if orders else NAN,
        **{f"orders_{h}d": decayed["orders", h] for h in (7, 30, 90)},
        "orders_trend": trend("orders", 7, 90),
        **{f"spend_{h}d": decayed["value", h] for h in (7, 30, 90)},
        "spend_trend": trend("value", 30, 90),
        "mean_order_value": _ratio(spent / 1e6, orders),
        "max_order_value": bought.micros.max() / 1e6 if orders else 0,
        "total_spend": spent / 1e6,
        "items_per_order": _ratio(bought["items"].sum(), orders),
        "discount_share": _ratio(bought.coupon.sum(), orders),
        "weekend_share": _ratio((pd.to_datetime(bought.ts, unit="ms").dt.day_of_week >= 5).sum(), orders),
        "evening_share": _ratio((pd.to_datetime(bought.ts, unit="ms").dt.hour >= 18).sum(), orders),
        "tenure_days": (ts - e.ts.min()) / DAY if len(e) else NAN,
        "days_since_activity": (ts - e.ts.max()) / DAY if len(e) else NAN,
        **{f"activity_{h}d": decayed["activity", h] for h in (7, 30, 90)},
        "activity_trend": trend("activity", 7, 30),
        "active_days_30d": e.day[e.day > today - 30].nunique(),
        "active_days_90d": e.day[e.day > today - 90].nunique(),
        "views_30d": decayed["views", 30],
        "searches": (e.kind == "search").sum(),
        "carts_30d": carts,
        "cart_abandonment": max(1 - lately / carts, 0) if carts > 0.01 else NAN,
        "category_breadth": len(frozenset().union(*e.categories)),
        "refund_share": _ratio(len(refunds), orders),
        "refunded_value_share": min(_ratio(refunds.micros.sum(), spent), 1.0) if spent else NAN,
        "cancel_share": _ratio((e.kind == "cancel").sum(), orders),
        "late_delivery_share": _ratio((e.late_days > 0).sum(), (e.kind == "delivery").sum()),
        "mean_rating": _ratio(sum(round(100 * r) for r in ratings) / 100, len(ratings)),
        "low_rating_share": _ratio((ratings <= 2).sum(), len(ratings)),
        "satisfaction": _ratio(sum(round(100 * s) for s in scores) / 100, len(scores)),
        "support_contacts": (e.kind == "support").sum(),
        "days_since_support": _since(e, ts, "support"),
    }


def fields(layout: Layout) -> list[str]:
    """The rolling fields that follow from events of feature topics: signals come by others, too."""
    return [name for name in layout.rolling if name not in {"boundary", "signalled_at"}]


def differences(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Names whose values differ: integers by anything, floats by more than 1e-9 (NaN equals NaN)."""
    assert found.keys() == expected.keys()
    return {name: (found[name], expected[name]) for name in expected if _differ(found[name], expected[name])}


def _differ(found: Any, expected: Any) -> bool:
    one = np.asarray(found)
    other = np.asarray(expected, one.dtype)
    if np.array_equal(one, other):
        return False
    return one.dtype.kind != "f" or not np.allclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True)
