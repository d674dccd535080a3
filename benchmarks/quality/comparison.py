"""One log judged: champion, contenders and baselines on the same rows, before and after the test begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.quality.bootstrap import BINS, Bootstrap
from benchmarks.quality.cohorts import labels_of
from models.progressive import Reliability, ScoreCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.quality.bootstrap import Estimate
    from benchmarks.quality.cohorts import JudgedCohort

CHAMPION: Final = "champion"
#: Who must be matched in the test half, and who in the first half, before there are labels to speak of.
BATCH: Final = "weekly LightGBM"
COLD: Final = "BG/NBD"
#: What may be lost against `BATCH` in AUC and in log loss, and the calibration error that is still good.
FLOOR: Final = 0.005
MOST_ECE: Final = 0.02


@dataclass(frozen=True)
class Half:
    """Rows of some decision times: what was measured on them, and which models only rank.

    `reliability` is the champion's.
    """

    first: int
    last: int
    times: int
    bootstrap: Bootstrap
    ranks_only: frozenset[str]
    reliability: Reliability


@dataclass(frozen=True)
class Comparison:
    """A log's result. `test` from the beginning of the test on, `start` before it, None if nothing is judged.

    `losses` is each model's log loss at each of the decision `times` (epoch ms). `ours` and `baselines` name
    the rows; `leaders` who was champion, in order of appearance; `settings` says how each baseline was set.
    """

    title: str
    ours: tuple[str, ...]
    baselines: tuple[str, ...]
    leaders: tuple[str, ...]
    settings: dict[str, str]
    test: Half | None
    start: Half | None
    times: tuple[int, ...] = ()
    losses: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    facts: dict[str, int | str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All rows."""
        return (*self.ours, *self.baselines)


@dataclass(frozen=True)
class Verdict:
    """Whether a model keeps up: judged by the figures themselves, beside which their intervals stand."""

    auc: Estimate
    log_loss: Estimate
    ece: Estimate

    @property
    def floor(self) -> bool:
        """No more than `FLOOR` is lost, in both."""
        return self.auc.value >= -FLOOR and self.log_loss.value <= FLOOR

    @property
    def goal(self) -> bool:
        """Nothing is lost, in either."""
        return self.auc.value >= 0 and self.log_loss.value <= 0

    @property
    def calibrated(self) -> bool:
        """The calibration error is small enough."""
        return self.ece.value <= MOST_ECE


def verdict(half: Half, name: str) -> Verdict:
    """`name` against the batch model."""
    return Verdict(
        half.bootstrap.difference(name, BATCH, "auc"),
        half.bootstrap.difference(name, BATCH, "log_loss"),
        half.bootstrap.estimate(name, "ece"),
    )


def said_by_us(cohorts: Sequence[JudgedCohort]) -> dict[str, NDArray[np.float64]]:
    """What champion and contenders said of all members (n,); a lasting champion stands there once."""
    said = {CHAMPION: np.concatenate([cohort.champion for cohort in cohorts])}
    for name in cohorts[-1].issued:
        column = np.concatenate([cohort.issued[name] for cohort in cohorts])
        if not np.array_equal(column, said[CHAMPION]):
            said[name] = column
    return said


def half(
    cohorts: Sequence[JudgedCohort],
    said: dict[str, NDArray[np.float64]],
    chosen: NDArray[np.bool_],
    ranks_only: frozenset[str],
    replicates: int,
) -> Half | None:
    """The `chosen` of `cohorts` (a mask), with what was `said` of all their rows; None without any row."""
    rows = np.repeat(chosen, [len(cohort) for cohort in cohorts])
    if not rows.any():
        return None
    times = [cohort.decision_time for cohort, taken in zip(cohorts, chosen, strict=True) if taken]
    users = np.concatenate([cohort.users for cohort in cohorts])[rows]
    labels = labels_of(cohorts)[rows]
    bootstrap = Bootstrap({name: each[rows] for name, each in said.items()}, labels, users, replicates)
    reliability = ScoreCounts.of(said[CHAMPION][rows], labels).reliability(BINS)
    return Half(times[0], times[-1], len(times), bootstrap, ranks_only, reliability)


def losses(cohorts: Sequence[JudgedCohort], said: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log loss at each decision time of what was `said` of all members, cohort after cohort."""
    ends = np.cumsum([len(cohort) for cohort in cohorts])[:-1]
    pairs = zip(np.split(said, ends), cohorts, strict=True)
    return np.array([ScoreCounts.of(each, cohort.churned).log_loss for each, cohort in pairs])
