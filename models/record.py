"""The trainer's progressive record: every probability judged once, as it was issued (DESIGN 4.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from models.cohorts import MILLION
from models.progressive import GRID, NO_COUNTS, ScoreCounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.cohorts import Cohort
    from models.parts import Matured

#: Under this name stands whoever raised the alerts when the probability was issued.
CHAMPION: Final = "champion"
#: Under this name stands the rule to beat: the longer since the last purchase, the likelier gone.
RECENCY_RULE: Final = "recency"
#: The recency rule scores days / this many days; only its ranking counts.
_RECENCY_SCALE: Final = 4096.0


@dataclass(frozen=True)
class CohortQuality:
    """Progressive validation of one decision time, champion as issued then."""

    decision_time: int
    labels: int
    churned: int
    auc: float
    log_loss: float


class Record:
    """Progressive metrics: every probability judged once, as it was issued, when its label matured.

    A count for every point of the grid, 8 MB for each name: a sum that never grows, however long labels come.
    """

    def __init__(self, counts: Mapping[str, ScoreCounts] | None = None) -> None:
        self._tallies: dict[str, NDArray[np.uint32]] = {}
        self.judge(counts or {})

    def judge(self, counts: Mapping[str, ScoreCounts]) -> None:
        """Enter issued probabilities and their labels, counted, by name."""
        for name, each in counts.items():
            if name not in self._tallies:
                self._tallies[name] = np.zeros((2, GRID + 1), np.uint32)
            positives, negatives = self._tallies[name]
            # Each point stands once in `points`.
            positives[each.points] += each.positives.astype(np.uint32)
            negatives[each.points] += each.negatives.astype(np.uint32)

    def __getitem__(self, name: str) -> ScoreCounts:
        if name not in self._tallies:
            return NO_COUNTS
        tally = self._tallies[name]
        points = np.flatnonzero(tally.any(axis=0))
        return ScoreCounts(points, *tally[:, points].astype(np.int64))

    def all(self) -> dict[str, ScoreCounts]:
        """Counts by contender, with the champion as issued and the recency rule among them."""
        return {name: self[name] for name in sorted(self._tallies)}

    def to_json(self) -> dict[str, dict[str, list[int]]]:
        """All counts in plain integers."""
        return {name: counts.to_json() for name, counts in self.all().items()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Mapping[str, list[int]]]) -> Record:
        """The record that `to_json` gave."""
        return cls({name: ScoreCounts.from_json(counts) for name, counts in kept.items()})


def judge(group: Sequence[Matured]) -> dict[str, ScoreCounts]:
    """Counts of a decision time's cohorts by contender, champion and rule.

    Each cohort is judged by the contenders it was issued with; in live operation partitions may have
    swept one decision time with different versions.
    """
    found: dict[str, list[ScoreCounts]] = {}
    for matured in group:
        for name, probabilities in _issued(matured.cohort).items():
            found.setdefault(name, []).append(ScoreCounts.of(probabilities, matured.churned))
    return {name: merged(counts) for name, counts in found.items()}


def _issued(cohort: Cohort) -> dict[str, NDArray[np.float64]]:
    issued = {name: cohort.issued[:, i] / MILLION for i, name in enumerate(cohort.contenders)}
    issued[CHAMPION] = issued[cohort.champion]
    issued[RECENCY_RULE] = np.minimum(cohort.recency / _RECENCY_SCALE, 1.0)
    return issued


def quality(decision_time: int, champion: ScoreCounts) -> CohortQuality:
    """The summary of one decision time from the champion's counts."""
    churned = int(champion.positives.sum())
    return CohortQuality(decision_time, champion.labels, churned, champion.auc, champion.log_loss)


def merged(counts: list[ScoreCounts]) -> ScoreCounts:
    """Their sum, halving the list each time, so that no count is copied more than log(n) times."""
    while len(counts) > 1:
        pairs = zip(counts[::2], counts[1::2], strict=False)
        counts = [a.merge(b) for a, b in pairs] + counts[len(counts) - len(counts) % 2 :]
    return counts[0]
