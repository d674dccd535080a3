"""Features of service: what went back, came late, or made the customer speak up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.feature import Feature, share, since
from features.speaking import at_least, at_most
from features.view import or_nan

if TYPE_CHECKING:
    from features.view import Floats, View


def _refunded_value(view: View) -> Floats:
    some = or_nan(view.spent, view.spent > 0)
    return np.asarray(np.minimum(view.money("refund_sum") / some, 1.0))


SERVICE: Final = (
    Feature(
        name="refund_share",
        theme="service",
        direction="riskier",
        speaks=at_least("refund_share", 0.1),
        unit="share",
        formula="refunds / orders",
        why="what goes back takes trust with it",
        compute=share("refunds", "orders"),
        scale="linear",
        high=2.0,
    ),
    Feature(
        name="refunded_value_share",
        theme="service",
        direction="riskier",
        speaks=at_least("refunded_value_share", 0.1),
        unit="share",
        formula="refunded money / money spent, at most 1",
        why="large returns weigh more than small ones",
        compute=_refunded_value,
        scale="linear",
    ),
    Feature(
        name="cancel_share",
        theme="service",
        direction="riskier",
        speaks=at_least("cancel_share", 0.1),
        unit="share",
        formula="cancelled orders / orders",
        why="a cancelled order is a second thought",
        compute=share("cancels", "orders"),
        scale="linear",
        high=2.0,
    ),
    Feature(
        name="late_delivery_share",
        theme="service",
        direction="riskier",
        speaks=at_least("late_delivery_share", 0.1),
        unit="share",
        formula="late deliveries / deliveries",
        why="waiting is a reason to try another shop",
        compute=share("late_deliveries", "deliveries"),
        scale="linear",
        fill=0.1,
    ),
    Feature(
        name="mean_rating",
        theme="satisfaction",
        direction="safer",
        speaks=at_most("mean_rating", 3),
        unit="points",
        formula="sum of ratings (to hundredths) / ratings",
        why="what customers say of products, they think of the shop",
        compute=lambda v: v.share("rating_sum", "ratings") / 100,
        scale="linear",
        fill=4.0,
    ),
    Feature(
        name="low_rating_share",
        theme="satisfaction",
        direction="riskier",
        speaks=at_least("low_rating_share", 0.25),
        unit="share",
        formula="ratings of 2 or less / ratings",
        why="one bad surprise outweighs many good ones",
        compute=share("low_ratings", "ratings"),
        scale="linear",
    ),
    Feature(
        name="satisfaction",
        theme="satisfaction",
        direction="safer",
        speaks=at_most("satisfaction", 6),
        unit="points",
        formula="sum of survey scores (to hundredths) / surveys",
        why="said in words, not yet in deeds",
        compute=lambda v: v.share("survey_sum", "surveys") / 100,
        scale="linear",
        fill=7.0,
    ),
    Feature(
        name="support_contacts",
        theme="service",
        direction="riskier",
        speaks=at_most("days_since_support", 90),
        unit="contacts",
        formula="number of support contacts",
        why="who needs help has trouble",
        compute=lambda v: v.count("supports"),
    ),
    Feature(
        name="days_since_support",
        theme="service",
        direction="safer",
        speaks=at_most("days_since_support", 90),
        unit="days",
        formula="t - last support contact",
        why="fresh trouble counts more",
        compute=since("last_support"),
        fill=3650.0,
    ),
)
