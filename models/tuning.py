"""Tuning: how well a learner would have forecast a recorded log, had it had other settings.

A log is replayed once. What it told the trainer at each decision time is kept as a tape, and any learner can
be told the same again, in a fraction of the time. Settings are compared by their progressive log loss on the
first part of the tape (Dawid, "Present position and potential developments: the prequential approach", JRSS A
147, 1984): no split into folds, since a forecast of the past from the future is worth nothing here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import xxhash
from scipy.special import expit

from features.layout import DAY_MS
from models.examples import by_decision_time, examples
from models.progressive import NO_COUNTS, ScoreCounts
from models.record import merged
from models.trainer import SLICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from features.returns import ReturnModel
    from models.backtest import Step
    from models.learners import Learner
    from models.learners.space import Dimension, Point
    from models.parts import Matured


@dataclass(frozen=True)
class Moment:
    """What a trainer is told at decision time `ts`: whose labels are known by then, and how people return."""

    ts: int
    matured: tuple[Matured, ...]
    returns: ReturnModel


@dataclass(frozen=True)
class Tape:
    """All moments of a replay in their order, for a horizon of so many days."""

    horizon_days: int
    moments: tuple[Moment, ...]

    @classmethod
    def of(cls, steps: Iterable[Step], horizon_days: int) -> Tape:
        """The tape of a backtest, whatever learners it had."""
        return cls(horizon_days, tuple(Moment(s.ts, s.part.matured, s.models.returns) for s in steps))

    def split(self, first: float) -> int:
        """The decision time at which the first part ends: that share of all decision times lies before it.

        Raises ValueError when settings cannot be told apart by then, or nothing is left behind it.
        """
        place = math.ceil(first * len(self.moments))
        if place >= len(self.moments):
            raise ValueError(f"{len(self.moments)} decision times leave nothing behind the first part")
        ts = self.moments[place].ts
        judged = [m.cohort.decision_time for moment in self.until(ts).moments for m in moment.matured]
        if not judged or max(judged) < min(judged) + self.horizon_days * DAY_MS:
            raise ValueError(
                "nothing that was learned in the first part can be judged there: "
                f"it must be longer than two horizons of {self.horizon_days} days"
            )
        return ts

    def until(self, ts: int) -> Tape:
        """What was known at `ts`: the labels of a horizon before it, and none of later."""
        return Tape(self.horizon_days, tuple(moment for moment in self.moments if moment.ts <= ts))

    def fingerprint(self) -> int:
        """64 bits that change with anything that a learner could be told or judged by."""
        told = (self.horizon_days, [(m.ts, m.returns) for m in self.moments])
        digest = xxhash.xxh3_64(repr(told).encode())
        for moment in self.moments:
            for each in moment.matured:
                digest.update(each.cohort.inputs.tobytes())
                digest.update(each.churned.tobytes())
        return digest.intdigest()


def progressive(learner: Learner, tape: Tape, since: int = 0) -> ScoreCounts:
    """What a new `learner` would have forecast at each decision time from `since` on, and what came of it.

    To the bit what a backtest with this learner records, for the decision times whose labels are on the
    tape. Each is forecast from labels that were known by then and from the vectors of then. Raises
    NonFiniteError when the learner diverges.
    """
    questions = dict(by_decision_time(m for moment in tape.moments for m in moment.matured))
    counts: list[ScoreCounts] = []
    before: int | None = None
    for moment in tape.moments:
        if moment.ts > max(questions, default=0):
            break
        for _, group in by_decision_time(moment.matured):
            inputs, churned = examples(group, moment.returns, tape.horizon_days)
            for start in range(0, len(inputs), SLICE):
                learner.learn_many(inputs[start : start + SLICE], churned[start : start + SLICE])
        learner.forget(0 if before is None else (moment.ts - before) / DAY_MS)
        before = moment.ts
        if moment.ts >= since:
            counts += _answers(learner, questions.get(moment.ts, ()))
    return merged(counts) if counts else NO_COUNTS


def _answers(learner: Learner, asked: Iterable[Matured]) -> list[ScoreCounts]:
    scorer = learner.scorer()
    return [ScoreCounts.of(np.round(expit(scorer.log_odds(m.cohort.inputs)), 6), m.churned) for m in asked]


def grid(space: Mapping[str, Dimension], trials: int) -> list[dict[str, Point]]:
    """Every combination of evenly spread points, as many for each range as `trials` allow, two at least.

    Raises ValueError when that is too much for `trials`.
    """

    def of(count: int) -> list[list[Point]]:
        return [dimension.points(count) for dimension in space.values()]

    def size(count: int) -> int:
        return math.prod(map(len, of(count)))

    if size(2) > trials:
        raise ValueError(f"the smallest grid over {', '.join(space)} has {size(2)} points: too few trials")
    count = 2
    # Whole numbers run out of points, and options are what they are.
    while size(count) < size(count + 1) <= trials:
        count += 1
    return [dict(zip(space, point, strict=True)) for point in product(*of(count))]
