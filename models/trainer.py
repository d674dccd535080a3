"""The clock of learning (DESIGN 4.6): at decision time t learn everything that matured by t, then publish.

The trainer waits for every partition's part of t and learns in the order of (decision time, user hash),
so neither the number of partitions nor the order in which parts arrive can change a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from features.returns import PRIOR, ReturnHistogram, ReturnModel, fit
from models import record
from models.contenders import new_learner, require_contenders
from models.learners import StateMismatchError
from models.parts import Part, PartAssembly, PartChunk, read_part_chunk, require_learnable
from models.record import CHAMPION, CohortQuality, Record
from models.versions import COLUMNS, TREATED, ModelSet
from models.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from models.learners import Learner
    from models.parts import Matured

#: Labels learned between two looks at the event loop: a few milliseconds.
SLICE: Final = 256


@dataclass(frozen=True)
class TrainerConfig:
    """Who learns and how they are compared.

    `champion` names a contender, or `auto`: then the one with the lowest progressive log loss leads once
    there are `promotion_labels` labels and it is better by `promotion_margin` nats.
    `evaluate_from` (epoch ms) starts a second record of metrics, for comparing with others' test halves.
    Raises ValueError for a contender that does not exist or a champion that does not contend.
    """

    partitions: int
    contenders: tuple[str, ...] = ("logistic", "hoeffding_tree")
    champion: str = "logistic"
    promotion_labels: int = 20_000
    promotion_margin: float = 0.002
    evaluate_from: int | None = None

    def __post_init__(self) -> None:
        require_contenders(self.contenders)
        if not self.contenders:
            raise ValueError("no learners contend")
        if self.champion != "auto" and self.champion not in self.contenders:
            raise ValueError(f"the champion {self.champion!r} is not among the contenders")


@dataclass
class _Waiting:
    """Parts of one decision time, and the smallest offset of `examples` that any of them needs."""

    parts: dict[int, PartAssembly] = field(default_factory=dict)
    offset: int | None = None


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
        self._waiting: dict[int, _Waiting] = {}
        self._newest: dict[int, int] = {}

    # -- receiving

    def receive(self, chunk: PartChunk, offset: int | None = None) -> None:
        """Take one message of `examples`, read at `offset`; what was learned already is ignored.

        Raises WireError for one that cannot be learned from; its part counts as complete without it.
        """
        if chunk.partition not in range(self.config.partitions):
            raise WireError(f"a part of partition {chunk.partition}, and there are {self.config.partitions}")
        if self.as_of is not None and chunk.ts <= self.as_of:
            return
        try:
            require_learnable(chunk, len(COLUMNS))
        except WireError:
            self._wait_for_rest(chunk.hollow(), offset)
            raise
        self._wait_for_rest(chunk, offset)

    def _wait_for_rest(self, chunk: PartChunk, offset: int | None) -> None:
        waiting = self._waiting.setdefault(chunk.ts, _Waiting(offset=offset))
        if offset is not None and waiting.offset is not None:
            waiting.offset = min(waiting.offset, offset)
        waiting.parts.setdefault(chunk.partition, PartAssembly()).add(chunk)
        self._newest[chunk.partition] = max(chunk.ts, self._newest.get(chunk.partition, chunk.ts))

    def receive_part(self, part: Part) -> None:
        """Take a whole part, as a backtest has it."""
        for message in part.messages():
            self.receive(read_part_chunk(message))

    def ready(self) -> int | None:
        """The earliest decision time whose parts are all here, unless an earlier one still waits.

        A partition sends its decision times in rising order. One that has sent a later time and no whole
        part of this one began later on the grid, or its part cannot be read: it is not waited for.
        """
        if not self._waiting:
            return None
        ts = min(self._waiting)
        parts = self._waiting[ts].parts
        expected = (p for p in range(self.config.partitions) if self._newest.get(p, ts) <= ts)
        return ts if all(p in parts and parts[p].complete for p in expected) else None

    def resume_offset(self, next_offset: int) -> int:
        """From which offset of `examples` a restart from `snapshot` must read.

        `next_offset` is where the reader stands; the parts that wait are not in the snapshot.
        """
        offsets = (waiting.offset for waiting in self._waiting.values())
        return min((offset for offset in offsets if offset is not None), default=next_offset)

    # -- learning

    def learn(self, ts: int) -> Iterator[int]:
        """Learn all parts of `ts`; yields the labels learned so far after each slice, for a break.

        Afterwards `models()` is the version as of `ts`. Raises NonFiniteError when a learner diverges, after
        which only a `restore` makes this trainer whole.
        """
        parts = [part.part() for _, part in sorted(self._waiting[ts].parts.items()) if part.complete]
        for decision_time, group in _by_decision_time(parts):
            self._judge(decision_time, group)
            yield from self._learn(*_in_hash_order(group))
        self.returns = fit(ReturnHistogram.merge(part.histogram for part in parts), self.returns)
        self.as_of, self.number = ts, self.number + 1
        self._promote()
        for old in [key for key in self._waiting if key <= ts]:
            del self._waiting[old]

    def _learn(self, inputs: NDArray[np.float32], churned: NDArray[np.bool_]) -> Iterator[int]:
        for start in range(0, len(inputs), SLICE):
            rows = slice(start, start + SLICE)
            for learner in self.learners.values():
                learner.learn_many(inputs[rows], churned[rows])
            self.labels += len(inputs[rows])
            yield self.labels

    def _judge(self, decision_time: int, group: Sequence[Matured]) -> None:
        counts = record.judge(group)
        self.record.judge(counts)
        if self.config.evaluate_from is not None and decision_time >= self.config.evaluate_from:
            self.record_from.judge(counts)
        self.quality.append(record.quality(decision_time, counts[CHAMPION]))

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
        """Everything but the waiting parts, for a local, signed checkpoint; see `resume_offset`."""
        return msgspec.msgpack.encode(
            _Snapshot(
                states={name: learner.state() for name, learner in self.learners.items()},
                labels={name: learner.labels for name, learner in self.learners.items()},
                returns=self.returns,
                as_of=self.as_of,
                number=self.number,
                total=self.labels,
                champion=self.champion,
                records=[self.record.to_json(), self.record_from.to_json()],
                quality=[(q.decision_time, q.labels, q.churned, q.auc, q.log_loss) for q in self.quality],
            )
        )

    def restore(self, data: bytes) -> None:
        """Go on from a `snapshot`.

        Raises StateMismatchError or msgspec errors where it does not fit; this trainer is of no use then.
        """
        kept = msgspec.msgpack.decode(data, type=_Snapshot)
        if set(kept.states) != set(self.learners):
            raise StateMismatchError(f"the snapshot is of {sorted(kept.states)}, not {sorted(self.learners)}")
        for name, learner in self.learners.items():
            learner.restore(kept.states[name])
            learner.labels = kept.labels[name]
        self.returns, self.as_of, self.number = kept.returns, kept.as_of, kept.number
        self.labels = kept.total
        if self.config.champion == "auto":
            self.champion = kept.champion
        self.record, self.record_from = (Record.from_json(each) for each in kept.records)
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


def _by_decision_time(parts: Sequence[Part]) -> list[tuple[int, list[Matured]]]:
    by_time: dict[int, list[Matured]] = {}
    for part in parts:
        for matured in part.matured:
            by_time.setdefault(matured.cohort.decision_time, []).append(matured)
    return sorted(by_time.items())


def _in_hash_order(group: Sequence[Matured]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Inputs and labels of all members of a decision time, in the order of their hash."""
    order = np.argsort(np.concatenate([m.cohort.hashes for m in group]), kind="stable")
    inputs = np.concatenate([m.cohort.inputs for m in group])[order]
    inputs[:, COLUMNS.index(TREATED)] = np.concatenate([m.treated for m in group])[order]
    return inputs, np.concatenate([m.churned for m in group])[order]
