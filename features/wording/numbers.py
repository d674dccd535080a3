"""Numbers as people write them, the same in every language, and which number a placeholder stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from features.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def whole(x: float) -> str:
    """To the nearest whole number.

    >>> whole(46.8), whole(1234.4), whole(-0.2)
    ('47', '1,234', '0')
    """
    return f"{round(x):,}"


def number(x: float) -> str:
    """With one decimal below ten, if it needs one.

    >>> number(4.52), number(4.0), number(46.8)
    ('4.5', '4', '47')
    """
    rounded = round(x, 1)
    return whole(rounded) if abs(rounded) >= 10 or rounded.is_integer() else f"{rounded:.1f}"


def money(x: float) -> str:
    """With cents below a hundred, if there are any.

    >>> money(74.9), money(75.0), money(1234.5)
    ('74.90', '75', '1,234')
    """
    rounded = round(x, 2)
    return whole(rounded) if abs(rounded) >= 100 or rounded.is_integer() else f"{rounded:.2f}"


def percent(x: float) -> str:
    """Of a share; none and all are said of none and all only, and nothing is more than all.

    >>> percent(0.381), percent(0.0), percent(0.002), percent(0.999), percent(1.5)
    ('38%', '0%', '<1%', '>99%', '100%')
    """
    bounded = min(x, 1.0)
    if 0 < bounded < 0.01:
        return "<1%"
    return ">99%" if 0.99 < bounded < 1 else f"{whole(100 * bounded)}%"


def shows_zero(shown: str) -> bool:
    """Whether a number, as shown, reads as zero.

    >>> shows_zero("0 orders"), shows_zero("10 orders"), shows_zero("less than a day")
    (True, False, False)
    """
    return "0" in shown and {c for c in shown if c.isdigit()} == {"0"}


@dataclass(frozen=True)
class Told:
    """A number that sentences tell, made by `make` of the raw values of `features`, shown by `show`."""

    features: tuple[str, ...]
    make: Callable[..., float]
    show: Callable[[float], str]

    def value(self, raw: Mapping[str, float]) -> float | None:
        """The number for raw values by feature; None if one of them is missing."""
        values = [raw.get(name, math.nan) for name in self.features]
        return self.make(*values) if all(map(math.isfinite, values)) else None


def _rate(log_ratio: float) -> float:
    """The ratio; no sentence tells more than hundreds, so what would overflow is cut."""
    return math.exp(min(log_ratio, 50.0))


_SHOWN: Final = {
    "share": percent,
    "probability": percent,
    "currency": money,
    "items": number,
    "points": number,
    "ratio": number,
    "deviations": number,
}

#: What placeholders stand for: every feature by its name, and what says it better than the feature does.
TOLD: Final[Mapping[str, Told]] = MappingProxyType(
    {
        **{each.name: Told((each.name,), float, _SHOWN.get(each.unit, whole)) for each in CATALOGUE},
        "orders_rate": Told(("orders_trend",), _rate, number),
        "spend_rate": Told(("spend_trend",), _rate, number),
        "activity_rate": Told(("activity_trend",), _rate, number),
        # Not features: what customers of the shop let pass between orders, days since a trigger event, and
        # the forecast, that of the decision time before, and the days that both look ahead.
        **{name: Told((name,), float, whole) for name in ("shop_gap", "signal_days", "horizon_days")},
        **{name: Told((name,), float, percent) for name in ("p_churn", "p_before")},
        "orders_a_year": Told(("order_frequency",), lambda monthly: 365 / 30 * monthly, whole),
        # The ratio adds a day to the usual gap, which a sentence had better not.
        "last_gap": Told(("last_gap_ratio", "gap_mean"), lambda ratio, usual: ratio * (usual + 1), whole),
    }
)
