"""When a customer's own numbers speak for leaving: the rules by which a feature may be told as a reason.

A model may give a feature a share in the risk for reasons of its own (correlated columns share what they say,
and one may take back what another says too much). A person reads one sentence, and it must make sense alone:
"orders come at 5.5 times the usual rate" is never a reason for leaving. So a reason asks, beside its share,
that what the sentence shows differs from what is usual, and in the direction of leaving.

A rule reads *facts*: raw values by feature, what `facts` adds, NaN = missing. What is missing never speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite, isnan, log, nan
from typing import Any, Final

Facts = Mapping[str, float]
Rule = Callable[[Facts], bool]

#: Facts that no feature is: days that customers of the shop usually let pass between orders (NaN = not
#: known), whether the customer is overdue (1 or 0), and whether anything but orders was seen of them.
ADDED: Final = ("shop_gap", "overdue", "browses")

#: Below this share of the usual something has fallen; sentences show such a share as 0.7 or less.
_FALLEN: Final = log(0.75)
#: Half-lives to sums: a stream of one event a day has a decayed sum of so many half-lives in days.
_PER_HALF_LIFE: Final = 1 / log(2)


def facts(raw: Facts, shop_gap: float = nan) -> dict[str, float]:
    """What rules and sentences read of a customer with `raw` values by feature (a wider mapping is fine).

    `shop_gap`: days that customers of the shop usually let pass between two orders; NaN = not known.
    """
    own = raw["gap_mean"]
    late = is_overdue(raw["days_since_purchase"], shop_gap if isnan(own) else own)
    return {**raw, "shop_gap": shop_gap, "overdue": float(late), "browses": float(_browses(raw))}


def is_overdue(days_since_purchase: float, usual_gap: float) -> bool:
    """Whether the next order is late, in whole days as sentences show them; True if no gap is known as usual.

    A sentence must show it: no order for 19 days, where one every 18 days is usual.

    >>> import math
    >>> is_overdue(18.4, 18.2), is_overdue(19.0, 18.2), is_overdue(1.2, 0.3), is_overdue(3.0, math.nan)
    (False, True, False, True)
    """
    if isnan(days_since_purchase):
        return False
    return isnan(usual_gap) or round(days_since_purchase) > max(1, round(usual_gap))


def _browses(raw: Facts) -> bool:
    """Whether anything but orders was seen lately: what a shop does not record is no sign of leaving."""
    names = ("activity_90d", "orders_90d", "days_since_purchase", "days_since_activity")
    return bool(more_than_orders(*(raw[name] for name in names)))


def more_than_orders(activity: Any, orders: Any, since_purchase: Any, since_activity: Any) -> Any:
    """Whether more was seen than orders: of raw values or of arrays of them, a quarter's sums and days."""
    return (activity - orders >= 0.5) | (since_purchase - since_activity >= 1)


# -- rules


def all_of(*rules: Rule) -> Rule:
    """Every one of `rules` holds."""
    return lambda known: all(rule(known) for rule in rules)


def at_least(name: str, least: float) -> Rule:
    """A number is `least` or more."""
    return lambda known: known[name] >= least


def at_most(name: str, most: float) -> Rule:
    """A number is `most` or less."""
    return lambda known: known[name] <= most


def is_known(name: str) -> Rule:
    """A number is there."""
    return lambda known: isfinite(known[name])


def overdue(known: Facts) -> bool:
    """The customer is late by their own rhythm, or by the shop's where they have none."""
    return known["overdue"] > 0


def browses(known: Facts) -> bool:
    """Something but orders was seen of the customer, so that its absence says something."""
    return known["browses"] > 0


def falling(log_ratio: str) -> Rule:
    """A rate is clearly below the customer's usual one."""
    return at_most(log_ratio, _FALLEN)


def widening(known: Facts) -> bool:
    """The last two orders were clearly further apart than is usual."""
    usual = known["gap_mean"]
    last = known["last_gap_ratio"] * (usual + 1)
    return last >= 1.25 * usual and _more_days(last, usual)


def beyond_deviation(known: Facts) -> bool:
    """Later than the customer's own irregularity explains."""
    usual, spread = known["gap_mean"], known["gap_deviation"]
    # Rounded one by one, as the sentence shows them.
    return isfinite(spread) and _more_days(known["days_since_purchase"] - round(spread), usual)


def _more_days(days: float, usual: float) -> bool:
    return isfinite(days) and isfinite(usual) and round(days) > max(1, round(usual))


def rarer_than_usual(known: Facts) -> bool:
    """The customer orders less than half as often as is usual in the shop."""
    return known["order_frequency"] <= 0.5 * 30 / known["shop_gap"]


def fewer_orders(half_life: int) -> Rule:
    """Less than half of the orders that the customer's frequency lets expect, where it lets expect any."""

    def rule(known: Facts) -> bool:
        expected = known["order_frequency"] / 30 * half_life * _PER_HALF_LIFE
        return expected >= 1 and known[f"orders_{half_life}d"] <= expected / 2

    return rule


def less_an_order(half_life: int) -> Rule:
    """Orders go on, and clearly less is spent on one than on average."""

    def rule(known: Facts) -> bool:
        orders, spent = known[f"orders_{half_life}d"], known[f"spend_{half_life}d"]
        usual = known["mean_order_value"]
        if not (orders >= 0.5 and usual > 0 and spent <= 0.75 * usual * orders):
            return False
        # In the numbers that the sentence shows, too.
        return round(spent) < round(orders) * min(usual, round(usual))

    return rule


def spending_falls_faster(known: Facts) -> bool:
    """Spending falls, and clearly faster than orders do, whose failing is told of the rhythm."""
    orders = log((3 * known["orders_30d"] + 0.05) / (known["orders_90d"] + 0.05))
    return known["spend_trend"] <= min(orders, 0.0) + _FALLEN


def hardly_any_activity(half_life: int, usual: int) -> Rule:
    """Hardly any activity, where the usual lets expect some."""

    def rule(known: Facts) -> bool:
        return known[f"activity_{usual}d"] * half_life / usual >= 1 and known[f"activity_{half_life}d"] < 0.5

    return all_of(browses, rule)


def usually_active(known: Facts) -> bool:
    """Seen often enough that a quiet week says something."""
    return browses(known) and known["activity_30d"] * 7 / 30 >= 1


def fewer_active_days(known: Facts) -> bool:
    """Active on less than half as many days in the last month as in the last three."""
    month, three = known["active_days_30d"], known["active_days_90d"]
    return browses(known) and three >= 3 and 3 * month <= three / 2


def unseen(known: Facts) -> bool:
    """Not seen for a week, and clearly longer than is usual between active days."""
    days = known["days_since_activity"]
    return browses(known) and days >= 7 and days * max(known["active_days_90d"], 1.5) >= 1.5 * 90
