"""The clock of learning (DESIGN 4.6): at decision time t learn everything that matured by t, then publish.

The trainer waits for every partition's part of t and learns in the order of (decision time, user hash),
so neither the number of partitions nor the order in which parts arrive can change a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.returns import PRIOR, ReturnHistogram, ReturnModel, fit
from models.cohorts import MILLION, Cohort
from models.learners import LEARNERS, HoeffdingTree, Learner, Logistic
from models.parts import Matured, Part, PartAssembly, PartChunk, read_part_chunk
from models.progressive import NO_COUNTS, ScoreCounts
from models.versions import COLUMNS, TREATED, ModelSet
from features.catalogue import OFFSET

#: Labels learned between two looks at the event loop: a few milliseconds.
SLICE: Final = 256
#: The recency rule scores days / this many days; only its ranking counts.
_RECENCY_SCALE: Final = 4096.0
RECENCY_RULE: Final = "recency"


@dataclass(frozen=True)
class TrainerConfig:
    """Who learns and how they are compared.

    `champion` names a contender, or `auto`: then the one with the lowest progressive log loss leads once
    there are `promotion_labels` labels and it is better by `promotion_margin` nats.
    `evaluate_from` (epoch ms) starts a second record of metrics, for comparing with others' test halves.
    """

    partitions: int
    contenders: tuple[str, ...] = ("logistic", "hoeffding_tree")
    champion: str = "logistic"
    promotion_labels: int = 20_000
    promotion_margin: float = 0.002
    evaluate_from: int | None = None

    def __post_init__(self) -> None:
        unknown = set(self.contenders) - set(LEARNERS)
        if unknown or not self.contenders:
            raise ValueError(f"unknown learners {sorted(unknown)}; there are {sorted(LEARNERS)}")
        if self.champion != "auto" and self.champion not in self.contenders:
            raise ValueError(f"the champion {self.champion!r} is not among the contenders")


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

    Judging is cheap and reading adds up what came since the last look: cohorts are judged far more often
    in a replay than anybody reads the metrics.
    """

    def __init__(self, counts: Mapping[str, ScoreCounts] | None = None) -> None:
        self._counts = dict(counts or {})
        self._since: dict[str, list[ScoreCounts]] = {}

    def judge(self, name: str, probabilities: NDArray[np.float64], churned: NDArray[np.bool_]) -> None:
        """Enter issued probabilities and their labels."""
        self._since.setdefault(name, []).append(ScoreCounts.of(probabilities, churned))

    def __getitem__(self, name: str) -> ScoreCounts:
        waiting = self._since.pop(name, [])
        if waiting:
            self._counts[name] = _merged([self._counts.get(name, NO_COUNTS), *waiting])
        return self._counts.get(name, NO_COUNTS)

    def all(self) -> dict[str, ScoreCounts]:
        """Counts by contender, the recency rule among them."""
        return {name: self[name] for name in sorted({*self._counts, *self._since})}


def _merged(counts: list[ScoreCounts]) -> ScoreCounts:
    """Their sum, halving the list each time, so that no count is copied more than log(n) times."""
    while len(counts) > 1:
        pairs = zip(counts[::2], counts[1::2], strict=False)
        counts = [a.merge(b) for a, b in pairs] + counts[len(counts) - len(counts) % 2 :]
    return counts[0]


#: What the tree may split on: its cost per label grows with every column, and these tell most.
_TREE_COLUMNS: Final = (
    OFFSET,
    "days_since_purchase",
    "overdue_ratio",
    "gap_mean",
    "last_gap_ratio",
    "days_since_activity",
    "order_days",
    "orders_90d",
    "spend_90d",
    "activity_30d",
    "cart_abandonment",
    "low_rating_share",
)


def new_learner(name: str) -> Learner:
    """A learner of the kind `name` over the catalogue's columns; raises KeyError for an unknown kind."""
    if name == Logistic.name:
        return Logistic(COLUMNS, offset=OFFSET, treatment=TREATED)
    if name == HoeffdingTree.name:
        return HoeffdingTree(COLUMNS, offset=OFFSET, splits_on=_TREE_COLUMNS)
    raise KeyError(name)


class Trainer:
    """Learners, their progressive record, and the parts that wait for the others."""

    def __init__(self, config: TrainerConfig, make: Callable[[str], Learner] = new_learner) -> None:
        self.config = config
        self.learners = {name: make(name) for name in config.contenders}
        self.returns: ReturnModel = PRIOR
        self.as_of: int | None = None
        self.number = 0
        self.labels = 0
        self.champion = config.contenders[0] if config.champion == "auto" else config.champion
        self.record = Record()
        self.record_from = Record()
        self.quality: list[CohortQuality] = []
        self._waiting: dict[int, dict[int, PartAssembly]] = {}

    # -- receiving

    def receive(self, chunk: PartChunk) -> None:
        """Take one message of `examples`; what was learned already is ignored."""
        if self.as_of is None or chunk.ts > self.as_of:
            parts = self._waiting.setdefault(chunk.ts, {})
            parts.setdefault(chunk.partition, PartAssembly()).add(chunk)

    def receive_part(self, part: Part) -> None:
        """Take a whole part, as a backtest has it."""
        for message in part.messages():
            self.receive(read_part_chunk(message))

    def ready(self) -> int | None:
        """The earliest decision time whose parts are all here, unless an earlier one still waits."""
        if not self._waiting:
            return None
        ts = min(self._waiting)
        parts = self._waiting[ts]
        return ts if len(parts) == self.config.partitions and all(p.complete for p in parts.values()) else None

    # -- learning

    def learn(self, ts: int) -> Iterator[int]:
        """Learn all parts of `ts`; yields the labels learned so far after each slice, for a break.

        Afterwards `models()` is the version as of `ts`. A learner that refuses (NonFiniteError) keeps what
        it knew; the error goes to the caller with nothing half-learned by the others.
        """
        parts = [self._waiting[ts][p].part() for p in sorted(self._waiting[ts])]
        for matured in _by_decision_time(parts):
            self._judge(matured)
            inputs = matured.cohort.inputs.copy()
            inputs[:, COLUMNS.index(TREATED)] = matured.treated
            for start in range(0, len(inputs), SLICE):
                rows = slice(start, start + SLICE)
                for learner in self.learners.values():
                    learner.learn_many(inputs[rows], matured.churned[rows])
                self.labels += len(inputs[rows])
                yield self.labels
        self.returns = fit(ReturnHistogram.merge(part.histogram for part in parts), self.returns)
        self.as_of, self.number = ts, self.number + 1
        self._promote()
        for old in [key for key in self._waiting if key <= ts]:
            del self._waiting[old]

    def _judge(self, matured: Matured) -> None:
        cohort = matured.cohort
        late = self.config.evaluate_from is not None and cohort.decision_time >= self.config.evaluate_from
        issued = {name: cohort.issued[:, i] / MILLION for i, name in enumerate(cohort.contenders)}
        issued[RECENCY_RULE] = np.minimum(cohort.recency / _RECENCY_SCALE, 1.0)
        for name, probabilities in issued.items():
            self.record.judge(name, probabilities, matured.churned)
            if late:
                self.record_from.judge(name, probabilities, matured.churned)
        now = ScoreCounts.of(issued[self.champion], matured.churned)
        churned = int(matured.churned.sum())
        self.quality.append(CohortQuality(cohort.decision_time, len(cohort), churned, now.auc, now.log_loss))

    def _promote(self) -> None:
        if self.config.champion != "auto" or self.labels < self.config.promotion_labels:
            return
        losses = {name: self.record[name].log_loss for name in self.learners}
        best = min(losses, key=lambda name: losses[name])
        if losses[best] < losses[self.champion] - self.config.promotion_margin:
            self.champion = best

    # -- publishing

    def models(self) -> ModelSet:
        """The version as of the last decision time learned; raises NonFiniteError rather than export one."""
        assert self.as_of is not None, "nothing was learned yet"
        return ModelSet(
            as_of=self.as_of,
            number=self.number,
            champion=self.champion,
            labels=self.labels,
            scorers={name: learner.scorer() for name, learner in self.learners.items()},
            returns=self.returns,
        )

    def portable_states(self) -> dict[str, bytes]:
        """States that may travel with a version (JSON); a pickled learner has none."""
        return {name: learner.state() for name, learner in self.learners.items() if learner.portable}

    # -- the trainer's own checkpoint

    def snapshot(self) -> bytes:
        """Everything but the waiting parts, for a local, signed checkpoint."""
        return msgspec.msgpack.encode(
            _Snapshot(
                states={name: learner.state() for name, learner in self.learners.items()},
                labels={name: learner.labels for name, learner in self.learners.items()},
                returns=self.returns,
                as_of=self.as_of,
                number=self.number,
                total=self.labels,
                champion=self.champion,
                records=[_record_json(record) for record in (self.record, self.record_from)],
                quality=[(q.decision_time, q.labels, q.churned, q.auc, q.log_loss) for q in self.quality],
            )
        )

    def restore(self, data: bytes) -> None:
        """Go on from a `snapshot`; raises StateMismatchError or msgspec errors where it does not fit."""
        kept = msgspec.msgpack.decode(data, type=_Snapshot)
        for name, learner in self.learners.items():
            learner.restore(kept.states[name])
            learner.labels = kept.labels[name]
        self.returns, self.as_of, self.number = kept.returns, kept.as_of, kept.number
        self.labels, self.champion = kept.total, kept.champion
        self.record, self.record_from = (_read_record(each) for each in kept.records)
        self.quality = [CohortQuality(*each) for each in kept.quality]


class _Snapshot(msgspec.Struct):
    states: dict[str, bytes]
    labels: dict[str, int]
    returns: ReturnModel
    as_of: int | None
    number: int
    total: int
    champion: str
    records: list[dict[str, dict[str, list[int]]]]
    quality: list[tuple[int, int, int, float, float]]


def _record_json(record: Record) -> dict[str, dict[str, list[int]]]:
    return {name: counts.to_json() for name, counts in record.all().items()}


def _read_record(kept: Mapping[str, Mapping[str, list[int]]]) -> Record:
    return Record({name: ScoreCounts.from_json(counts) for name, counts in kept.items()})


def _by_decision_time(parts: list[Part]) -> Iterator[Matured]:
    """Cohorts of all partitions joined by decision time, members in the order of their hash."""
    by_time: dict[int, list[Matured]] = {}
    for part in parts:
        for matured in part.matured:
            by_time.setdefault(matured.cohort.decision_time, []).append(matured)
    for _, group in sorted(by_time.items()):
        cohort = Cohort.join([m.cohort for m in group])
        order = np.argsort(cohort.hashes, kind="stable")
        churned = np.concatenate([m.churned for m in group])[order]
        treated = np.concatenate([m.treated for m in group])[order]
        yield Matured(cohort.take(order), churned, treated)

