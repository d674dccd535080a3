"""Customers: the agent's partition of the feature table. Events in, cohorts and alerts out.

observe → (dead letters) → write → publish alerts → acknowledge; then, for each decision time that the
watermark has reached: send the part → wait for the version (replay) → sweep → scores → write → alerts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


from features.decoding import EventDecoder
from features.layout import TOPICS
from features.observing import RecordLike
from features.rejection import Rejected
from models.core import PartitionCore
from models.sweeping import Sweep
from models.triggers import Trigger
from models.versions import ModelSet
from streams.context import Context
from streams.engine import Engine
from streams.partition import Partition
from streams.progress import Progress
from streams.recovery import end_offset
from streams.scores import scores
from streams.sending import Message
from streams.state import CustomersState
from streams.watermarks import Idleness


class CustomerPartition(Partition):
    """One partition number over all input topics."""

    core: PartitionCore
    #: Told of every erasure (partition, user, ts): the ledger must forget the customer too.
    on_erased: Callable[[int, str, int], None] = staticmethod(lambda *_: None)

    def __init__(self, number: int, context: Context, idleness: Idleness) -> None:
        super().__init__(number)
        self._context = context
        self._idleness = idleness
        self._rejected: list[tuple[str, RecordLike, Rejected]] = []
        self._read_at: float | None = None

    def make_engine(self) -> Engine:
        """See `Partition`."""
        context, settings = self._context, self._context.settings
        currencies = settings.currencies()
        decoders = {
            topic: EventDecoder(topic, max_bytes=settings.worker.max_message_bytes, currencies=currencies)
            for topic in TOPICS
        }
        self.core = PartitionCore(self.number, settings.core(), decoders, currencies.micros)
        return Engine(
            "customers",
            context.topics["customers-changelog"],
            self.number,
            CustomersState(self.core),
            context.sender,
            context.publisher,
            context.metrics,
            context.engine,
            lambda: self.owned,
        )

    async def settled(self) -> None:
        """Say again where this partition is: the last word may have been lost."""
        topic = self._context.topics["churn-alerts"]
        self.engine.ends["churn-alerts"] = await end_offset(
            self._context.engine.client_options, topic, self.number
        )
        await self._announce()

    # -- events

    def apply(self, event: Any) -> None:
        """Apply one poll of one input topic, and answer its triggers."""
        metrics, topic = self._context.metrics, self._context.topics.logical(event.message.topic)
        records = event.value
        started = time.perf_counter()
        observed = self.core.observe(topic, records)
        self._answer(observed.triggered)
        metrics.batch_seconds.labels(topic).observe(time.perf_counter() - started)
        metrics.batch_records.labels(topic).observe(len(records))
        metrics.records.labels(topic).inc(len(records))
        for fate, count in observed.counts.items():
            metrics.events.labels(topic, fate).inc(count)
        if observed.newest:
            metrics.event_delay.labels(topic).set((self._context.now() - observed.newest) / 1000)
        self._rejected += [(event.message.topic, *each) for each in observed.rejected]
        self._idleness.seen(topic)
        self._context.dead_letters.watch(len(records), len(observed.rejected))
        self._read_at = started if self._read_at is None else self._read_at
        for user, ts in observed.erased:
            self.on_erased(self.number, user, ts)

    def _answer(self, triggered: list[Trigger]) -> None:
        if triggered:
            oldest = self._context.now() - self._context.settings.act_within_ms
            counts = self.core.answer(triggered, self._context.models.current, oldest)
            for result, count in counts.items():
                self._context.metrics.triggers.labels(result).inc(count)

    # -- rounds

    async def round(self) -> None:
        """Make durable what was applied; then take every decision time that is due."""
        await self._flush()
        while (ts := self.core.due(self._watermark())) is not None:
            if not await self._decide(ts):
                break
        self._measure()

    async def _flush(self) -> None:
        rejected, self._rejected = self._rejected, []
        for origin in sorted({topic for topic, _, _ in rejected}):
            letters = [(record, why) for topic, record, why in rejected if topic == origin]
            await self._context.dead_letters.send(origin, self.number, letters)
        read_at, self._read_at = self._read_at, None
        raised = bool(self.core.pending)
        await self.engine.flush()
        if raised and read_at is not None:
            self._context.metrics.alert_delay.observe(time.perf_counter() - read_at)

    def _watermark(self) -> int:
        """Event time up to which this partition is settled."""
        if self.core.replaying:
            return self.core.watermark()
        awake = [topic for topic in TOPICS if not self._idleness.idle(topic)]
        if awake:
            return self.core.watermark(awake)
        return self._context.now() - self.core.config.lateness_ms

    async def _decide(self, ts: int) -> bool:
        """Take one decision time; False if its model version is not there yet."""
        core, models = self.core, self._context.models.current
        if core.matured is None or core.matured < ts:
            await self._send_part(ts)
            models = self._context.models.current
        if core.replaying and models.as_of < ts:
            return False
        act = core.replaying or ts >= self._context.now() - self._context.settings.act_within_ms
        with self._context.metrics.sweep_seconds.time():
            sweep = core.sweep(ts, models, act=act)
        await self._publish_scores(sweep, models)
        await self._flush()
        self._count(sweep)
        await self._announce()
        return True

    async def _send_part(self, ts: int) -> None:
        part = self.core.mature(ts)
        key = str(ts).encode()
        messages = [Message(key, value) for value in part.messages()]
        context = self._context
        await context.sender.send(context.topics["examples"], 0, messages)
        context.metrics.matured.inc(len(part.matured))

    async def _publish_scores(self, sweep: Sweep, models: ModelSet) -> None:
        # Before the sweep is durable: scores are compacted, so a repeated sweep just repeats them.
        await self._context.publisher.publish(self.number, scores(self.core, sweep, models))

    def _count(self, sweep: Sweep) -> None:
        metrics = self._context.metrics
        metrics.scored.inc(len(sweep.slots))
        if sweep.silent:
            metrics.silent.labels(sweep.silent).inc()
        for status, count in sweep.alerts.items():
            metrics.alerts.labels("episode", status).inc(count)

    async def _announce(self) -> None:
        if self.core.swept is not None:
            place = Progress("swept", self.number, self.engine.ends.get("churn-alerts", 0), self.core.swept)
            await self._context.announce(place)

    def _measure(self) -> None:
        metrics, core, label = self._context.metrics, self.core, str(self.number)
        metrics.customers.labels(label).set(len(core.table))
        metrics.table_bytes.labels(label).set(core.table.rows.nbytes)
        metrics.forks.labels(label).set(core.table.fork_count)
        metrics.cohorts.labels(label).set(len(core.cohorts))
        if core.swept is not None:
            metrics.swept.labels(label).set(core.swept / 1000)
            metrics.watermark_delay.labels(label).set((self._context.now() - self._watermark()) / 1000)


