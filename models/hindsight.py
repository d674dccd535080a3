"""Hindsight: what became of the customers who stood in alerts, by decision time, once labels are known.

Tiers follow the shop (`models.capacity`), so where they begin today says nothing of the warnings of last
year: who was warned is kept as it was then. So is a capacity judged: at each decision time by itself, as a
team with room for so many would have used it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from features.layout import DAY_MS
from models.cohorts import MILLION
from models.episodes import TIERS
from models.intervals import wilson
from models.operating import Calls, at_capacity
from models.progressive import NO_COUNTS, ScoreCounts
from models.record import coarse, merged
from models.reliability import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from models.alerts import Tier
    from models.parts import Matured

#: Days of decision times that are kept.
MEMORY_DAYS: Final = 365


@dataclass(frozen=True)
class Warned:
    """Customers judged, by the tier in which an alert stood, `none` first; each (4,).

    `said` adds up their probabilities in millionths, `left` counts those who left.
    """

    customers: NDArray[np.int64]
    said: NDArray[np.int64]
    left: NDArray[np.int64]

    @classmethod
    def of(cls, group: Iterable[Matured]) -> Warned:
        """Those of a decision time's cohorts."""
        found = np.zeros((3, len(TIERS)), np.int64)
        for each in group:
            weights = (None, each.cohort.by_champion, each.churned)
            found += np.array([np.bincount(each.cohort.warned, w, len(TIERS)) for w in weights], np.int64)
        return cls(*found)

    def __add__(self, other: Warned) -> Warned:
        return Warned(self.customers + other.customers, self.said + other.said, self.left + other.left)

    @property
    def calls(self) -> Calls:
        """Who was warned, and who left."""
        warned, found = int(self.customers[1:].sum()), int(self.left[1:].sum())
        missed = int(self.left[0])
        return Calls(found, warned - found, missed, int(self.customers[0]) - missed)

    def calibration(self, *tiers: Tier, design_effect: float = 1.0) -> Calibration | None:
        """Forecast against outcome of those in `tiers` together; None where nobody was."""
        chosen = [TIERS.index(tier) for tier in tiers]
        customers, said, left = (int(n[chosen].sum()) for n in (self.customers, self.said, self.left))
        if not customers:
            return None
        return Calibration(customers, said / MILLION / customers, wilson(left, customers, design_effect))


@dataclass(frozen=True)
class Moment:
    """One decision time (epoch ms), and the champion's counts, coarsened (`models.record.coarse`)."""

    ts: int
    warned: Warned
    counts: ScoreCounts


class Hindsight:
    """The newest decision times whose labels are known, the oldest first."""

    def __init__(self, moments: Sequence[Moment] = ()) -> None:
        self.moments = tuple(moments)

    def judge(self, ts: int, group: Sequence[Matured]) -> None:
        """Enter the cohorts of decision time `ts`; one of an older release does not tell who was warned."""
        telling = [each for each in group if len(each.cohort.warned)]
        if not telling:
            return
        counts = [ScoreCounts.of(coarse(each.cohort.by_champion) / MILLION, each.churned) for each in telling]
        moment = Moment(ts, Warned.of(telling), merged(counts))
        kept = (each for each in self.moments if each.ts >= ts - MEMORY_DAYS * DAY_MS)
        self.moments = (*kept, moment)

    def __len__(self) -> int:
        return len(self.moments)

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and the last decision time; None without any."""
        return (self.moments[0].ts, self.moments[-1].ts) if self.moments else None

    def since(self, ts: int) -> Hindsight:
        """Its decision times from `ts` on."""
        return Hindsight([each for each in self.moments if each.ts >= ts])

    def newest(self, days: int) -> Hindsight:
        """Its decision times of the last `days` days."""
        return self.since(self.moments[-1].ts - days * DAY_MS + 1) if self.moments else self

    # -- what it says

    @property
    def warned(self) -> Warned:
        """All of them together."""
        return sum((each.warned for each in self.moments), Warned.of(()))

    @property
    def counts(self) -> ScoreCounts:
        """The champion's counts of all of them together."""
        return merged([NO_COUNTS, *(each.counts for each in self.moments)])

    def at_capacity(self, share: float) -> Calls:
        """What came of the `share` of customers at highest risk at each decision time; see `operating`."""
        found = np.zeros(4)
        for moment in self.moments:
            calls = at_capacity(moment.counts, share)
            found += (
                calls.true_positives,
                calls.false_positives,
                calls.false_negatives,
                calls.true_negatives,
            )
        return Calls(*found.tolist())

    # -- its place

    def to_builtins(self) -> list[Any]:
        """For `from_builtins`: plain lists and integers."""
        return [
            (each.ts, *(n.tolist() for n in vars(each.warned).values()), each.counts.to_json())
            for each in self.moments
        ]

    @classmethod
    def from_builtins(cls, kept: Sequence[Any]) -> Hindsight:
        """What `to_builtins` gave; raises ValueError for anything else."""
        moments = [
            Moment(ts, Warned(*(np.array(n, np.int64) for n in tallies)), ScoreCounts.from_json(counts))
            for ts, *tallies, counts in kept
        ]
        return cls(moments)
