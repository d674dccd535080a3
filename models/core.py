"""The pure core of one partition: events in, cohorts, scores and alerts out (DESIGN 4).

Live operation, replay and backtest feed the same core with batches and a watermark. It knows neither
Kafka nor a clock. What happens at a decision time is in `models.sweeping`, what follows from triggers in
`models.answering`, and what must be stored in `models.storage`: they work on this state.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from features.clock import BEGINNING, TopicClock
from features.events import Kind, Tick, ts_ms
from features.hashing import partition_of, salted_hash
from features.layout import TOPICS
from features.observing import ANY_TIME, is_replay, judge
from features.profile import Profile, merge
from features.table import UserTable
from models.episodes import TIERS
from models.erasure import Erased
from models.marks import mark_of_command, operation
from models.triggers import MAX_HELD, Held, Trigger, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from features.columns import Columns
    from features.decoding import EventDecoder
    from features.observing import Follows, Judged, RecordLike
    from features.rejection import Rejected
    from features.table import Slots
    from features.updates import Money
    from models.alerts import Standing
    from models.cohorts import Cohort
    from models.config import CoreConfig
    from models.episodes import Thresholds
    from models.marks import Operation
    from models.versions import ModelSet

#: Topics whose events become features; the others change profile, consent and treatment.
FEATURE_TOPICS: Final = frozenset({"clickstream", "orders", "reviews"})


#: As plain numbers: reading an enum's member takes microseconds.
_ERASURE, _DELIVERED = int(Kind.ERASURE), int(Kind.DELIVERED)
_UNKNOWN: Final = Profile()


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """An alert that was decided in write number `seq` and is published once that write is durable.

    Alerts of one write are published by falling `probability`: a short budget goes to those most at risk.
    """

    seq: int
    value: bytes
    probability: float = 0.0


class ReplayCount(msgspec.Struct):
    """What became of the records of one replay session, by fate: accepted, duplicate, late, refused."""

    session: str = ""
    counts: dict[str, int] = {}

    def add(self, **counts: int) -> None:
        """Count more of them."""
        for fate, count in counts.items():
            if count:
                self.counts[fate] = self.counts.get(fate, 0) + count


def follows_nobody(_session: str, _timestamp: int) -> bool:
    """Believes no tick: see `features.observing.Follows`."""
    return False


@dataclass
class Observed:
    """What one poll did: events by fate, rejected records, and customers who spoke for themselves.

    `present` tells whether there were events that no replay has sent.
    """

    counts: Counter[str]
    rejected: list[tuple[RecordLike, Rejected]]
    triggered: list[Trigger] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    newest: int = 0
    present: bool = False
    erased: list[tuple[str, int]] = field(default_factory=list)
    #: Triggers that were to be held and are too many.
    unheld: int = 0
    #: Outcomes taken, by the mark of their commands.
    outcomes: Counter[str] = field(default_factory=Counter)


class Overgrown(NamedTuple):
    """A customer whose row had grown beyond what a broker takes: `row` as it was before it was cut back."""

    user: str
    row: bytes


class PartitionCore:
    """State of one partition number over all input topics."""

    def __init__(
        self,
        partition: int,
        config: CoreConfig,
        decoders: dict[str, EventDecoder],
        money: Money,
        follows: Follows = follows_nobody,
    ) -> None:
        self.partition = partition
        self._follows = follows
        self.config = config
        self.decoders = decoders
        self.table = UserTable(config.layout, config.grid, money)
        self.clocks = {topic: TopicClock() for topic in TOPICS}
        #: The last decision time swept. Before the first part it is where the grid begins for this partition,
        #: and still moves back when an earlier event comes; None before any event.
        self.swept: int | None = None
        #: The last decision time whose part was made; None before the first.
        self.matured: int | None = None
        #: The decision time up to which forks are no longer needed, because its sweep is durable.
        self.durable_swept = BEGINNING
        #: An open replay session says that what is read is history: see `attend`.
        self.replaying = False
        #: How far event time has come by the events read so far, of whichever topic.
        self.newest = BEGINNING
        self.replayed = ReplayCount()
        self.cohorts: dict[int, Cohort] = {}
        self.erased: dict[int, Erased] = {}
        #: Those of them of which no write tells yet.
        self.new_erased: set[int] = set()
        self.pending: dict[str, list[Pending]] = {}
        #: Triggers that wait: replayed ones for the next sweep, live ones until consent is known.
        self.held: dict[str, list[Held]] = {}
        self.seq = 0
        self.published_seq = 0
        self.dirty: set[str] = set()
        self.gone: set[str] = set()
        self.new_cohorts: set[int] = set()
        #: Customers of whom something was given up, so that their rows can be written; for dead letters.
        self.overgrown: list[Overgrown] = []

    # -- events

    def attend(self, session: str) -> None:
        """From now on what is read is history, as this open replay session says; "": the present."""
        self.replaying = bool(session)
        if session and session != self.replayed.session:
            self.replayed = ReplayCount(session, {})

    def observe(self, topic: str, records: Sequence[RecordLike], now: int | None = None) -> Observed:
        """Take one poll of one input topic. Idempotent: what was seen before changes nothing.

        Without `now` (epoch ms) nobody asks what time it is at the records' producers.
        """
        clock = self.clocks[topic]
        known, owned = self.table.index, self._owns
        judged = judge(
            records,
            self.decoders[topic],
            clock,
            self.config.lateness_ms,
            known,
            owned,
            follows=self._follows,
            now=now,
        )
        self._begin(judged, featured=topic in FEATURE_TOPICS)
        observed = Observed(Counter(skipped=judged.skipped, late=int(judged.late.sum())), judged.rejected)
        observed.ticks = judged.ticks
        if len(judged.batch):
            observed.newest = int(judged.batch.times.max())
            self.newest = max(self.newest, judged.reached)
            observed.present = not judged.replayed.all()
            self._take(judged, observed)
        if self.replaying:
            self._count_lost(judged)
        return observed

    def _count_lost(self, judged: Judged) -> None:
        refused = sum(is_replay(record.headers) for record, _ in judged.rejected)
        self.replayed.add(refused=refused)
        if judged.batch.topic in FEATURE_TOPICS:
            self.replayed.add(late=int((judged.late & judged.replayed).sum()))

    def _owns(self, user: str) -> bool:
        return partition_of(user.encode(), self.config.partitions) == self.partition

    def begin(self, ts: int) -> None:
        """Start on the grid at `ts` if no event or tick has done so: an empty partition takes part too.

        The trainer waits for every partition, also for one that has no customers yet.
        """
        if self.swept is None:
            self.swept = self.config.grid.floor(ts)

    def _begin(self, judged: Judged, *, featured: bool) -> None:
        """Start on the grid before the earliest event or tick.

        The first part settles it: by then the watermark has passed a decision time, so that no earlier
        event can come, and the start is the same however the topics were interleaved. An event that no
        replay has sent starts nothing long before its own record: who bought then is not judged any more,
        and one wrong date would cost a sweep for each day of decades.
        """
        if self.matured is not None:
            return
        starts = [self.config.grid.before(ts_ms(tick)) for tick in judged.ticks[:1]]
        if featured and not judged.late.all():
            present = ~judged.replayed & (judged.stamps < ANY_TIME)
            bounds = np.where(present, judged.stamps - self.config.looks_back_ms, BEGINNING)
            times = np.maximum(judged.batch.times, bounds)[~judged.late]
            starts.append(self.config.grid.floor(int(times.min())))
        if starts:
            self.swept = min(starts) if self.swept is None else min(self.swept, *starts)

    def _take(self, judged: Judged, observed: Observed) -> None:
        topic = judged.batch.topic
        # Consent, unsubscription and erasure apply however late they come; features do not change any more.
        if topic in FEATURE_TOPICS:
            pieces: Iterable[NDArray[np.intp]] = [(~judged.late).nonzero()[0]]
        else:
            pieces = _cut_behind_erasures(judged.batch)
        for piece in pieces:
            if len(piece):
                self._take_piece(judged.batch.take(piece), judged.replayed[piece], observed)

    def _take_piece(self, batch: Columns, replayed: NDArray[np.bool_], observed: Observed) -> None:
        kept = self._surviving(batch)
        observed.counts["erased"] += len(batch) - len(kept)
        batch, replayed = batch.take(kept), replayed[kept]
        slots = self._slots(batch)
        # An erasure that comes again after a torn write is carried out again, upon whatever that write left:
        # stamps tell what is in a row, and an erasure is in none.
        fresh = (self.table.fresh(batch, slots) | (batch.kinds == _ERASURE)).nonzero()[0]
        observed.counts["duplicate"] += len(batch) - len(fresh)
        observed.counts["accepted"] += len(fresh)
        self.dirty.update(batch.users)
        if self.replaying:
            again = int(replayed.sum()) - (new := int(replayed[fresh].sum()))
            self.replayed.add(accepted=new, duplicate=again)
        batch, slots, replayed = batch.take(fresh), slots[fresh], replayed[fresh]
        if batch.topic in FEATURE_TOPICS:
            # Not `swept`: that sweep may have to be repeated after a crash, upon rows that are durable.
            self.table.apply(batch, slots, self.durable_swept)
        else:
            self._personal(batch, slots, observed)
        found = find(self.config, batch, replayed)
        self._note_signals(found)
        for trigger in found:
            if trigger.replayed:
                observed.unheld += self.hold(trigger)
            else:
                observed.triggered.append(trigger)

    def _note_signals(self, found: Iterable[Trigger]) -> None:
        """Whoever was erased by the same batch is gone."""
        index = self.table.index
        known = [(index[each.user], each.ts) for each in found if each.user in index]
        slots, times = np.array(known, np.int64).reshape(-1, 2).T
        self.table.note_signals(slots, times, self.durable_swept)

    def _slots(self, batch: Columns) -> Slots:
        index = self.table.index
        found = [index.get(user, -1) for user in batch.users]
        if -1 in found:
            strangers = dict.fromkeys(user for user, slot in zip(batch.users, found, strict=True) if slot < 0)
            self.table.add(list(strangers), [self.hash(user) for user in strangers])
            found = [index[user] for user in batch.users]
        return np.array(found, np.intp)

    def hash(self, user: str) -> int:
        """The customer's salted 64-bit hash: order of learning, sample, holdout and pseudonym."""
        return salted_hash(user, self.config.salt)

    def _personal(self, batch: Columns, slots: Slots, observed: Observed) -> None:
        """Profile, consent, treatment and erasure: registers in which the newest event wins."""
        if batch.topic == "outcomes":
            self._outcomes(batch, slots, observed)
        profiles = self.table.profiles
        for event, slot in zip(batch.events, slots.tolist(), strict=True):
            profile = merge(profiles.get(slot), event)
            if profile != _UNKNOWN:
                profiles[slot] = profile
        if len(batch) and batch.kinds[-1] == _ERASURE:
            user, ts = batch.users[-1], int(batch.times[-1])
            self._erase(user, ts, int(batch.offsets[-1]))
            observed.erased.append((user, ts))

    def _outcomes(self, batch: Columns, slots: Slots, observed: Observed) -> None:
        """Who was treated: nobody by a command that must not be sent, whatever a gateway made of it."""
        marks = [mark_of_command(event.command_id) for event in batch.events]
        observed.outcomes.update(marks)
        sent = np.array([mark == "live" for mark in marks], bool) & (batch.kinds == _DELIVERED)
        np.maximum.at(self.table.rows["treated_at"], slots[sent], batch.times[sent])

    # -- erasure

    def _surviving(self, batch: Columns) -> NDArray[np.intp]:
        """Which events of `batch` no erasure of their customer covers."""
        erased = self.erased
        if not erased:
            return np.arange(len(batch))
        slots = [self.table.index.get(user, -1) for user in batch.users]
        stored = self.table.rows["user_hash"][slots].tolist()
        codes = [
            code if slot >= 0 else self.hash(user)
            for code, slot, user in zip(stored, slots, batch.users, strict=True)
        ]
        until = [erased[code].ts if code in erased else BEGINNING for code in codes]
        return np.flatnonzero(batch.times > np.array(until, np.int64))

    def _erase(self, user: str, ts: int, offset: int) -> None:
        """Forget `user`, whose erasure of time `ts` stands at `offset` of `customers`."""
        code = self.hash(user)
        self.forget(user)
        offsets = tuple(offset if topic == "customers" else self.clocks[topic].offset for topic in TOPICS)
        before = self.erased.get(code)
        self.erased[code] = Erased(ts if before is None else max(ts, before.ts), offsets)
        self.new_erased.add(code)
        for start, cohort in list(self.cohorts.items()):
            keep = cohort.hashes != np.uint64(code)
            if not keep.all():
                self.cohorts[start] = cohort.take(keep)
                self.new_cohorts.add(start)

    def forget(self, user: str) -> None:
        """Drop a customer's rows and what waits to be published."""
        self.table.remove(user)
        self.pending.pop(user, None)
        self.held.pop(user, None)
        self.gone.add(user)

    @property
    def operation(self) -> Operation:
        """What this partition does now: a rehearsal of replayed history, or what the shop's mode says."""
        return operation(self.config.mode, replaying=self.replaying)

    # -- time

    def watermark(self, topics: Sequence[str] = TOPICS) -> int:
        """The minimum bound of `topics`: nothing that counts is older than this."""
        return min((self.clocks[topic].bound for topic in topics), default=BEGINNING)

    @property
    def stands(self) -> dict[str, int]:
        """Before which time (epoch ms) an event comes too late: by topic, and under "" for all of them."""
        found = {topic: clock.bound for topic, clock in self.clocks.items() if clock.bound > BEGINNING}
        return found if self.matured is None else found | {"": self.matured}

    def due(self, watermark: int) -> int | None:
        """The next decision time, if the watermark has reached it."""
        if self.swept is None or watermark < (following := self.config.grid.after(self.swept)):
            return None
        return following

    def swept_durably(self, ts: int) -> None:
        """The sweep of `ts` will not be repeated: the records as of `ts` and before have done their work."""
        if ts > self.durable_swept:
            self.durable_swept = ts
            self.table.drop_forks(ts)

    def enough_data(self, models: ModelSet) -> bool:
        """Whether the models have seen enough labels, and sweeps, to act upon."""
        return models.labels >= self.config.min_labels and self.thresholds(models) is not None

    def standing(self, tier: int, models: ModelSet) -> Standing:
        """Where a customer of `tier` (an index into TIERS) stands; unknown while there is not enough data."""
        return TIERS[tier] if self.enough_data(models) else "unknown"

    def thresholds(self, models: ModelSet) -> Thresholds | None:
        """Where the risk tiers begin: as configured, or by the capacity; None before that is known."""
        return self.config.thresholds or models.thresholds

    def hold(self, trigger: Trigger) -> int:
        """Keep a trigger in its customer's row until it may be answered; nothing if the customer is gone.

        Of more than MAX_HELD the newest stay, in whatever order they come; returns how many had to go.
        """
        if trigger.user not in self.table.index:
            return 0
        held = self.held.setdefault(trigger.user, [])
        held.append(Held(trigger.ts, trigger.event_id, trigger.replayed))
        self.dirty.add(trigger.user)
        surplus = len(held) - MAX_HELD
        if surplus > 0:
            held.sort()
            del held[:surplus]
        return max(surplus, 0)

    def add_pending(self, user: str, value: bytes, probability: float) -> None:
        """Keep an encoded alert in the customer's row until it is published."""
        self.pending.setdefault(user, []).append(Pending(self.seq + 1, value, probability))
        self.dirty.add(user)


def _cut_behind_erasures(batch: Columns) -> list[NDArray[np.intp]]:
    """All events in pieces that have an erasure, if any, as their last event: what follows starts anew."""
    ends = np.flatnonzero(batch.kinds == _ERASURE) + 1
    return np.split(np.arange(len(batch)), ends)
