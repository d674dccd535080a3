"""The feature catalogue: the one place where a feature has its name, unit, formula and reason to exist.

Raw values are what people read (NaN = missing). Model inputs are derived from them by the feature's
stated rule: `log` features become log1p (outliers are tamed, ratios become differences), `logit`
features log-odds, all are clipped to finite bounds, and missing values take the rule's `fill`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.view import Floats, View

Scale = Literal["log", "linear", "logit"]
_P_MIN: Final = 1e-6


@dataclass(frozen=True)
class Feature:
    """One feature. `compute` gives raw values (n,) float64, NaN = missing; `fill` is the raw value that
    stands in for a missing one; `high` bounds raw values against outliers; `say` tells a raw value in words.
    """

    name: str
    unit: str
    formula: str
    why: str
    compute: Callable[[View], Floats]
    say: str
    scale: Scale = "log"
    fill: float = 0.0
    high: float = 1e7

    def inputs(self, raw: Floats) -> Floats:
        """Model inputs of raw values: finite for every input."""
        value = np.clip(np.where(np.isnan(raw), self.fill, raw), 0.0 if self.scale != "linear" else -self.high, self.high)
        if self.scale == "log":
            return np.log1p(value)
        if self.scale == "logit":
            p = np.clip(value, _P_MIN, 1.0 - _P_MIN)
            return np.log(p / (1.0 - p))
        return value

    def text(self, raw: float) -> str:
        """The raw value as a part of a sentence."""
        return self.say.format(raw) if np.isfinite(raw) else f"no {self.name.replace('_', ' ')} known"


def _share(part: str, whole: str) -> Callable[[View], Floats]:
    def compute(view: View) -> Floats:
        n = view.count(whole)
        return np.where(n > 0, view.count(part) / np.maximum(n, 1.0), np.nan)

    return compute


def _decayed(channel: str, days: int) -> Callable[[View], Floats]:
    return lambda view: view.decayed(channel, days)


def _trend(channel: str, short: int, long: int) -> Callable[[View], Floats]:
    def compute(view: View) -> Floats:
        # Decayed sums of a steady stream are proportional to their half-life, so steady means 0.
        recent, usual = view.decayed(channel, short) / short, view.decayed(channel, long) / long
        floor = 0.05 / long
        return np.log((recent + floor) / (usual + floor))

    return compute


def _overdue(view: View) -> Floats:
    return view.recency / (view.gap_mean + 1.0)


def _overdue_deviation(view: View) -> Floats:
    return (view.recency - view.gap_mean) / (view.gap_deviation + 7.0)


def _frequency(view: View) -> Floats:
    tenure = view.days_since("first_purchase")
    return 30.0 * view.count("order_days") / (tenure + 30.0)


def _cart_abandonment(view: View) -> Floats:
    carts = view.decayed("carts", 30)
    return np.where(carts > 0.01, 1.0 - np.minimum(view.decayed("orders", 30) / np.maximum(carts, 0.01), 1.0), np.nan)


def _mean_order(view: View) -> Floats:
    return view.rows["value_sum"] / 1e6 / view.orders


def _last_gap_ratio(view: View) -> Floats:
    return view.gaps[:, 0] / (view.gap_mean + 1.0)


def _breadth(view: View) -> Floats:
    return np.bitwise_count(view.rows["categories"]).astype(np.float64)


def _net_refund(view: View) -> Floats:
    value = view.rows["value_sum"]
    return np.where(value > 0, np.minimum(view.rows["refund_sum"] / np.maximum(value, 1), 1.0), np.nan)


_MEAN_RATING = "mean of all ratings"

CATALOGUE: Final = (
    Feature("no_purchase_probability", "probability", "BG/NBD P(no purchase in the horizon | x, t_x, T)",
            "buying rhythm alone already tells most of who returns", lambda v: v.no_purchase,
            "the buying rhythm alone gives {:.0%} for not returning", scale="logit", fill=0.5),
    Feature("days_since_purchase", "days", "t - last purchase",
            "the longer the silence, the less likely the return", lambda v: v.recency,
            "no order for {:.0f} days", fill=3650.0),
    Feature("overdue_ratio", "ratio", "days since purchase / (mean gap + 1 day)",
            "silence weighs by the customer's own rhythm", _overdue,
            "the silence is {:.1f} times the usual gap", fill=1.0),
    Feature("overdue_deviations", "deviations", "(days since purchase - mean gap) / (gap deviation + 7 days)",
            "late for a regular customer means more than late for an irregular one", _overdue_deviation,
            "the order is {:.1f} usual deviations late", scale="linear", fill=0.0, high=50.0),
    Feature("gap_mean", "days", "(last - first purchase day) / (purchase days - 1)",
            "slow buyers return later or never", lambda v: v.gap_mean,
            "usually {:.0f} days between orders", fill=90.0),
    Feature("gap_deviation", "days", "standard deviation of the last 7 gaps",
            "irregular buyers are harder to lose and harder to read", lambda v: v.gap_deviation,
            "gaps between orders vary by {:.0f} days", fill=45.0),
    Feature("last_gap_ratio", "ratio", "last gap / (mean gap + 1 day)",
            "a widening rhythm precedes leaving", _last_gap_ratio,
            "the last gap was {:.1f} times the usual", fill=1.0),
    Feature("tenure_days", "days", "t - first event",
            "new customers leave more than old ones", lambda v: v.days_since("first_ts"),
            "a customer for {:.0f} days"),
    Feature("days_since_activity", "days", "t - last event of any kind",
            "browsing without buying is still interest", lambda v: v.days_since("last_ts"),
            "not seen for {:.0f} days", fill=3650.0),
    Feature("orders", "orders", "number of purchases",
            "habit grows with every order", lambda v: v.count("orders"), "{:.0f} orders so far"),
    Feature("order_days", "days", "number of distinct purchase days",
            "separate visits tell habit better than split orders", lambda v: v.count("order_days"),
            "bought on {:.0f} days so far"),
    Feature("order_frequency", "orders / 30 days", "30 purchase days / (days since first purchase + 30)",
            "the plain rate, steadied for new customers", _frequency, "{:.1f} orders a month"),
    *(Feature(f"orders_{d}d", "orders", f"purchases, decayed with a half-life of {d} days",
              "recent buying against older buying", _decayed("orders", d),
              "recent orders (half-life " + str(d) + " days) weigh {:.1f}") for d in (7, 30, 90)),
    *(Feature(f"spend_{d}d", "currency", f"money spent, decayed with a half-life of {d} days",
              "falling spend precedes falling frequency", _decayed("value", d),
              "recent spend (half-life " + str(d) + " days) is {:.0f}") for d in (7, 30, 90)),
    Feature("mean_order_value", "currency", "money spent / purchases",
            "basket size separates kinds of customers", _mean_order, "{:.2f} spent per order"),
    Feature("max_order_value", "currency", "largest purchase",
            "one large order may be a one-off", lambda v: v.rows["value_max"] / 1e6, "largest order {:.2f}"),
    Feature("total_spend", "currency", "money spent so far",
            "invested customers stay", lambda v: v.rows["value_sum"] / 1e6, "{:.0f} spent in all"),
    Feature("items_per_order", "items", "items bought / purchases",
            "stocking up delays the next order", lambda v: v.count("items") / v.orders,
            "{:.1f} items per order", fill=1.0),
    Feature("orders_trend", "log ratio", "log of 7-day against 90-day order rate",
            "a rate that falls below the customer's own", _trend("orders", 7, 90),
            "order rate against usual: {:+.1f} (log)", scale="linear", high=10.0),
    Feature("spend_trend", "log ratio", "log of 30-day against 90-day spend rate",
            "spend that falls below the customer's own", _trend("value", 30, 90),
            "spend rate against usual: {:+.1f} (log)", scale="linear", high=20.0),
    *(Feature(f"activity_{d}d", "events", f"all events, decayed with a half-life of {d} days",
              "attention goes before orders do", _decayed("activity", d),
              "recent activity (half-life " + str(d) + " days) weighs {:.1f}") for d in (7, 30, 90)),
    Feature("activity_trend", "log ratio", "log of 7-day against 30-day activity rate",
            "attention that falls below the customer's own", _trend("activity", 7, 30),
            "activity against usual: {:+.1f} (log)", scale="linear", high=10.0),
    Feature("views_30d", "events", "item views, decayed with a half-life of 30 days",
            "looking at products is the nearest thing to buying", _decayed("views", 30),
            "recent product views weigh {:.1f}"),
    Feature("carts_30d", "events", "cart additions, decayed with a half-life of 30 days",
            "intent that was nearly an order", _decayed("carts", 30), "recent cart additions weigh {:.1f}"),
    Feature("cart_abandonment", "share", "1 - orders / cart additions, both decayed over 30 days, in [0, 1]",
            "intent that fails is a complaint nobody files", _cart_abandonment,
            "{:.0%} of recent carts were left", scale="linear", fill=0.5),
    Feature("active_days_30d", "days", "days with any event among the last 30",
            "coming often is a habit", lambda v: v.active_days(30), "active on {:.0f} of the last 30 days"),
    Feature("active_days_90d", "days", "days with any event among the last 90",
            "coming often is a habit", lambda v: v.active_days(90), "active on {:.0f} of the last 90 days"),
    Feature("searches", "events", "number of searches", "searching without finding tires",
            lambda v: v.count("searches"), "{:.0f} searches so far"),
    Feature("discount_share", "share", "orders with a coupon / orders",
            "bought loyalty ends with the discount", _share("coupon_orders", "orders"),
            "{:.0%} of orders used a coupon", scale="linear", fill=0.0),
    Feature("refund_share", "share", "refunds / orders",
            "what goes back takes trust with it", _share("refunds", "orders"),
            "{:.0%} of orders were refunded", scale="linear", high=2.0),
    Feature("refunded_value_share", "share", "refunded money / money spent, in [0, 1]",
            "large returns weigh more than small ones", _net_refund,
            "{:.0%} of the money was refunded", scale="linear"),
    Feature("cancel_share", "share", "cancelled orders / orders",
            "a cancelled order is a second thought", _share("cancels", "orders"),
            "{:.0%} of orders were cancelled", scale="linear", high=2.0),
    Feature("late_delivery_share", "share", "late deliveries / deliveries",
            "waiting is a reason to try another shop", _share("late_deliveries", "deliveries"),
            "{:.0%} of deliveries were late", scale="linear", fill=0.1),
    Feature("mean_rating", "points", _MEAN_RATING, "what customers say of products, they think of the shop",
            lambda v: np.where(v.count("ratings") > 0, v.count("rating_sum") / 100 / np.maximum(v.count("ratings"), 1), np.nan),
            "rates {:.1f} on average", scale="linear", fill=4.0),
    Feature("low_rating_share", "share", "ratings of 2 or less / ratings",
            "one bad surprise outweighs many good ones", _share("low_ratings", "ratings"),
            "{:.0%} of ratings were 2 or less", scale="linear"),
    Feature("satisfaction", "points", "mean survey score",
            "said in words, not yet in deeds",
            lambda v: np.where(v.count("surveys") > 0, v.count("survey_sum") / 100 / np.maximum(v.count("surveys"), 1), np.nan),
            "survey score {:.1f} on average", scale="linear", fill=7.0),
    Feature("support_contacts", "contacts", "number of support contacts",
            "who needs help has trouble", lambda v: v.count("supports"), "{:.0f} support contacts"),
    Feature("days_since_support", "days", "t - last support contact",
            "fresh trouble counts more", lambda v: v.days_since("last_support"),
            "last support contact {:.0f} days ago", fill=3650.0),
    Feature("category_breadth", "categories", "distinct categories seen (64 hash buckets)",
            "who uses more of the shop has more reasons to return", _breadth, "interested in {:.0f} categories"),
    Feature("weekend_share", "share", "orders on Saturday or Sunday (UTC) / orders",
            "habits of the week", _share("weekend_orders", "orders"),
            "{:.0%} of orders on weekends", scale="linear", fill=2 / 7),
    Feature("evening_share", "share", "orders from 18:00 UTC / orders",
            "habits of the day", _share("evening_orders", "orders"),
            "{:.0%} of orders in the evening", scale="linear", fill=0.25),
)  # fmt: skip

NAMES: Final = tuple(feature.name for feature in CATALOGUE)
BY_NAME: Final = {feature.name: feature for feature in CATALOGUE}
#: The column whose log-odds model inputs start from, before any label was seen.
OFFSET: Final = "no_purchase_probability"
#: How many records are worked on at a time: their columns stay in the processor's cache.
CHUNK: Final = 4096


def raw_features(view: View) -> Floats:
    """Raw values of all features, shape (n, len(CATALOGUE)), NaN = missing."""
    return np.stack([feature.compute(view) for feature in CATALOGUE], axis=1)


def model_inputs(raw: Floats) -> NDArray[np.float32]:
    """Model inputs of raw values, same shape, all finite. Learning and scoring both use float32."""
    columns = [feature.inputs(raw[:, i]) for i, feature in enumerate(CATALOGUE)]
    return np.stack(columns, axis=1).astype(np.float32)
