"""The features in English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.wording.numbers import number, whole
from features.wording.sentence import Sentence, Wording

if TYPE_CHECKING:
    from features.feature import Theme


def _days(x: float) -> str:
    shown = whole(x)
    return {"0": "less than a day", "1": "1 day"}.get(shown, f"{shown} days")


def _every(x: float) -> str:
    shown = whole(x)
    return "every day" if shown in {"0", "1"} else f"every {shown} days"


def _times(x: float) -> str:
    """Stands before "the usual rate"."""
    if x > 100:
        return "more than 100 times"
    shown = number(x)
    return {"0.5": "half", "1": "about", "2": "twice"}.get(shown, f"{shown} times")


_NO_ORDER: Final = "no order yet"
_NO_RHYTHM: Final = "no second order yet"

_SENTENCES: Final = {
    # -- buying
    "no_purchase_probability": Sentence(
        "{no_purchase_probability} of customers with this rhythm do not return in time: "
        "orders on {order_days:day|days}, the last {days_since_purchase:days} ago",
        _NO_ORDER,
        zero="customers with this rhythm return in time",
        habit=", usually one {gap_mean:every}",
        shop="; customers of this shop usually order {shop_gap:every}",
    ),
    "days_since_purchase": Sentence(
        "no order for {days_since_purchase:days}",
        _NO_ORDER,
        habit="; usually one {gap_mean:every}",
        shop="; customers of this shop usually order {shop_gap:every}",
    ),
    "overdue_ratio": Sentence(
        "{days_since_purchase:days} without an order, where one {gap_mean:every} is usual", _NO_RHYTHM
    ),
    "overdue_deviations": Sentence(
        "no order for {days_since_purchase:days}; usually one {gap_mean:every}, "
        "give or take {gap_deviation:days}",
        "not enough orders yet to know a rhythm",
    ),
    "gap_mean": Sentence("usually orders {gap_mean:every}", _NO_RHYTHM),
    "gap_deviation": Sentence(
        "the time between orders varies by {gap_deviation:days}", "not enough orders yet to know a rhythm"
    ),
    "last_gap_ratio": Sentence(
        "the last two orders were {last_gap:days} apart",
        _NO_RHYTHM,
        habit="; usually one {gap_mean:every}",
    ),
    "orders": Sentence(
        "{orders:order|orders} so far",
        "number of orders not known",
        zero=_NO_ORDER,
        habit=", the last {days_since_purchase:days} ago",
    ),
    "order_days": Sentence(
        "ordered on {order_days:day|days} so far",
        "number of orders not known",
        zero=_NO_ORDER,
        habit=", the last {days_since_purchase:days} ago",
    ),
    "order_frequency": Sentence(
        "orders about {orders_a_year:time|times} a year",
        _NO_ORDER,
        zero="hardly ever orders",
        shop="; customers of this shop usually order {shop_gap:every}",
    ),
    "orders_7d": Sentence(
        "about {orders_7d:order|orders} in recent days",
        "recent orders not known",
        zero="hardly any orders in recent days",
        habit="; usually about {orders_a_year} a year",
    ),
    "orders_30d": Sentence(
        "about {orders_30d:order|orders} in recent weeks",
        "recent orders not known",
        zero="hardly any orders in recent weeks",
        habit="; usually about {orders_a_year} a year",
    ),
    "orders_90d": Sentence(
        "about {orders_90d:order|orders} in recent months",
        "recent orders not known",
        zero="hardly any orders in recent months",
        habit="; usually about {orders_a_year} a year",
    ),
    "orders_trend": Sentence(
        "orders come at {orders_rate:times} the usual rate",
        "trend of orders not known",
        zero="orders have all but stopped",
    ),
    "spend_7d": Sentence(
        "about {spend_7d:whole} spent in recent days, on about {orders_7d:order|orders}",
        "recent spending not known",
        zero="hardly any money spent in recent days",
        habit="; usually {mean_order_value} an order",
    ),
    "spend_30d": Sentence(
        "about {spend_30d:whole} spent in recent weeks, on about {orders_30d:order|orders}",
        "recent spending not known",
        zero="hardly any money spent in recent weeks",
        habit="; usually {mean_order_value} an order",
    ),
    "spend_90d": Sentence(
        "about {spend_90d:whole} spent in recent months, on about {orders_90d:order|orders}",
        "recent spending not known",
        zero="hardly any money spent in recent months",
        habit="; usually {mean_order_value} an order",
    ),
    "spend_trend": Sentence(
        "spending is at {spend_rate:times} the usual rate",
        "trend of spending not known",
        zero="spending has all but stopped",
    ),
    "mean_order_value": Sentence(
        "spends {mean_order_value} an order on average", _NO_ORDER, zero="spends nothing on orders"
    ),
    "max_order_value": Sentence(
        "the largest order was {max_order_value}",
        "largest order not known",
        zero="no money spent yet",
        habit="; {mean_order_value} on average",
    ),
    "total_spend": Sentence(
        "{total_spend} spent in all",
        "money spent not known",
        zero="no money spent yet",
        habit=", on {orders:order|orders}",
    ),
    "items_per_order": Sentence(
        "buys {items_per_order:item|items} an order on average",
        _NO_ORDER,
        zero="orders do not tell their items",
    ),
    "discount_share": Sentence(
        "{discount_share} of orders used a coupon", _NO_ORDER, zero="no order used a coupon"
    ),
    "weekend_share": Sentence(
        "{weekend_share} of orders came at a weekend", _NO_ORDER, zero="no order came at a weekend"
    ),
    "evening_share": Sentence(
        "{evening_share} of orders came in the evening", _NO_ORDER, zero="no order came in the evening"
    ),
    # -- engagement
    "tenure_days": Sentence(
        "a customer for {tenure_days:days}",
        "nothing seen of the customer yet",
        habit="; the last order {days_since_purchase:days} ago",
    ),
    "days_since_activity": Sentence(
        "last seen {days_since_activity:days} ago", "nothing seen of the customer yet"
    ),
    "activity_7d": Sentence(
        "about {activity_7d:visit, order or other action|visits, orders and other actions} in recent days",
        "recent activity not known",
        zero="hardly any activity in recent days",
        habit="; last seen {days_since_activity:days} ago",
    ),
    "activity_30d": Sentence(
        "about {activity_30d:visit, order or other action|visits, orders and other actions} in recent weeks",
        "recent activity not known",
        zero="hardly any activity in recent weeks",
        habit="; last seen {days_since_activity:days} ago",
    ),
    "activity_90d": Sentence(
        "about {activity_90d:visit, order or other action|visits, orders and other actions} in recent months",
        "recent activity not known",
        zero="hardly any activity in recent months",
        habit="; last seen {days_since_activity:days} ago",
    ),
    "activity_trend": Sentence(
        "activity is at {activity_rate:times} the usual rate",
        "trend of activity not known",
        zero="activity has all but stopped",
    ),
    "active_days_30d": Sentence(
        "active on {active_days_30d} of the last 30 days",
        "active days not known",
        zero="not active in the last 30 days",
        habit="; on {active_days_90d} of the last 90",
    ),
    "active_days_90d": Sentence(
        "active on {active_days_90d} of the last 90 days",
        "active days not known",
        zero="not active in the last 90 days",
    ),
    "views_30d": Sentence(
        "looked at about {views_30d:product|products} in recent weeks",
        "products looked at not known",
        zero="hardly looked at any products in recent weeks",
    ),
    "searches": Sentence(
        "searched the shop {searches:time|times} so far", "searches not known", zero="never searched the shop"
    ),
    "carts_30d": Sentence(
        "put about {carts_30d:thing|things} into the cart in recent weeks",
        "recent carts not known",
        zero="put hardly anything into the cart in recent weeks",
    ),
    "cart_abandonment": Sentence(
        "about {cart_abandonment} of what was put into the cart lately was not ordered",
        "nothing put into the cart lately",
        zero="what was put into the cart lately was ordered",
    ),
    "category_breadth": Sentence(
        "interested in {category_breadth:category|categories}",
        "interests not known",
        zero="no interest in any category seen yet",
    ),
    # -- service
    "refund_share": Sentence(
        "{refund_share} of orders were refunded", _NO_ORDER, zero="no order was refunded"
    ),
    "refunded_value_share": Sentence(
        "{refunded_value_share} of the money spent was refunded",
        "no money spent yet",
        zero="no money was refunded",
    ),
    "cancel_share": Sentence(
        "{cancel_share} of orders were cancelled", _NO_ORDER, zero="no order was cancelled"
    ),
    "late_delivery_share": Sentence(
        "{late_delivery_share} of deliveries were late", "no delivery yet", zero="no delivery was late"
    ),
    "mean_rating": Sentence("rated {mean_rating} of 5 on average", "no rating yet"),
    "low_rating_share": Sentence(
        "{low_rating_share} of ratings were 2 of 5 or less",
        "no rating yet",
        zero="no rating was 2 of 5 or less",
    ),
    "satisfaction": Sentence(
        "answered surveys with {satisfaction} of 10 on average", "no survey answered yet"
    ),
    "support_contacts": Sentence(
        "asked for support {support_contacts:time|times}",
        "support contacts not known",
        zero="never asked for support",
        habit=", the last time {days_since_support:days} ago",
    ),
    "days_since_support": Sentence(
        "asked for support {days_since_support:days} ago", "never asked for support"
    ),
}

#: What each feature is called in tables and charts.
_NAMES: Final = {
    "no_purchase_probability": "share of customers with the same buying rhythm who do not return",
    "days_since_purchase": "time since the last order",
    "overdue_ratio": "time since the last order against the usual gap",
    "overdue_deviations": "how far overdue the next order is",
    "gap_mean": "usual time between orders",
    "gap_deviation": "how much the time between orders varies",
    "last_gap_ratio": "latest gap between orders against the usual one",
    "orders": "number of orders",
    "order_days": "number of days with an order",
    "order_frequency": "orders a month",
    "orders_7d": "orders in recent days",
    "orders_30d": "orders in recent weeks",
    "orders_90d": "orders in recent months",
    "orders_trend": "orders in recent days against the usual rate",
    "spend_7d": "money spent in recent days",
    "spend_30d": "money spent in recent weeks",
    "spend_90d": "money spent in recent months",
    "spend_trend": "money spent in recent weeks against the usual rate",
    "mean_order_value": "average value of an order",
    "max_order_value": "value of the largest order",
    "total_spend": "money spent in all",
    "items_per_order": "items in an order",
    "discount_share": "share of orders with a coupon",
    "weekend_share": "share of orders at a weekend",
    "evening_share": "share of orders in the evening",
    "tenure_days": "time as a customer",
    "days_since_activity": "time since the last sign of life",
    "activity_7d": "activity in recent days",
    "activity_30d": "activity in recent weeks",
    "activity_90d": "activity in recent months",
    "activity_trend": "activity in recent days against the usual rate",
    "active_days_30d": "active days among the last 30",
    "active_days_90d": "active days among the last 90",
    "views_30d": "products looked at in recent weeks",
    "searches": "searches in the shop",
    "carts_30d": "things put into the cart in recent weeks",
    "cart_abandonment": "share of the cart that was not ordered",
    "category_breadth": "number of categories of interest",
    "refund_share": "share of orders refunded",
    "refunded_value_share": "share of money refunded",
    "cancel_share": "share of orders cancelled",
    "late_delivery_share": "share of late deliveries",
    "mean_rating": "average rating given",
    "low_rating_share": "share of low ratings",
    "satisfaction": "satisfaction in surveys",
    "support_contacts": "contacts with support",
    "days_since_support": "time since the last contact with support",
}

_THEMES: Final[dict[Theme, str]] = {
    "rhythm": "buying rhythm",
    "spend": "spending",
    "browsing": "browsing",
    "service": "service: returns, deliveries, support",
    "satisfaction": "ratings and satisfaction",
}

ENGLISH: Final = Wording(
    sentences=_SENTENCES,
    names=_NAMES,
    themes=_THEMES,
    forms={"days": _days, "every": _every, "times": _times, "whole": whole},
    occasions={
        "trigger": Sentence(
            "showed dissatisfaction {signal_days:days} ago (a bad rating, refund, cancellation, complaint or "
            "unsubscription)",
            "showed dissatisfaction",
        ),
        "forecast": Sentence(
            "of customers whom the model judges alike, {p_churn} do not order within {horizon_days:days}",
            "the forecast is not known",
        ),
        "ordered_again": Sentence("ordered again {days_since_purchase:days} ago", "ordered again"),
        "forecast_fell": Sentence(
            "the forecast has fallen from {p_before} to {p_churn}", "the forecast has fallen"
        ),
        "threshold_rose": Sentence(
            "alerts now begin at a higher risk, above this customer's {p_churn}",
            "alerts now begin at a higher risk, above this customer's",
        ),
        "below_threshold": Sentence(
            "the forecast, {p_churn}, is below the level at which alerts begin",
            "the forecast is below the level at which alerts begin",
        ),
    },
)
