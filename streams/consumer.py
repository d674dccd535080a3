"""Faust's consumer, reading batches and committing the acknowledged prefix of what it delivered.

`HoleGuard` closes the hole through which stock Faust loses events around rebalances (docs/operations.md).
"""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from streams.batches import BrokenBatch
from streams.seeking import SeekingConsumer
from streams.standing import Standing
from streams.window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from aiokafka import ConsumerRecord


#: The largest answer to a fetch. A request is given up after 40 s: aiokafka's 50 MiB never get through a slow
#: wire, however often they are asked for.
FETCH_BYTES: Final = 8 << 20
#: While a partition has no room a poll waits no longer for the others: it may have room at any moment.
_CROWDED_SECONDS: Final = 0.05


class BulkMessage(ConsumerMessage):  # type: ignore[misc]
    """A batch of records of one topic partition; `offset` is the last one's."""

    __slots__ = ("after", "first_offset", "lane", "number", "weight")


class BulkThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The consumer's thread, with settings that stock Faust does not offer."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Read when the consumer starts, which is after this: Faust waits 1.5 s for a fetch, hard-coded,
        # uses its co-partitioning assignor only beside its own tables, and reads aborted transactions.
        consumer._fetch_max_wait_ms = self.app.fetch_wait_ms  # noqa: SLF001
        consumer._fetch_max_bytes = FETCH_BYTES  # noqa: SLF001
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        consumer._partition_assignment_strategy = (self.app.assignor,)  # noqa: SLF001
        return consumer

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        """As Faust's, of no more records than there is room for."""
        return await self.call_thread(
            self._fetch_records,
            self._ensure_consumer(),
            active_partitions,
            timeout=timeout,
            max_records=self.consumer.window.records(),
        )


class Unremembered(dict[TP, int | None]):
    """How far Faust believes to have read, which it looks up before it passes a batch on, and is not told.

    It drops what ends below that. But it notes a batch once there is room for it downstream, and if that
    takes until after a seek, what was sought for is dropped. What is read twice the guard sees.
    """

    def __getitem__(self, _: TP) -> None:
        """Nothing: what was read before decides nothing."""


class BulkConsumer(SeekingConsumer):
    """Delivers batches and commits the acknowledged prefix of what it delivered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._inflight: dict[TP, deque[BulkMessage]] = defaultdict(deque)
        #: Numbers of batches, and of the newest one of each partition since its place was sought.
        self._numbers = count()
        self._newest: dict[TP, int] = {}
        #: The offset behind the last record of each partition that was delivered since its place was sought.
        self._delivered: dict[TP, int] = {}
        #: Partitions of which somebody wants to know how far they were read, and how far they were.
        self._asked: set[TP] = set()
        self._passed: dict[TP, int] = {}
        #: Batches that cannot be unpacked and before which reading stands; those that are to be passed over.
        self.broken: dict[TP, BrokenBatch] = {}
        self._passing: dict[TP, BrokenBatch] = {}
        #: Where the batch began that was passed over last.
        self._skipped: dict[TP, int] = {}
        super().__init__(*args, **kwargs)
        self._read_offset = Unremembered()
        self.standing = Standing(self._thread)
        self.window = Window(self.app.in_flight_bytes)

    def _new_consumer_thread(self) -> BulkThread:
        return BulkThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, BulkMessage]]:  # noqa: ASYNC109
        """One message for each partition of a poll, once there is room for it."""
        await self._look()
        await self._pass_over()
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        # Before the fetch: what was fetched in an older generation may lie behind what this one has to read.
        generation = self.app.consumer_generation_id
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            self._drop(*records)
            await self._seek_while_stopped()
            return
        for tp, fetched in records.items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                self._drop(*records)
                return
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                self._drop(tp)
                continue
            admitted, again = self.guard.admit(tp, fetched)
            if again is not None:
                self.log.warning("read %s again from %s: records were fetched and dropped", tp, again)
                await self._read_again(tp, again)
            elif records_to_read := self._before_broken(tp, admitted):
                yield tp, self._message(tp, records_to_read, generation)

    def _before_broken(self, tp: TP, admitted: Sequence[Any]) -> Sequence[ConsumerRecord]:
        """The records before a batch that cannot be unpacked, if there is one: reading stands there then.

        This partition alone stops: the others are read on, and an operator may have it passed over.
        """
        if not admitted or not isinstance(admitted[-1], BrokenBatch):
            return admitted
        *records, batch = admitted
        self.guard.stop_at(tp, batch.offset)
        if self._skipped.get(tp) == batch.start:
            # The rest of one that was passed over, and whose end nothing told.
            self.broken[tp] = self._passing[tp] = batch
        elif self.broken.get(tp) != batch:
            self.broken[tp] = batch
            self.log.error(
                "the record batch at %s/%s/%s cannot be unpacked: %s. This partition stands still until "
                "`churnwatch skip %s %s %s`",
                *(tp.topic, tp.partition, batch.offset, batch.why, tp.topic, tp.partition, batch.offset),
            )
        return records

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        """Faust's poll of those partitions that are to be read now; the others stand still alone."""
        if active_partitions is None:
            active_partitions = self.assignment()
        crowded = {tp for tp in active_partitions if self.window.is_full(self.app.lane(tp))}
        wanted = active_partitions - crowded - self.broken.keys()
        if crowded:
            timeout = min(timeout, _CROWDED_SECONDS)
        if wanted:
            return await self._thread.getmany(wanted, timeout)
        await self.window.less(timeout)
        return {}

    def pass_over(self, tp: TP, batch: BrokenBatch) -> None:
        """Read on behind `batch`, from the next poll on, if reading still stands there."""
        if self.broken.get(tp) == batch:
            self._passing[tp] = batch

    async def _pass_over(self) -> None:
        passing, self._passing = self._passing, {}
        for tp, batch in passing.items():
            if self.broken.get(tp) == batch:
                del self.broken[tp]
                self._skipped[tp] = batch.start
                self.guard.expect({tp: batch.until})
                await self._read_again(tp, batch.until)

    def _drop(self, *tps: TP) -> None:
        """Records of these partitions were fetched and are not delivered: they are read again.

        By the next poll, since nothing may follow that would show the hole.
        """
        self.guard.arm(*tps)
        self._asked.update(tps)

    async def _seek_while_stopped(self) -> None:
        try:
            await self.perform_seek()
        except Exception as error:  # noqa: BLE001 - Faust's own rule here: the next assignment seeks anyway
            self.log.warning("could not seek while the flow was stopped: %r", error)

    def _message(self, tp: TP, records: Sequence[ConsumerRecord], generation: int) -> BulkMessage:
        first, last = records[0], records[-1]
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        message = BulkMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            records,
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )
        message.first_offset, message.lane = first.offset, self.app.lane(tp)
        message.after, message.number = self._newest.get(tp), next(self._numbers)
        self._newest[tp], self._delivered[tp] = message.number, last.offset + 1
        self._inflight[tp].append(message)
        self.window.add(message)
        return message

    def ack(self, message: BulkMessage) -> bool:
        """A batch is done with: only its offset is kept until the next commit."""
        self.window.remove(message)
        message.value = ()
        return bool(super().ack(message))

    def _new_offset(self, tp: TP) -> int | None:
        """What may be committed: the end of the acknowledged prefix."""
        waiting, offset = self._inflight[tp], None
        while waiting and waiting[0].acked:
            offset = waiting.popleft().offset + 1
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Batches know where they begin: gaps between them need no bookkeeping."""

    async def on_stop(self) -> None:
        """Commit what was acknowledged last."""
        # A commit under way began before that, and Faust would leave it at that one.
        await self.maybe_wait_for_commit_to_finish()
        await super().on_stop()

    async def places(self, tps: Collection[TP]) -> dict[TP, tuple[int, int]]:
        """As `Standing.places`, where having read the end of a log counts as being there.

        It may end with what is never delivered: markers of transactions, and what was aborted.
        """
        found = await self.standing.places(tps)
        return {
            tp: (end if place < end and self._has_read(tp, end) else place, end)
            for tp, (place, end) in found.items()
        }

    def _has_read(self, tp: TP, end: int) -> bool:
        """Whether all before `end` was read, and what of it was delivered is committed."""
        return not self._inflight[tp] and self._has_passed(tp, end)

    def at_end(self, tp: TP) -> bool:
        """Whether everything that the last answer of the broker knew of was handed out."""
        end, place = self.highwater(tp), self.guard.next.get(tp)
        if end is None or place is None:
            return False
        return place >= end or self._has_passed(tp, end)

    def has_delivered_beyond(self, tp: TP, offset: int) -> bool:
        """Whether a record behind `offset` was delivered since the place was sought, or comes yet.

        What is never delivered counts for nothing: markers of transactions, a batch that was passed over.
        """
        return not self.at_end(tp) or self._delivered.get(tp, 0) > offset + 1

    def has_unacknowledged(self, tp: TP) -> bool:
        """Whether anything that was delivered is not durable yet, or not even applied."""
        return any(not message.acked for message in self._inflight.get(tp, ()))

    def _has_passed(self, tp: TP, end: int) -> bool:
        """Whether what is left before `end` is never delivered; known from the next poll on."""
        if self._passed.get(tp, 0) >= end:
            return True
        self._asked.add(tp)
        return False

    async def _look(self) -> None:
        """Answer `_has_passed`, here where nothing that was fetched is on its way to us.

        Elsewhere a position says nothing: a batch that was dropped, or comes yet, may lie before it.
        """
        asked, self._asked = self._asked, set()
        for tp in asked & self.guard.next.keys():
            again = self.guard.doubt(tp)
            if again is None:
                self._passed[tp] = self.standing.position(tp) or 0
            else:
                await self._read_again(tp, again)

    async def _read_again(self, tp: TP, offset: int) -> None:
        """Go back to `offset`; a partition that the group has just taken from us is nothing to go back in.

        We hear of that once the group has dealt; the place is looked up anew if it is ours again.
        """
        try:
            await self._thread.seek_wait({tp: offset})
        except IllegalStateError as error:
            self.log.warning("%s is not read again from %s: %r", tp, offset, error)
            self.guard.arm(tp)

    def forget_all(self) -> None:
        """See `SeekingConsumer`."""
        # What lies before a batch that cannot be unpacked may have to be read again.
        self.broken.clear()
        self._passed.clear()
        self._skipped.clear()
        self._newest.clear()
        self._delivered.clear()
        self.forget({*self._inflight})

    def forget(self, tps: set[TP]) -> None:
        """See `SeekingConsumer`."""
        for tp in tps:
            self._passed.pop(tp, None)
            self._skipped.pop(tp, None)
            self.broken.pop(tp, None)
            self._delivered.pop(tp, None)
            for message in self._inflight.pop(tp, ()):
                self.window.remove(message)
