"""The guard against mass alarms: whether it is believable that so many came into risk in one step.

A closed shop or a feed that broke makes everybody silent at once, and a model may err. What is believable
follows from the shop's own past decision times, by median and median deviation, which a few odd ones do not
move. While a step is not, nobody new is alarmed, until the step is believable again, an operator says so, or
it has lasted so long that it is the shop's new state. The first step that may raise alerts is never held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from features.layout import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: What is not believable: how many crossed the threshold, or how few bought.
Why = Literal["crossing", "orders"]

#: Steps that are remembered, and those below which the history is young.
MEMORY: Final = 60
YOUNG: Final = 8
#: Limits of a young history: the share that crosses, and the share of the usual orders.
_YOUNG_CROSSING: Final = 0.25
_YOUNG_ORDERS: Final = 1 / 3
#: With a history: so many robust standard deviations from the median, and so far from it at least.
_DEVIATIONS: Final = 6.0
_MAD: Final = 1.4826
_LEAST_CROSSING: Final = 0.05
_MOST_ORDERS: Final = 0.5
#: Fewer customers who cross are no mass, and of fewer usual orders nothing is concluded.
_FEWEST: Final = 10
_USUAL: Final = 20
#: Chance among few customers is given so many standard errors.
_ERRORS: Final = 4.0
#: Days of orders that are added up until there are enough to conclude from.
_WINDOWS: Final = (1, 7, 14, 28)
#: A state that has lasted so long is the shop's new state.
LONGEST_DAYS: Final = 28


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Why nobody new is alarmed: `value` lies beyond `limit`. `since` is its first decision time, epoch ms.

    For `crossing` both are shares of the active customers, who came into risk in one step; for `orders`
    shares of the usual number of customers who buy.
    """

    since: int
    why: Why
    value: float
    limit: float
    #: An operator said that those held back shall not be alarmed.
    dropped: bool = False

    @property
    def in_words(self) -> str:
        """What was not believable, and what would have been."""
        value, limit = f"{self.value:.1%}", f"{self.limit:.1%}"
        if self.why == "crossing":
            return f"{value} of the active customers came into risk in one step, {limit} would be believable"
        return f"{value} of the usual number of customers bought, {limit} would be believable"


class Guard(msgspec.Struct):
    """What it has seen: shares that crossed and logarithms of order rates, of believable steps."""

    crossings: list[float] = []
    orders: list[float] = []
    hold: Hold | None = None
    #: Every hold that began, the oldest first.
    held: list[Hold] = []
    #: The newest shares: who crossed, and who bought of the usual number; None where nothing can be said.
    crossed: float | None = None
    bought: float | None = None
    #: What was usual before this day (since the epoch) counts no more: a long hold ended there.
    usual_from: int = 0

    def judge(self, ts: int, crossed: int | None, watched: int, bought: int, usual: float) -> Hold | None:
        """Take the step at `ts`; returns the hold in force, if any.

        Of `watched` customers `crossed` came into risk (None: no threshold was in force before); `bought`
        customers bought where `usual` do.
        """
        self.crossed = crossed / watched if crossed is not None and watched else None
        self.bought = bought / usual if usual >= _USUAL else None
        found = self._crossing(ts, crossed, watched) or self._orders(ts, bought, usual)
        if found is None:
            self.hold = None
            self._remember(crossed, watched, bought, usual)
        elif self.hold is None:
            self.hold = found
            self.held.append(found)
        elif ts - self.hold.since >= LONGEST_DAYS * DAY_MS:
            self.usual_from = self.hold.since // DAY_MS
            self.crossings, self.orders, self.hold = [], [], None
        else:
            self.hold = msgspec.structs.replace(found, since=self.hold.since)
        return self.hold

    def _remember(self, crossed: int | None, watched: int, bought: int, usual: float) -> None:
        if crossed is not None and watched:
            self.crossings = [*self.crossings[1 - MEMORY :], crossed / watched]
        if usual >= _USUAL:
            self.orders = [*self.orders[1 - MEMORY :], _log_rate(bought, usual)]

    def _crossing(self, ts: int, crossed: int | None, watched: int) -> Hold | None:
        if crossed is None or not watched or not self.crossings:
            return None
        limit = _YOUNG_CROSSING
        if len(self.crossings) >= YOUNG:
            middle, deviation = _spread(self.crossings)
            limit = middle + max(_LEAST_CROSSING, 2 * middle, _DEVIATIONS * deviation)
        chance = _ERRORS * np.sqrt(watched * limit * max(0.0, 1 - limit))
        if crossed < _FEWEST or crossed <= watched * limit + chance:
            return None
        return Hold(since=ts, why="crossing", value=round(crossed / watched, 6), limit=round(limit, 6))

    def _orders(self, ts: int, bought: int, usual: float) -> Hold | None:
        if usual < _USUAL or not self.crossings:
            return None
        limit = _YOUNG_ORDERS
        if len(self.orders) >= YOUNG:
            middle, deviation = _spread(self.orders)
            noise = np.hypot(deviation, 1 / np.sqrt(usual))
            limit = min(_MOST_ORDERS, float(np.exp(middle - _DEVIATIONS * noise)))
        if bought >= limit * usual:
            return None
        return Hold(since=ts, why="orders", value=round(bought / usual, 6), limit=round(limit, 6))


def recent_orders(
    buyers: NDArray[np.float64], usual: NDArray[np.float64], step_days: int
) -> tuple[int, float]:
    """How many bought, and how many usually do, in the last step, or in more days until the latter suffices.

    Days (n,) of which nothing is known (NaN) are left out.
    """
    for days in sorted({step_days, *(each for each in _WINDOWS if each > step_days)}):
        known = np.isfinite(usual[-days:])
        usually = float(usual[-days:][known].sum())
        if usually >= _USUAL:
            return int(buyers[-days:][known].sum()), usually
    return 0, 0.0


def _log_rate(bought: int, usual: float) -> float:
    return float(np.log((bought + 0.5) / (usual + 0.5)))


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """Median, and standard deviation by the median deviation from it."""
    middle = float(np.median(values))
    return middle, _MAD * float(np.median(np.abs(np.array(values) - middle)))
