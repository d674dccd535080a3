"""Money: amounts in several currencies become integers of one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from features.rejection import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The largest amount that is believed, in currency units; as micros it fits int64 nine times over.
MAX_AMOUNT: Final = 1e12


@dataclass(frozen=True, slots=True)
class Currencies:
    """Converts amounts into integer micros (1e-6) of one currency.

    Two rules, and which one holds is seen in the settings, never in the data:

    - `currency` None: every amount counts as it stands, whatever code it carries (`XXX` too). Right for a
      log in one currency, which so needs no settings at all. A log that mixes currencies has to name one,
      else amounts of different worth are added up.
    - `currency` "EUR": euros count as they stand, an amount in another currency is multiplied by
      `rates[code]` (euros per unit of it), and a code without a rate is refused.

    Codes are compared as written (ISO 4217 writes capitals). Raises ValueError when rates are given
    without a currency, a rate is not positive and finite, or the currency's own rate is not 1.
    """

    currency: str | None = None
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.currency is None and self.rates:
            raise ValueError("rates are given but not the currency they convert into")
        for code, rate in self.rates.items():
            if not (math.isfinite(rate) and rate > 0):
                raise ValueError(f"the rate of {code} is {rate}, which is not positive and finite")
        if self.rates.get(self.currency or "", 1.0) != 1.0:
            raise ValueError(f"the rate of {self.currency} to itself is 1")

    def micros(self, value: float, currency: str) -> int:
        """`value` units of `currency` as micros of the configured one, rounded half to even.

        Raises Rejected: `unknown_currency` without a rate; `bad_money` when the amount is negative, not
        finite or more than MAX_AMOUNT, before or after conversion.

        >>> Currencies("EUR", {"USD": 0.92}).micros(10, "USD")
        9200000
        >>> Currencies().micros(0.1, "XXX")
        100000
        """
        amount = value
        if self.currency is not None and currency != self.currency:
            rate = self.rates.get(currency)
            if rate is None:
                raise Rejected("unknown_currency", f"no rate for {currency!r}")
            amount = value * rate
        # Written so that NaN, which compares false to everything, fails it.
        if not (0 <= value <= MAX_AMOUNT and amount <= MAX_AMOUNT):
            raise Rejected("bad_money", f"{value} {currency} lies outside 0 to {MAX_AMOUNT:g}")
        return round(amount * 1_000_000)
