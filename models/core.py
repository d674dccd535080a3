"""The pure core of one partition: events in, cohorts, scores and alerts out (DESIGN 4).

Live operation, replay and backtest feed the same core with batches and a watermark. It knows neither
Kafka nor a clock. How events come in is in `models.taking`, what happens at a decision time in
`models.sweeping`, what follows from triggers in `models.answering`, and what must be stored in
`models.storage`: they work on this state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from features.clock import BEGINNING, TopicClock
from features.hashing import partition_of, salted_hash
from features.layout import TOPICS
from features.table import UserTable
from models.episodes import TIERS
from models.marks import operation
from models.taking import take_poll
from models.triggers import MAX_HELD, Held, Trigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.decoding import EventDecoder
    from features.observing import Follows, RecordLike
    from features.updates import Money
    from models.alerts import Standing
    from models.cohorts import Cohort
    from models.config import CoreConfig
    from models.episodes import Thresholds
    from models.erasure import Erased
    from models.marks import Operation
    from models.taking import Observed
    from models.versions import ModelSet


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
        self.follows = follows
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
        """Take one poll of one input topic; see `models.taking`."""
        return take_poll(self, topic, records, now)

    def owns(self, user: str) -> bool:
        """Whether the customer belongs into this partition."""
        return partition_of(user.encode(), self.config.partitions) == self.partition

    def begin(self, ts: int) -> None:
        """Start on the grid at `ts` if no event or tick has done so: an empty partition takes part too.

        The trainer waits for every partition, also for one that has no customers yet.
        """
        if self.swept is None:
            self.swept = self.config.grid.floor(ts)

    def hash(self, user: str) -> int:
        """The customer's salted 64-bit hash: order of learning, sample, holdout and pseudonym."""
        return salted_hash(user, self.config.salt)

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
