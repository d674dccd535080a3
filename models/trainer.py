"""The clock of learning (DESIGN 4.6): at decision time t learn everything that matured by t, then publish.

The trainer waits for every partition's part of t and learns in the order of (decision time, user hash),
so neither the number of partitions nor the order in which parts arrive can change a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.catalogue import OFFSET
from features.layout import DAY_MS
from features.returns import UNSEEN, ReturnHistogram, ReturnModel, fit
from models import record, snapshots
from models.calibration import Calibrator
from models.contenders import new_learner
from models.examples import by_decision_time, examples
from models.hindsight import Hindsight
from models.leading import Lead, Leads
from models.outlook import Outlook
from models.overrides import Promotion
from models.panel import Panel
from models.parts import read_part_chunk, require_learnable
from models.pool import Pool
from models.record import CHAMPION, CohortQuality, Record
from models.rhythm import ShopRhythm
from models.scorers import NonFiniteError
from models.seasons import Seasons, level
from models.trainer_config import AUTO, TrainerConfig
from models.versions import COLUMNS, ModelSet
from models.waiting import WaitingParts
from models.watching import Watches
from models.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from models.drift import Drift
    from models.episodes import Thresholds
    from models.learners import Learner
    from models.parts import Matured, Part, PartChunk
    from models.progressive import ScoreCounts
    from models.scorers import Scorer

_OFFSET: Final = COLUMNS.index(OFFSET)
#: Labels learned between two looks at the event loop: a few milliseconds.
SLICE: Final = 256


class Trainer:
    """Learners, their progressive record, and the parts that wait for the others."""

    def __init__(self, config: TrainerConfig, make: Callable[..., Learner] = new_learner) -> None:
        self.config = config
        self.learners = {name: make(name, **config.settings.get(name, {})) for name in config.contenders}
        self.returns: ReturnModel = UNSEEN
        #: How often the customers of all partitions order.
        self.rhythm: ShopRhythm | None = None
        self.seasons = Seasons()
        self.as_of: int | None = None
        self.number = 0
        self.labels = 0
        self.champion = config.first_champion
        self.pool = Pool(config.pooled)
        self.calibrator = Calibrator(Pool.name, config.horizon_days)
        self.record = Record()
        self.record_from = Record()
        self.quality: list[CohortQuality] = []
        #: Every change of champion that was earned, the oldest first.
        self.promotions: list[Promotion] = []
        #: The champion's counts by audited attribute and value.
        self.groups: dict[str, dict[str, ScoreCounts]] = {}
        self.hindsight = Hindsight()
        self.watches = Watches(config.horizon_days, config.every_days, config.min_labels)
        #: Learners that could not be restored, by how many labels others had learned before them.
        self.cold: dict[str, int] = {}
        #: What is known of the shop as a whole.
        self.outlook = Outlook(config)
        self.leads = self.new_leads()
        self._waiting = WaitingParts(config.partitions)

    @property
    def drifts(self) -> list[Drift]:
        """What the watches told so far; of very many the newest."""
        return self.watches.drifts

    @property
    def stability(self) -> dict[str, float]:
        """The newest population stability index by column; empty while warming up."""
        return self.watches.stability

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
            self._waiting.add(chunk.hollow(), offset)
            raise
        self._waiting.add(chunk, offset)

    def read_again(self) -> int | None:
        """See `WaitingParts`."""
        return self._waiting.read_again()

    def fill(self, chunk: PartChunk) -> bool:
        """Take a message that is read again, as `receive` took it first; whether there are more to come."""
        try:
            require_learnable(chunk, len(COLUMNS))
        except WireError:
            chunk = chunk.hollow()
        return self._waiting.fill(chunk)

    def receive_part(self, part: Part) -> None:
        """Take a whole part, as a backtest has it."""
        for message in part.messages():
            self.receive(read_part_chunk(message))

    def ready(self) -> int | None:
        """The earliest decision time whose parts are all here, unless an earlier one still waits."""
        return self._waiting.ready()

    def waits_for(self) -> dict[int, int]:
        """See `WaitingParts`."""
        return self._waiting.waits_for()

    def resume_offset(self, next_offset: int) -> int:
        """From which offset of `examples` a restart from `snapshot` must read.

        `next_offset` is where the reader stands; the parts that wait are not in the snapshot.
        """
        return self._waiting.resume_offset(next_offset)

    # -- learning

    def learn(self, ts: int) -> Iterator[int]:
        """Learn all parts of `ts`; yields the labels learned so far after each slice, for a break.

        Afterwards `models()` is the version as of `ts`. Raises NonFiniteError when a learner diverges, after
        which only a `restore` makes this trainer whole.
        """
        parts = self._waiting.whole(ts)
        self.outlook.see_trade(ts, parts)
        if not self.outlook.surprised:
            histogram = ReturnHistogram.merge(part.histogram for part in parts)
            self.returns = fit(histogram, self.returns)
            self.rhythm = ShopRhythm.of(histogram, self.config.horizon_days) or self.rhythm
        self.watches.turn()
        for decision_time, group in by_decision_time(each for part in parts for each in part.matured):
            if not self.outlook.is_learnable(decision_time, sum(len(each.cohort) for each in group)):
                continue
            self._judge(decision_time, group)
            inputs, churned = examples(group, self.returns, self.config.horizon_days)
            self.seasons = self.seasons.seen(decision_time, level(inputs[:, _OFFSET], churned))
            yield from self._learn(inputs, churned)
        histograms = [part.inputs for part in parts if part.inputs is not None]
        self.watches.see_inputs(ts, histograms, self.labels)
        passed = 0 if self.as_of is None else (ts - self.as_of) / DAY_MS
        self._forget(passed + self.config.forgets_days * self.watches.loss_rose)
        self.as_of, self.number = ts, self.number + 1
        self._promote()
        self._look_ahead(ts, passed, parts)
        self._waiting.drop(ts)

    def _look_ahead(self, ts: int, days: float, parts: Sequence[Part]) -> None:
        try:
            models = self.models()
        except NonFiniteError:
            return  # this version is not published
        self.outlook.look(ts, days, Panel.merge(part.panel for part in parts), models)

    @property
    def thresholds(self) -> Thresholds | None:
        """Where the champion's risk tiers begin, fixed or by the capacity; None before anybody was active."""
        return self.outlook.thresholds(self.champion)

    def _learn(self, inputs: NDArray[np.float32], churned: NDArray[np.bool_]) -> Iterator[int]:
        for start in range(0, len(inputs), SLICE):
            rows = slice(start, start + SLICE)
            for learner in self.learners.values():
                learner.learn_many(inputs[rows], churned[rows])
            self.labels += len(inputs[rows])
            yield self.labels

    def _forget(self, days: float) -> None:
        for learner in self.learners.values():
            learner.forget(days)
        self.calibrator.forget(days)

    def _judge(self, decision_time: int, group: Sequence[Matured]) -> None:
        counts = record.judge(group)
        self.pool.learn(counts)
        if Pool.name in counts:
            self.calibrator.learn(counts[Pool.name])
        self.record.judge(counts)
        self.leads.see(self.champion, self.config.names, counts, decision_time)
        if self.config.evaluate_from is not None and decision_time >= self.config.evaluate_from:
            self.record_from.judge(counts)
        self.quality.append(record.quality(decision_time, counts))
        self.hindsight.judge(decision_time, group)
        self.groups = record.merged_groups((self.groups, record.judge_groups(group)))
        self.watches.see_loss(decision_time, counts[CHAMPION])

    def _promote(self) -> None:
        config = self.config
        if config.champion != AUTO:
            return
        best = self.leads.challenger(self.champion)
        if best is not None:
            assert self.as_of is not None, "leads come from labels"
            lead = self.leads.by_name[best]
            promotion = Promotion(
                champion=best, over=self.champion, as_of=self.as_of, lead=lead.mean, labels=round(lead.labels)
            )
            self.promotions.append(promotion)
            self.champion = best
            self.leads.promote(best)

    def new_leads(self, by_name: Mapping[str, Lead] | None = None) -> Leads:
        """Who leads whom, beginning anew or from what is known `by_name`."""
        config = self.config
        return Leads(config.horizon_days, config.promotion_nats, config.promotion_margin, by_name)

    # -- publishing

    def models(self) -> ModelSet:
        """The version as of the last decision time learned; raises NonFiniteError rather than export one."""
        assert self.as_of is not None, "nothing was learned yet"
        return ModelSet(
            as_of=self.as_of,
            number=self.number,
            champion=self.champion,
            labels=self.labels,
            scorers=self._scorers(),
            returns=self.returns,
            promoted=self.promotions[-1] if self.promotions else None,
            tiers=dict(self.outlook.tiers),
            panel=self.outlook.panel,
            closed=self.outlook.closed,
            hold=self.outlook.hold,
            rhythm=self.rhythm,
            seasons=self.seasons,
        )

    def _scorers(self) -> dict[str, Scorer]:
        members = {name: learner.scorer() for name, learner in self.learners.items()}
        if Pool.name not in self.config.names:
            return {**members}
        pool = self.pool.scorer(members)
        return {**members, Pool.name: pool, Calibrator.name: self.calibrator.scorer(pool)}

    def portable_states(self) -> dict[str, bytes]:
        """States that may travel with a version (JSON); a pickled learner has none."""
        learned = {name: learner.state() for name, learner in self.learners.items() if learner.portable}
        return learned | {Pool.name: self.pool.state(), Calibrator.name: self.calibrator.state()}

    def go_on_from(self, models: ModelSet, states: Mapping[str, bytes]) -> None:
        """Take over a published version, where what it was learned from is there no more.

        `states` are those that travelled with it, by name. A learner without one (a pickle stays on its
        trainer's disk) begins anew and is *cold*: until it has learned it says the return probability. The
        progressive record begins anew, too. Raises StateMismatchError or ValueError for a state that does
        not fit; this trainer is of no use then.
        """
        for name, learner in self.learners.items():
            if name in states:
                learner.restore(states[name])
        if Pool.name in self.config.names and Pool.name in states and Calibrator.name in states:
            self.pool.restore(states[Pool.name])
            self.calibrator.restore(states[Calibrator.name])
        self.cold = {name: models.labels for name in self.learners if name not in states}
        self.returns, self.as_of, self.number = models.returns, models.as_of, models.number
        self.labels, self.rhythm, self.seasons = models.labels, models.rhythm, models.seasons
        self.promotions = [] if models.promoted is None else [models.promoted]
        self.outlook.follow(models)
        if self.config.champion == AUTO and models.champion in self.config.names:
            self.champion = models.champion

    # -- the trainer's own checkpoint

    def snapshot(self) -> bytes:
        """Everything but the waiting parts, for a local, signed checkpoint; see `resume_offset`."""
        return snapshots.take(self)

    def restore(self, data: bytes) -> None:
        """Go on from a `snapshot`.

        Raises StateMismatchError, ValueError or msgspec errors where it does not fit; this trainer is of no
        use then.
        """
        snapshots.restore(self, data)
