"""Would a person accept it? Rules over the English text of a reason alone, as a marketer reads it.

They know nothing of features, shares or catalogue: each reads the numbers in a sentence, and says whether
that sentence argues for leaving. What no rule knows does not: new sentences must be thought about.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Rule = tuple[re.Pattern[str], Callable[..., bool]]

_DAYS: Final = r"(less than a day|[\d,]+ days?)"
_EVERY: Final = r"every (day|[\d,]+ days)"
_SHARE: Final = r"([<>]?\d+)%"
_WINDOW: Final = r"in recent (days|weeks|months)"
_RATE: Final = r"at (half|[\d.]+ times) the usual rate"
_SHOP: Final = rf"; customers of this shop usually order {_EVERY}"
#: How many days a decayed sum stands for: its half-life by 1 / ln 2.
_STANDS_FOR: Final = {"days": 10, "weeks": 43, "months": 130}


def number(shown: str | None) -> float:
    """The number in a piece of text.

    >>> number("47 days"), number("every day"), number("less than a day"), number("half"), number(">99")
    (47.0, 1.0, 0.0, 0.5, 99.0)
    """
    if shown is None:
        return 0.0
    words = {"less than a day": 0.0, "day": 1.0, "every day": 1.0, "half": 0.5}
    return words[shown] if shown in words else float(re.sub(r"[^\d.]", "", shown))


def _late(days: str, usual: str | None, shop: str | None = None, spread: str | None = None) -> bool:
    return number(days) > number(usual or shop) + number(spread)


def _at_least(least: float) -> Callable[[str], bool]:
    return lambda shown: number(shown) >= least


def _at_most(most: float) -> Callable[..., bool]:
    return lambda shown, *_: number(shown) <= most


def _always(*_: str) -> bool:
    return True


def _rule(pattern: str, accepts: Callable[..., bool]) -> Rule:
    return re.compile(pattern), accepts


_LEAVING: Final = (
    _rule(
        rf"{_SHARE} of customers with this rhythm do not return in time: orders on \d+ days?, "
        rf"the last {_DAYS} ago(?:, usually one {_EVERY}|{_SHOP})?",
        lambda share, days, usual, shop: number(share) >= 50 and _late(days, usual, shop),
    ),
    _rule(
        rf"no order for {_DAYS}(?:; usually one {_EVERY}|{_SHOP})?(?:, give or take {_DAYS})?",
        _late,
    ),
    _rule(rf"{_DAYS} without an order, where one {_EVERY} is usual", _late),
    _rule(rf"the last two orders were {_DAYS} apart; usually one {_EVERY}", _late),
    _rule(rf"(\d+) orders? so far, the last {_DAYS} ago", _at_most(2)),
    _rule(rf"ordered on (\d+) days? so far, the last {_DAYS} ago", _at_most(2)),
    _rule(
        rf"orders about (\d+) times? a year{_SHOP}",
        lambda times, usual: number(times) < 365 / number(usual),
    ),
    _rule(rf"hardly ever orders{_SHOP}", _always),
    _rule(rf"hardly any orders {_WINDOW}; usually about \d+ a year", _always),
    _rule(
        rf"about (\d+) orders? {_WINDOW}; usually about (\d+) a year",
        lambda orders, window, yearly: number(orders) < number(yearly) * _STANDS_FOR[window] / 365,
    ),
    _rule(rf"(?:orders come|spending is|activity is) {_RATE}", lambda rate: number(rate) < 1),
    _rule(r"(?:orders have|spending has|activity has) all but stopped", _always),
    _rule(rf"hardly any money spent {_WINDOW}(?:; usually [\d.,]+ an order)?", _always),
    _rule(
        rf"about ([\d,]+) spent {_WINDOW}, on about (\d+) orders?; usually ([\d.,]+) an order",
        lambda spent, _, orders, usual: number(spent) < number(orders) * number(usual),
    ),
    _rule(rf"{_SHARE} of orders used a coupon", _at_least(50)),
    _rule(rf"a customer for {_DAYS}; the last order {_DAYS} ago", _at_most(90)),
    _rule(rf"last seen {_DAYS} ago", _at_least(7)),
    _rule(rf"hardly any activity {_WINDOW}; last seen {_DAYS} ago", _always),
    _rule(
        r"(?:not active in|active on (\d+) of) the last 30 days; on (\d+) of the last 90",
        lambda month, three: 3 * number(month) < number(three),
    ),
    _rule(r"not active in the last 90 days", _always),
    _rule(r"hardly looked at any products in recent weeks", _always),
    _rule(r"put hardly anything into the cart in recent weeks", _always),
    _rule(rf"about {_SHARE} of what was put into the cart lately was not ordered", _at_least(50)),
    _rule(r"interested in 1 category", _always),
    _rule(rf"{_SHARE} of (?:orders were (?:refunded|cancelled)|the money spent was refunded)", _at_least(10)),
    _rule(rf"{_SHARE} of deliveries were late", _at_least(10)),
    _rule(r"rated ([\d.]+) of 5 on average", _at_most(3)),
    _rule(rf"{_SHARE} of ratings were 2 of 5 or less", _at_least(25)),
    _rule(r"answered surveys with ([\d.]+) of 10 on average", _at_most(6)),
    _rule(rf"asked for support (?:\d+ times?, the last time )?{_DAYS} ago", _at_most(90)),
    _rule(
        rf"showed dissatisfaction {_DAYS} ago \(a bad rating, refund, cancellation, complaint or "
        r"unsubscription\)",
        _always,
    ),
    _rule(
        rf"of customers whom the model judges alike, {_SHARE} do not order within {_DAYS}",
        _always,
    ),
)
_ENDED: Final = (
    _rule(rf"ordered again {_DAYS} ago", _always),
    _rule(
        rf"the forecast has fallen from {_SHARE} to {_SHARE}",
        lambda before, now: number(before) > number(now),
    ),
    _rule(rf"alerts now begin at a higher risk, above this customer's {_SHARE}", _always),
    _rule(rf"the forecast, {_SHARE}, is below the level at which alerts begin", _always),
)


def argues_for_leaving(text: str) -> bool:
    """Whether a person would accept the sentence as a reason for leaving.

    >>> argues_for_leaving("orders come at 5.5 times the usual rate")
    False
    >>> argues_for_leaving("no order for 9 days; usually one every 4 days")
    True
    """
    return _accepted(text, _LEAVING)


def tells_an_end(text: str) -> bool:
    """Whether the sentence says why an episode ended."""
    return _accepted(text, _ENDED)


def _accepted(text: str, rules: tuple[Rule, ...]) -> bool:
    found = [(match, accepts) for pattern, accepts in rules if (match := pattern.fullmatch(text))]
    return any(accepts(*match.groups()) for match, accepts in found)
