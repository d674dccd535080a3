"""Customers: the agent's partition of the feature table. Events in, cohorts and alerts out.

observe → (dead letters) → write → publish alerts → acknowledge; then, for each decision time that the
watermark has reached: send the part → wait for the version (replay) → sweep → scores → write → alerts.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from features.clock import BEGINNING
from features.layout import TOPICS
from features.observing import Record
from features.rejection import Rejected
from models import answering, sweeping
from models.core import PartitionCore
from models.rows import MAX_ROW_BYTES
from streams.announcing import Announcer
from streams.control import ticks_of
from streams.flood import Poll
from streams.logs import logger
from streams.measuring import count_sweep, measure
from streams.partition import Partition
from streams.readers import end_offsets
from streams.scores import scores
from streams.sending import Message
from streams.state import CustomersState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.observing import RecordLike
    from models.sweeping import Sweep
    from models.taking import Observed
    from models.triggers import Trigger
    from models.versions import ModelSet
    from streams.context import Context
    from streams.engine import Engine
    from streams.watermarks import Idleness


log = logger(__name__)

#: Makes the ledger forget customers of a partition, given as (user, ts); returns when that is durable.
Forget = Callable[[int, list[tuple[str, int]]], Awaitable[None]]
#: Whether nothing of a topic lies behind the offset up to which it was applied.
CaughtUp = Callable[[str, int], bool]

#: Topics in which customers say what they consent to.
_OF_CONSENT: Final = ("customers", "outcomes")


class CustomerPartition(Partition):
    """One partition number over all input topics."""

    core: PartitionCore

    def __init__(
        self, number: int, context: Context, idleness: Idleness, forget: Forget, caught_up: CaughtUp
    ) -> None:
        super().__init__(number)
        self._context = context
        self._idleness = idleness
        self._forget = forget
        self._caught_up = caught_up
        self._erased: list[tuple[str, int]] = []
        self._rejected: list[tuple[str, RecordLike, Rejected]] = []
        self._read_at: float | None = None
        self._announcer = Announcer(number, context)
        #: Since when (monotonic seconds) the trainer could know of the last decision times, two at most.
        self._told: dict[int, float] = {}

    def make_engine(self) -> Engine:
        """See `Partition`."""
        context, settings = self._context, self._context.settings
        money = settings.currencies().micros
        self._rejected, self._erased, self._read_at = [], [], None
        follows = context.sessions.follows
        self.core = PartitionCore(self.number, settings.core(), settings.decoders(), money, follows)
        return self._new_engine(context, "customers", CustomersState(self.core))

    @property
    def announced(self) -> tuple[int, int] | None:
        """The last decision time whose alerts all stand on their topic, and the end of that topic then."""
        if self._announcer.swept is None:
            return None
        return self._announcer.swept, self.engine.ends.get("churn-alerts", 0)

    async def settled(self) -> None:
        """See `Partition`; raises InputTopicError.

        The next round says again where this partition is: the word may have been lost.
        """
        context = self._context
        names = {context.topics[name]: name for name in ("churn-alerts", *TOPICS)}
        found = await end_offsets(context.engine.client_options, list(names), self.number)
        ends = {names[full]: end for full, end in found.items()}
        context.inputs.check(self.number, self.core.clocks, ends)
        self.engine.ends["churn-alerts"] = ends["churn-alerts"]
        self._announcer.anew()

    # -- events

    async def can_apply(self) -> bool:
        """See `Partition`: whether a tick is to be followed must be known before it is read."""
        checked = 0
        while checked < len(self._waiting):
            ticks = [tick for event in self._waiting[checked:] for tick in ticks_of(event.value)]
            checked = len(self._waiting)
            await self._context.sessions.settle(ticks)
        return True

    async def take(self, event: Any) -> bool:
        """See `Partition`."""
        # Though it was not applied yet: no topic with something to apply is idle.
        self._idleness.seen(self._logical(event))
        return await super().take(event)

    def apply(self, events: Sequence[Any]) -> None:
        """Apply polls of the input topics, those of one topic together, and answer their triggers."""
        self.core.attend(self._context.sessions.history)
        polls = self._polls(events)
        observed = [self._observe(topic, records) for topic, records in polls]
        self._answer([trigger for each in observed for trigger in each.triggered])
        # It may raise; the partition is given up then, and what was applied with it.
        self._context.flood.watch(
            (topic, Poll(len(records), len(each.rejected)))
            for (topic, records), each in zip(polls, observed, strict=True)
        )

    def _logical(self, event: Any) -> str:
        return self._context.topics.logical(event.message.topic)

    def _polls(self, events: Sequence[Any]) -> list[tuple[str, list[RecordLike]]]:
        """Records by topic in log order; what is read a second time begins anew."""
        polls: list[tuple[str, list[RecordLike]]] = []
        newest: dict[str, list[RecordLike]] = {}
        for event in events:
            topic = self._logical(event)
            poll = newest.get(topic)
            if poll and poll[-1].offset < event.value[0].offset:
                poll += event.value
            else:
                newest[topic] = list(event.value)
                polls.append((topic, newest[topic]))
        return polls

    def _observe(self, topic: str, records: list[RecordLike]) -> Observed:
        metrics, started = self._context.metrics, time.perf_counter()
        observed = self.core.observe(topic, records, self._context.now())
        metrics.batch_seconds.labels(topic).observe(time.perf_counter() - started)
        metrics.batch_records.labels(topic).observe(len(records))
        metrics.records.labels(topic).inc(len(records))
        for fate, count in observed.counts.items():
            metrics.events.labels(topic, fate).inc(count)
        for mark, count in observed.outcomes.items():
            metrics.outcomes.labels(mark).inc(count)
        if observed.newest:
            metrics.event_delay.labels(topic).set((self._context.now() - observed.newest) / 1000)
        if observed.present:
            self._context.sessions.present()
        self._rejected += [(topic, *each) for each in observed.rejected]
        self._idleness.seen(topic)
        self._read_at = started if self._read_at is None else self._read_at
        self._erased += observed.erased
        self._count_unheld(observed.unheld)
        return observed

    def _count_unheld(self, count: int) -> None:
        if count:
            self._context.metrics.triggers.labels("too_many").inc(count)

    def _answer(self, triggered: list[Trigger]) -> None:
        """Answer live triggers; hold them while a withdrawal of consent may still be on its way.

        In a backlog one topic may be read days ahead of another.
        """
        if (triggered or self.core.held) and not self._consent_is_known():
            self._count_unheld(sum(self.core.hold(trigger) for trigger in triggered))
            return
        triggered = [*answering.release(self.core), *triggered]
        if triggered:
            oldest = self._context.now() - self._context.settings.act_within_ms
            counts = answering.answer(self.core, triggered, self._context.models.current, oldest)
            for result, count in counts.items():
                self._context.metrics.triggers.labels(result).inc(count)

    def _consent_is_known(self) -> bool:
        return all(self._caught_up(topic, self.core.clocks[topic].offset) for topic in _OF_CONSENT)

    # -- rounds

    async def round(self) -> None:
        """Make durable what was applied; then take every decision time that is due."""
        self.core.attend(self._context.sessions.history)
        # What was held may be due though nothing came: behind a log's last record there may be markers.
        self._answer([])
        await self.flush()
        await self._announce()
        # A rebalance must not wait for a catch-up of months: the rest is due for whoever comes next.
        while (ts := self._due()) is not None and await self._decide(ts):
            await self._announce()
        measure(self._context.metrics, self.core)
        if self.core.swept is not None:
            delay = self._context.now() - self._watermark()
            self._context.metrics.watermark_delay.labels(str(self.number)).set(delay / 1000)

    async def flush(self) -> None:
        """See `Partition`."""
        # First and completely, because a batch that is durable here is not looked at again.
        while self._rejected or self._erased:
            await self._bury()
            await self._spread_erasures()
        read_at, self._read_at = self._read_at, None
        raised = bool(self.core.pending)
        await self.engine.flush()
        await self._bury_overgrown()
        if raised and read_at is not None:
            self._context.metrics.alert_delay.observe(time.perf_counter() - read_at)

    async def _bury(self) -> None:
        rejected = self._rejected.copy()
        for origin in sorted({topic for topic, _, _ in rejected}):
            letters = [(record, why) for topic, record, why in rejected if topic == origin]
            await self._context.dead_letters.send(origin, self.number, letters)
        del self._rejected[: len(rejected)]

    async def _bury_overgrown(self) -> None:
        """Behind the write, which found them out; what stands in the letters is in no row any more."""
        if found := self.core.overgrown.copy():
            log.error("customers have outgrown their rows", partition=self.number, customers=len(found))
            letters = [
                (
                    Record(-1, user.encode(), row),
                    Rejected("row_too_large", f"{len(row)} bytes are more than {MAX_ROW_BYTES}"),
                )
                for user, row in found
            ]
            await self._context.dead_letters.send("customers-changelog", self.number, letters)
            del self.core.overgrown[: len(found)]

    async def _spread_erasures(self) -> None:
        if erased := self._erased.copy():
            await self._forget(self.number, erased)
            del self._erased[: len(erased)]

    def _due(self) -> int | None:
        return None if self.stopping else self.core.due(self._watermark())

    def _watermark(self) -> int:
        """Event time up to which this partition is settled."""
        if self.core.replaying:
            return self.core.watermark()
        awake = [topic for topic in TOPICS if not self._idleness.idle(topic)]
        if awake:
            return self.core.watermark(awake)
        if not self._context.sessions.wall_clock_speaks:
            return self.core.watermark()
        settled = self._context.now() - self.core.config.lateness_ms
        self.core.begin(settled)
        return settled

    async def _decide(self, ts: int) -> bool:
        """Take one decision time; False if its model version is not there yet."""
        core, models = self.core, self._context.models.current
        if core.matured is None or core.matured < ts:
            await self._send_part(ts)
            models = self._context.models.current
        if core.replaying and self._context.models.learned < ts:
            return False
        act = core.replaying or ts >= self._context.now() - self._context.settings.act_within_ms
        if act and not core.replaying and self._waits_for_guard(ts):
            return False
        with self._context.metrics.sweep_seconds.time():
            sweep = sweeping.sweep(core, ts, models, act=act)
        await self._publish_scores(sweep, models)
        await self.flush()
        count_sweep(self._context.metrics, self.core, sweep, models)
        return True

    def _waits_for_guard(self, ts: int) -> bool:
        """Whether to wait for the version as of `ts`, whose guard has seen it in all partitions.

        Not for ever: another partition may be mute, and this one's customers must not wait for it. Nor where
        the trainer had as long for the decision time before and did not speak of it: it will not of this one.
        In a new shop, where it never spoke, it has nothing to compare with.
        """
        models, now = self._context.models, time.monotonic()
        if not models.learns or models.learned >= ts or models.learned == BEGINNING:
            return False
        before = ts - self.core.config.grid.every_ms
        asked = [self._told.setdefault(ts, now)]  # another life of this worker may have sent the part
        if models.learned < before:
            asked.append(self._told.get(before, now))
        if now - min(asked) < self._context.settings.alerting.guard_wait_seconds:
            return True
        self._context.metrics.unguarded.inc()
        return False

    async def _send_part(self, ts: int) -> None:
        await self._publish_part(ts)
        self._told = {**dict(list(self._told.items())[-1:]), ts: time.monotonic()}

    async def _publish_part(self, ts: int) -> None:
        part = sweeping.mature(self.core, ts, self._context.models.current)
        key = str(ts).encode()
        messages = [Message(key, value) for value in part.messages()]
        context = self._context
        await context.sender.send(context.topics["examples"], 0, messages)
        context.metrics.matured.inc(len(part.matured))

    async def _publish_scores(self, sweep: Sweep, models: ModelSet) -> None:
        # Before the sweep is durable: scores are compacted, so a repeated sweep just repeats them.
        await self._context.publisher.publish(self.number, scores(self.core, sweep, models))

    async def _announce(self) -> None:
        await self._announcer.announce(self.core, self.engine.ends.get("churn-alerts", 0))
