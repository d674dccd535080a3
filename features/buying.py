"""Features of buying: rhythm, frequency, money, and the habits around an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.feature import Feature, decayed, share, trend

if TYPE_CHECKING:
    from features.view import Floats, View


def _overdue(view: View) -> Floats:
    return view.recency / (view.gap_mean + 1.0)


def _overdue_deviations(view: View) -> Floats:
    return (view.recency - view.gap_mean) / (view.gap_deviation + 7.0)


def _last_gap_ratio(view: View) -> Floats:
    return view.last_gap / (view.gap_mean + 1.0)


def _frequency(view: View) -> Floats:
    return 30.0 * view.count("order_days") / (view.days_since("first_purchase") + 30.0)


BUYING: Final = (
    Feature(
        name="no_purchase_probability",
        theme="rhythm",
        unit="probability",
        formula="BG/NBD P(no purchase in the horizon | x, t_x, T)",
        why="buying rhythm alone already tells most of who returns",
        compute=lambda v: v.no_purchase,
        scale="logit",
        fill=0.5,
    ),
    Feature(
        name="days_since_purchase",
        theme="silence",
        unit="days",
        formula="t - last purchase",
        why="the longer the silence, the less likely the return",
        compute=lambda v: v.recency,
        fill=3650.0,
    ),
    Feature(
        name="overdue_ratio",
        theme="silence",
        unit="ratio",
        formula="days since purchase / (mean gap + 1 day)",
        why="silence weighs by the customer's own rhythm",
        compute=_overdue,
        fill=1.0,
    ),
    Feature(
        name="overdue_deviations",
        theme="silence",
        unit="deviations",
        formula="(days since purchase - mean gap) / (gap deviation + 7 days)",
        why="late for a regular customer means more than late for an irregular one",
        compute=_overdue_deviations,
        scale="linear",
        high=50.0,
    ),
    Feature(
        name="gap_mean",
        theme="rhythm",
        unit="days",
        formula="(last - first purchase day) / (purchase days - 1)",
        why="slow buyers return later or never",
        compute=lambda v: v.gap_mean,
        fill=90.0,
    ),
    Feature(
        name="gap_deviation",
        theme="rhythm",
        unit="days",
        formula="standard deviation of the last 7 gaps between orders",
        why="irregular buyers are harder to lose and harder to read",
        compute=lambda v: v.gap_deviation,
        fill=45.0,
    ),
    Feature(
        name="last_gap_ratio",
        theme="rhythm",
        unit="ratio",
        formula="days between the last two orders / (mean gap + 1 day)",
        why="a widening rhythm precedes leaving",
        compute=_last_gap_ratio,
        fill=1.0,
    ),
    Feature(
        name="orders",
        theme="frequency",
        unit="orders",
        formula="number of purchases",
        why="habit grows with every order",
        compute=lambda v: v.count("orders"),
    ),
    Feature(
        name="order_days",
        theme="frequency",
        unit="days",
        formula="number of distinct purchase days",
        why="separate visits tell habit better than split orders",
        compute=lambda v: v.count("order_days"),
    ),
    Feature(
        name="order_frequency",
        theme="frequency",
        unit="orders / 30 days",
        formula="30 purchase days / (days since first purchase + 30)",
        why="the plain rate, steadied for new customers",
        compute=_frequency,
    ),
    Feature(
        name="orders_7d",
        theme="frequency",
        unit="orders",
        formula="purchases, decayed with a half-life of 7 days",
        why="recent buying against older buying",
        compute=decayed("orders", 7),
    ),
    Feature(
        name="orders_30d",
        theme="frequency",
        unit="orders",
        formula="purchases, decayed with a half-life of 30 days",
        why="recent buying against older buying",
        compute=decayed("orders", 30),
    ),
    Feature(
        name="orders_90d",
        theme="frequency",
        unit="orders",
        formula="purchases, decayed with a half-life of 90 days",
        why="recent buying against older buying",
        compute=decayed("orders", 90),
    ),
    Feature(
        name="orders_trend",
        theme="trend",
        unit="log ratio",
        formula="log of the 7-day order rate against the 90-day one",
        why="a rate that falls below the customer's own",
        compute=trend("orders", 7, 90),
        scale="linear",
        high=10.0,
    ),
    Feature(
        name="spend_7d",
        theme="money",
        unit="currency",
        formula="money spent, decayed with a half-life of 7 days",
        why="falling spend precedes falling frequency",
        compute=decayed("value", 7),
    ),
    Feature(
        name="spend_30d",
        theme="money",
        unit="currency",
        formula="money spent, decayed with a half-life of 30 days",
        why="falling spend precedes falling frequency",
        compute=decayed("value", 30),
    ),
    Feature(
        name="spend_90d",
        theme="money",
        unit="currency",
        formula="money spent, decayed with a half-life of 90 days",
        why="falling spend precedes falling frequency",
        compute=decayed("value", 90),
    ),
    Feature(
        name="spend_trend",
        theme="trend",
        unit="log ratio",
        formula="log of the 30-day spend rate against the 90-day one",
        why="spend that falls below the customer's own",
        compute=trend("value", 30, 90),
        scale="linear",
        high=20.0,
    ),
    Feature(
        name="mean_order_value",
        theme="money",
        unit="currency",
        formula="money spent / purchases",
        why="basket size separates kinds of customers",
        compute=lambda v: v.spent / v.some("orders"),
    ),
    Feature(
        name="max_order_value",
        theme="money",
        unit="currency",
        formula="largest purchase",
        why="one large order may be a one-off",
        compute=lambda v: v.money("value_max"),
    ),
    Feature(
        name="total_spend",
        theme="money",
        unit="currency",
        formula="money spent so far",
        why="invested customers stay",
        compute=lambda v: v.spent,
    ),
    Feature(
        name="items_per_order",
        theme="money",
        unit="items",
        formula="items bought (at most 10,000 an order) / purchases",
        why="stocking up delays the next order",
        compute=share("items", "orders"),
        fill=1.0,
    ),
    Feature(
        name="discount_share",
        theme="habits",
        unit="share",
        formula="orders with a coupon / orders",
        why="bought loyalty ends with the discount",
        compute=share("coupon_orders", "orders"),
        scale="linear",
    ),
    Feature(
        name="weekend_share",
        theme="habits",
        unit="share",
        formula="orders on Saturday or Sunday (UTC) / orders",
        why="habits of the week",
        compute=share("weekend_orders", "orders"),
        scale="linear",
        fill=2 / 7,
    ),
    Feature(
        name="evening_share",
        theme="habits",
        unit="share",
        formula="orders from 18:00 UTC / orders",
        why="habits of the day",
        compute=share("evening_orders", "orders"),
        scale="linear",
        fill=0.25,
    ),
)
