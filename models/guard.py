"""The guard against mass alarms: whether it is believable that so many came into risk in one step.

A closed shop or a feed that broke makes everybody silent at once, and a model may err. What is believable
follows from the shop's own past decision times, by median and median deviation, which a few odd ones do not
move. While a step is not, nobody new is alarmed, until a step is known to be believable, an operator says so,
or it has lasted so long that it is the shop's new state. The first step that may raise alerts is never held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

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
LONGEST_MS: Final = LONGEST_DAYS * DAY_MS


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


class _Finding(NamedTuple):
    """What one of the two questions says of a step."""

    why: Why
    value: float
    limit: float
    believable: bool

    def hold(self, since: int) -> Hold:
        return Hold(since=since, why=self.why, value=round(self.value, 6), limit=round(self.limit, 6))


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
    #: Steps before were guarded, though what was usual in them is not known (any more).
    goes_on: bool = False

    def judge(
        self, ts: int, crossed: int | None, watched: int, bought: int, usual: float, *, sure: bool = True
    ) -> Hold | None:
        """Take the step at `ts`; returns the hold in force, if any.

        Of `watched` customers `crossed` came into risk (None: no threshold was in force before); `bought`
        customers bought where `usual` do. Not `sure`: it was misjudged how silent customers are. Such a step
        may begin a hold, but it ends none, and nobody gets used to it.
        """
        self.crossed = crossed / watched if crossed is not None and watched else None
        self.bought = bought / usual if usual >= _USUAL else None
        findings = [self._crossing(crossed, watched), self._orders(bought, usual)]
        before, hold = self.hold, self._found(ts, [each for each in findings if each is not None])
        if before is None and hold is not None:
            self.held.append(hold)
        if before is None or sure:
            self.hold = hold
        if self.hold is None and sure:
            self._remember(crossed, watched, bought, usual)
        if before is not None and self.hold is not None and sure and ts - before.since >= LONGEST_MS:
            self._get_used_to(before)
        return self.hold

    def _found(self, ts: int, findings: Sequence[_Finding]) -> Hold | None:
        """What is to be held after these findings; what nothing can be said of stays as it is."""
        odd = [each for each in findings if not each.believable]
        if self.hold is None:
            return odd[0].hold(ts) if odd else None
        own = [each for each in findings if each.why == self.hold.why]
        if not own:
            return self.hold
        odd = [each for each in own if not each.believable] or odd
        return odd[0].hold(self.hold.since) if odd else None

    def _get_used_to(self, hold: Hold) -> None:
        """Take what was held for so long for the shop's new state."""
        self.usual_from = hold.since // DAY_MS
        self.crossings, self.orders, self.hold, self.goes_on = [], [], None, True

    def _remember(self, crossed: int | None, watched: int, bought: int, usual: float) -> None:
        if crossed is not None and watched:
            self.crossings = [*self.crossings[1 - MEMORY :], crossed / watched]
        if usual >= _USUAL:
            self.orders = [*self.orders[1 - MEMORY :], _log_rate(bought, usual)]

    @property
    def _watches(self) -> bool:
        return bool(self.crossings) or self.goes_on

    def _limit(self, why: Why, otherwise: float) -> float:
        """The limit of a hold stays: what it goes by may be forgotten meanwhile."""
        return self.hold.limit if self.hold is not None and self.hold.why == why else otherwise

    def _crossing(self, crossed: int | None, watched: int) -> _Finding | None:
        if crossed is None or not watched or not self._watches:
            return None
        limit = _YOUNG_CROSSING
        if len(self.crossings) >= YOUNG:
            middle, deviation = _spread(self.crossings)
            limit = middle + max(_LEAST_CROSSING, 2 * middle, _DEVIATIONS * deviation)
        limit = self._limit("crossing", limit)
        chance = _ERRORS * np.sqrt(watched * limit * max(0.0, 1 - limit))
        believable = crossed < _FEWEST or crossed <= watched * limit + chance
        return _Finding("crossing", crossed / watched, limit, bool(believable))

    def _orders(self, bought: int, usual: float) -> _Finding | None:
        if usual < _USUAL or not self._watches:
            return None
        limit = _YOUNG_ORDERS
        if len(self.orders) >= YOUNG:
            middle, deviation = _spread(self.orders)
            noise = np.hypot(deviation, 1 / np.sqrt(usual))
            limit = min(_MOST_ORDERS, float(np.exp(middle - _DEVIATIONS * noise)))
        limit = self._limit("orders", limit)
        return _Finding("orders", bought / usual, limit, bought >= limit * usual)


def recent_orders(
    buyers: NDArray[np.float64], usual: NDArray[np.float64], step_days: int
) -> tuple[int, float]:
    """How many bought, and how many usually do, in the last step, or in more days until the latter suffices.

    Days (n,) of which nothing is known (NaN in either) are left out.
    """
    for days in sorted({step_days, *(each for each in _WINDOWS if each > step_days)}):
        known = np.isfinite(usual[-days:]) & np.isfinite(buyers[-days:])
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
