"""The daily budget: divided over partitions beforehand, so that no two workers need to talk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Days that can still be charged: the newest one and those just before it.
OPEN_DAYS = 3


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` into integers proportional to `weights` that add up to it exactly.

    Hamilton's method: everyone gets the whole part of the quota, what is left goes one by one to the
    largest remainders, the first in order on a tie. Integer arithmetic throughout. Raises ValueError
    for a negative total or weight, and when no weight is positive.

    >>> largest_remainder(100, [1, 1, 1])
    [34, 33, 33]
    """
    whole = sum(weights)
    if total < 0 or whole <= 0 or min(weights) < 0:
        raise ValueError(f"cannot divide {total} by weights {list(weights)}")
    shares = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: -remainders[i])
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares


class DaySpend(msgspec.Struct, array_like=True):
    """One day's share of the budget as granted at its first charge, and what is spent; micros."""

    granted: int
    spent: int = 0


class DailyBudget(msgspec.Struct, array_like=True):
    """What one partition spent on each of its open days (whole UTC days since 1970).

    The share is kept with the day: a share raised or moved to another partition meanwhile counts
    from the next day on, while a cut counts at once. So partitions together never exceed what was
    divided. Append fields, never remove any: this is part of a stored row.
    """

    newest: int = -1
    days: dict[int, DaySpend] = {}

    def advance(self, day: int) -> bool:
        """Note that the log has reached `day`; True if that is news. Days too far back are dropped."""
        if day <= self.newest:
            return False
        self.newest = day
        self.days = {d: spend for d, spend in self.days.items() if d > day - OPEN_DAYS}
        return True

    def refusal(self, day: int, cost: int, share: int) -> Literal["budget", "budget_closed"] | None:
        """Why `cost` micros may not be charged to `day`, or None if they may."""
        if day <= self.newest - OPEN_DAYS:
            return "budget_closed"
        spend = self.days.get(day, DaySpend(granted=share))
        return "budget" if spend.spent + cost > min(spend.granted, share) else None

    def charge(self, day: int, cost: int, share: int) -> None:
        """Add `cost` micros to `day`; the caller has asked `refusal`, or restores a past charge."""
        if cost:
            self.days.setdefault(day, DaySpend(granted=share)).spent += cost
