"""Training: parts in from `examples`, model versions out to `models`. One trainer in the whole group.

The trainer keeps its own place: a signed local checkpoint says up to which offset of `examples` it has
learned. Without one (a new host) it learns again from the beginning of `examples`, to the same weights.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import TopicPartition

from features.layout import DAY_MS
from features.rejection import Rejected, Undecodable
from models.closings import days_in
from models.drift import LOSS
from models.episodes import TIERS
from models.parts import read_part_chunk
from models.scorers import NonFiniteError
from models.signing import open_signed, sign
from models.trainer import Trainer
from models.versions import records
from models.wire import WireError
from streams import checkpoint
from streams.logs import logger
from streams.readers import BrokenBatchError, bounds, read_until, reader
from streams.recovery import RecoveryError
from streams.sending import signed_message

if TYPE_CHECKING:
    from pathlib import Path

    from streams.context import Context

log = logger(__name__)

#: Longest stretch of learning before other work of the worker gets its turn.
_BREATHE_SECONDS: Final = 0.005


class _Kept(msgspec.Struct):
    offset: int
    trainer: bytes


class Training:
    """The trainer of the group, on the worker that owns the one partition of `examples`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._path: Path = context.engine.state_dir / "trainer.checkpoint"
        self._key = _signing_key(context)
        self.trainer = Trainer(context.settings.trainer())
        self._next = 0
        self._published: int | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Go on from the checkpoint, or learn from the beginning; publishes what is missing on `models`."""
        await self._context.models.loaded.wait()
        self._published = self._context.models.learned
        self._restore()
        if self.trainer.as_of is not None and self.trainer.as_of > self._published:
            await self._publish()  # the topic was emptied, or what stands on it is refused
        known = self.trainer.as_of
        await self._catch_up()
        if self.trainer.as_of != known:
            self._checkpoint()  # learned again, perhaps, and published before
        self._ready.set()

    async def take(self, event: Any) -> None:
        """Learn from one poll of `examples`. Acknowledged at once: the trainer keeps its own place."""
        await self._ready.wait()
        if event.value[0].offset > self._next:
            # `examples` was another worker's for a while, which has learned, published and committed.
            self._published = max(self._published or 0, self._context.models.learned)
            await self._catch_up()
        await self._read(event.value)
        event.ack()

    async def _read(self, found: Any) -> None:
        for record in found:
            if record.offset < self._next:
                continue
            try:
                self.trainer.receive(read_part_chunk(record.value or b""), record.offset)
            except WireError as error:
                await self._refuse(record, Rejected("bad_example", str(error)))
            except Exception as error:  # noqa: BLE001 - a lost example is better than no learning for anybody
                await self._refuse(record, Undecodable(error))
            self._next = record.offset + 1
            while (ts := self.trainer.ready()) is not None:
                if (offset := self.trainer.read_again()) is None:
                    await self._learn(ts)
                else:
                    await self._read_again(offset)

    async def _read_again(self, offset: int) -> None:
        """Read what the trainer has not kept of parts that waited for long."""
        tp = TopicPartition(self._context.topics["examples"], 0)
        async with reader(self._context.engine.client_options, tp) as consumer:
            first, _ = await bounds(consumer, tp)
            if offset < first:
                log.warning("examples were deleted before they were learned", missing=first - offset)
            consumer.seek(tp, max(offset, first))
            # What cannot be read was told when it was met first.
            async for found in read_until(consumer, tp, self._next, leave_out=lambda _: None):
                for record in found:
                    with suppress(Exception):
                        if not self.trainer.fill(read_part_chunk(record.value or b"")):
                            return

    def _leave_out(self, error: BrokenBatchError) -> None:
        # The parts that it held are missing now; what waits for them an operator may let go on.
        log.error("a batch of examples is left out", why=str(error))
        self._context.metrics.broken_rows.labels("examples").inc()

    async def _refuse(self, record: Any, why: Rejected) -> None:
        log.warning("an example cannot be learned from", offset=record.offset, why=why.detail)
        self._context.metrics.broken_rows.labels("examples").inc()
        await self._context.dead_letters.send("examples", 0, [(record, why)])

    async def _learn(self, ts: int) -> None:
        started = breath = time.perf_counter()
        before, left_out = self.trainer.labels, self.trainer.outlook.left_out
        for _ in self.trainer.learn(ts):
            if time.perf_counter() - breath > _BREATHE_SECONDS:
                await asyncio.sleep(0)
                breath = time.perf_counter()
        metrics = self._context.metrics
        metrics.labels.inc(self.trainer.labels - before)
        metrics.left_out.inc(self.trainer.outlook.left_out - left_out)
        metrics.learn_seconds.observe(time.perf_counter() - started)
        if self._published is None or ts > self._published:
            self._tell()
            await self._publish()
            self._checkpoint()

    def _tell(self) -> None:
        """Say what drifted; of a decision time that was published before, it was said then."""
        for drift in self.trainer.watches.news:
            self._context.metrics.drifts.labels(drift.measure).inc()
            days = self.trainer.config.forgets_days if drift.what == LOSS else 0
            log.warning(
                "the loss of forecasts rose" if drift.what == LOSS else "an input is not what it was",
                what=drift.what,
                measure=drift.measure,
                strength=drift.strength,
                size=drift.level,
                at=drift.at,
                since=drift.since,
                forgets_days=days,
            )

    async def _publish(self) -> None:
        try:
            models = self.trainer.models()
        except NonFiniteError as error:
            log.warning("a version with non-finite weights was not published", why=str(error))
            self._context.metrics.refused_versions.inc()
            return
        context, topic = self._context, self._context.topics["models"]
        outdated = context.models.outdated(models.number, context.settings.model.keep_versions)
        found = [*records(models, self.trainer.portable_states()), *((key, None) for key in outdated)]
        messages = [signed_message(key, value, context.settings.secret) for key, value in found]
        # What was learned is not learned again, so its version must not be lost.
        await context.patience.outlast("models", lambda: context.sender.send(topic, 0, messages))
        self._published = models.as_of
        if models.promoted is not None and models.promoted.as_of == models.as_of:
            context.metrics.promotions.inc()
            log.info("a contender was promoted", **msgspec.structs.asdict(models.promoted))

    def measure(self) -> None:
        """Bring the progressive metrics up to date; adds up what matured since the last look."""
        metrics = self._context.metrics
        self._measure_waiting()
        for record, kept in (("all", self.trainer.record), ("evaluated", self.trainer.record_from)):
            for name, counts in kept.all().items():
                if counts.labels:
                    metrics.auc.labels(name, record).set(counts.auc)
                    metrics.log_loss.labels(name, record).set(counts.log_loss)
                    metrics.brier.labels(name, record).set(counts.brier)
                    metrics.pr_auc.labels(name, record).set(counts.pr_auc)
                    metrics.ece.labels(name, record).set(counts.ece())
                    metrics.base_log_loss.labels(record).set(counts.base_rate_log_loss)
        warned = self.trainer.hindsight.warned
        for tier in TIERS:
            if found := warned.calibration(tier):
                metrics.calibration_gap.labels(tier).set(found.gap)
        for name, weight in self.trainer.pool.weights.items():
            metrics.pool_weight.labels(name).set(weight)
        for name in self.trainer.learners:
            metrics.cold.labels(name).set(name in self.trainer.cold)
        self._measure_shop()
        for feature, index in self.trainer.stability.items():
            metrics.input_stability.labels(feature).set(index)

    def _measure_shop(self) -> None:
        metrics = self._context.metrics
        guard = self.trainer.outlook.guard
        for kind, share in (("crossing", guard.crossed), ("orders", guard.bought)):
            if share is not None:
                metrics.step.labels(kind).set(share)
        as_of = (self.trainer.as_of or 0) // DAY_MS
        metrics.closed_days.set(days_in(self.trainer.outlook.closed, 0, as_of))

    def _measure_waiting(self) -> None:
        waits_for = self.trainer.waits_for()
        for partition in range(self._context.settings.kafka.partitions):
            self._context.metrics.trainer_waiting.labels(str(partition)).set(waits_for.get(partition, 0))

    # -- the trainer's own place

    def _checkpoint(self) -> None:
        kept = _Kept(self.trainer.resume_offset(self._next), self.trainer.snapshot())
        checkpoint.replace(self._path, sign(msgspec.msgpack.encode(kept), self._key))

    def _restore(self) -> None:
        if not self._path.exists():
            return
        try:
            kept = msgspec.msgpack.decode(open_signed(self._path.read_bytes(), self._key), type=_Kept)
            self.trainer.restore(kept.trainer)
        except Exception as error:  # noqa: BLE001 - a pickle of other library versions may raise anything
            log.warning("the trainer's checkpoint is not used; learning again from examples", why=str(error))
            self.trainer = Trainer(self._context.settings.trainer())
            return
        self._next = kept.offset

    async def _catch_up(self) -> None:
        """Read what lies between our place and the end of `examples`."""
        tp = TopicPartition(self._context.topics["examples"], 0)
        async with reader(self._context.engine.client_options, tp) as consumer:
            first, end = await bounds(consumer, tp)
            if self._next > end:
                raise RecoveryError(
                    f"the trainer has learned up to offset {self._next} of {tp.topic}, which ends at {end}: "
                    "the topic was recreated. Delete the state directory to learn anew"
                )
            if self._next < first:
                self._bridge(first)
            consumer.seek(tp, max(self._next, first))
            async for found in read_until(consumer, tp, end, leave_out=self._leave_out):
                await self._read(found)

    def _bridge(self, first: int) -> None:
        """Go on although `examples` begins at offset `first`, behind our place."""
        newest = self._context.models.newest
        if self.trainer.as_of is not None or newest is None:
            log.warning("examples were deleted before they were learned", missing=first - self._next)
            return
        models, states = newest
        try:
            self.trainer.go_on_from(models, states)
        except ValueError as error:
            log.warning("the newest version cannot be gone on from", number=models.number, why=str(error))
            self.trainer = Trainer(self._context.settings.trainer())
            return
        log.warning(
            "examples were deleted; going on from the newest version",
            number=models.number,
            cold=sorted(self.trainer.cold),
        )


def _signing_key(context: Context) -> bytes:
    """The key that signs pickles on our own disk; without one in the environment, one made for this disk."""
    if secret := context.settings.secret:
        return secret
    path = context.engine.state_dir / "signing.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(os.urandom(32))
    return path.read_bytes()
