"""The trainer's progressive record: every probability judged once, as it was issued (DESIGN 4.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from models.cohorts import MILLION
from models.groups import OTHER, UNKNOWN, told_apart
from models.progressive import GRID, NO_COUNTS, ScoreCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from models.cohorts import Cohort
    from models.parts import Matured

#: Under this name stands whoever raised the alerts when the probability was issued.
CHAMPION: Final = "champion"
#: Under this name stands the rule to beat: the longer since the last purchase, the likelier gone.
RECENCY_RULE: Final = "recency"
#: The recency rule scores days / this many days; only its ranking counts.
_RECENCY_SCALE: Final = 4096.0
#: Millionths by which probabilities are coarsened where many counts are kept.
_COARSE: Final = 1000
#: Attribute → value → counts.
GroupCounts: TypeAlias = dict[str, dict[str, ScoreCounts]]


@dataclass(frozen=True)
class CohortQuality:
    """Progressive validation of one decision time, champion as issued then.

    `by_name` has AUC and log loss of everybody who was judged; NaN where there is none: of labels of one
    kind the AUC, of the recency rule, which only ranks, the log loss.
    """

    decision_time: int
    labels: int
    churned: int
    auc: float
    log_loss: float
    by_name: dict[str, tuple[float, float]] = field(default_factory=dict)


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


def quality(decision_time: int, counts: Mapping[str, ScoreCounts]) -> CohortQuality:
    """The summary of one decision time from the counts of everybody judged, the champion among them."""
    champion = counts[CHAMPION]
    by_name = {
        name: (each.auc, math.nan if name == RECENCY_RULE else each.log_loss) for name, each in counts.items()
    }
    churned = int(champion.positives.sum())
    return CohortQuality(
        decision_time,
        champion.labels,
        churned,
        champion.auc,
        champion.log_loss,
        dict(sorted(by_name.items())),
    )


def judge_groups(group: Sequence[Matured]) -> GroupCounts:
    """Counts of the champion's issued probabilities by attribute and value; empty without audits.

    Probabilities are coarsened to the middle of their thousandth, so that a group stays small.
    """
    found: list[GroupCounts] = []
    for matured in group:
        cohort = matured.cohort
        if cohort.groups is None:
            continue
        middle = coarse(cohort.by_champion)
        found.append(
            {
                name: _by_value(middle, matured.churned, values, codes)
                for name, values, codes in cohort.groups.columns()
            }
        )
    return merged_groups(found)


def coarse(millionths: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Probabilities as the middle of their thousandth, so that counts of many decision times stay small."""
    return np.minimum(millionths.astype(np.int64) // _COARSE, MILLION // _COARSE - 1) * _COARSE + _COARSE // 2


def _by_value(
    points: NDArray[np.int64], churned: NDArray[np.bool_], values: tuple[str, ...], codes: NDArray[np.uint8]
) -> dict[str, ScoreCounts]:
    members = {code: np.flatnonzero(codes == code) for code in np.unique(codes).tolist()}
    return {values[k]: ScoreCounts.of(points[mine] / MILLION, churned[mine]) for k, mine in members.items()}


def merged_groups(pieces: Iterable[GroupCounts]) -> GroupCounts:
    """Their sum. Of an attribute's values those are told apart that `models.groups` keeps."""
    lists: dict[str, dict[str, list[ScoreCounts]]] = {}
    for piece in pieces:
        for name, by_value in piece.items():
            for value, counts in by_value.items():
                lists.setdefault(name, {}).setdefault(value, []).append(counts)
    return {name: _told_apart(by_value) for name, by_value in sorted(lists.items())}


def _told_apart(by_value: Mapping[str, list[ScoreCounts]]) -> dict[str, ScoreCounts]:
    known = {UNKNOWN, *told_apart(by_value.keys())}
    found: dict[str, list[ScoreCounts]] = {}
    for value, counts in by_value.items():
        found.setdefault(value if value in known else OTHER, []).extend(counts)
    return {value: merged(counts) for value, counts in sorted(found.items())}


def merged(counts: list[ScoreCounts]) -> ScoreCounts:
    """Their sum, halving the list each time, so that no count is copied more than log(n) times."""
    while len(counts) > 1:
        pairs = zip(counts[::2], counts[1::2], strict=False)
        counts = [a.merge(b) for a, b in pairs] + counts[len(counts) - len(counts) % 2 :]
    return counts[0]
