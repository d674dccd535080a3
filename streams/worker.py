"""A worker's partitions: who owns what after each rebalance, and where a batch goes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from faust.types.tuples import TP

from features.layout import TOPICS
from streams.customers import CustomerPartition
from streams.dispatching import DispatchPartition
from streams.engine import RevokedError
from streams.guard import Succession
from streams.logs import logger
from streams.queues import PartitionQueues
from streams.stopping import cancelled, together
from streams.training import Training
from streams.watermarks import Idleness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.context import Context
    from streams.partition import Partition

log = logger(__name__)

#: Topics whose partitions of one number must be owned together.
PER_USER: Final = (*TOPICS, "churn-alerts")


class AssignmentError(RuntimeError):
    """The assignment splits a customer's topics over workers; nothing can be right then."""


class Worker:
    """Owns partitions of both tables, and the trainer if `examples` is assigned here."""

    def __init__(self, context: Context, app: Any) -> None:
        self._context = context
        self._app = app
        self.customers: dict[int, CustomerPartition] = {}
        self.ledgers: dict[int, DispatchPartition] = {}
        self.training: Training | None = None
        self.error: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._starting: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._succession = Succession()
        self._observed = PartitionQueues(lambda event: self._give(self.customers, event), self.fail)
        self._dispatched = PartitionQueues(lambda event: self._give(self.ledgers, event), self.fail)
        self._learned = PartitionQueues(self._learn, self.fail)
        context.models.on_change(self.wake)
        context.sessions.on_change(self.wake)

    # -- batches

    def observe(self, event: Any) -> None:
        """One poll of an input topic."""
        self._observed.put(event)

    def dispatch(self, event: Any) -> None:
        """One poll of `churn-alerts`."""
        self._dispatched.put(event)

    def learn(self, event: Any) -> None:
        """One poll of `examples`."""
        self._learned.put(event)

    async def _learn(self, event: Any) -> None:
        while self.training is None and self._owns(event):
            await self._next_change()
        if self.training is not None:
            await self.training.take(event)

    async def _give(self, table: Mapping[int, Partition], event: Any) -> None:
        """Give a batch to its partition, waited for while it starts.

        A batch of an older generation comes again. It must not overtake what comes before it, so it is
        dropped even if its partition is here again. One of this generation does not, so it is not dropped
        with a partition that is begun anew.
        """
        while self._is_current(event):
            # Every revocation parks all partitions, so one that is owned here was assigned since.
            found = table.get(event.message.partition)
            if found is not None and found.owned:
                self._succession.require(event.message)
                if await found.take(event):
                    self._succession.arrived(event.message)
                    return
            if not self._owns(event):
                return
            await self._next_change()

    def _is_current(self, event: Any) -> bool:
        return bool(event.message.generation_id == self._app.consumer_generation_id)

    def _owns(self, event: Any) -> bool:
        return self._is_current(event) and event.message.tp in self._app.consumer.assignment()

    async def _next_change(self) -> None:
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), 1.0)
        except TimeoutError:
            return

    # -- ownership

    async def revoked(self, _: Iterable[TP]) -> None:
        """Everything may go: finish what is under way and hold still until the next assignment."""
        await self._abandon_start()
        await self._park()

    async def _park(self) -> None:
        # All of them, also those that are parked: that one may have been cut short.
        await asyncio.gather(*(partition.park() for partition in self.partitions()))

    async def _abandon_start(self) -> None:
        """End the taking over of partitions, else two of them could come to own one partition."""
        if self._starting is not None:
            await cancelled(self._starting)

    def assigned(self, tps: Iterable[TP]) -> None:
        """Take what was assigned; recovery runs beside, so that the group does not wait for it."""
        self._starting = asyncio.create_task(self._start(set(tps), self._starting))

    async def _start(self, tps: set[TP], before: asyncio.Task[None] | None) -> None:
        try:
            if before is not None:
                await cancelled(before)
            numbers = self._numbers(tps)
            self._context.metrics.assigned.set(len(numbers))
            # Again, lest the revocation was cut short: what is dropped must not have a task that runs on.
            await self._park()
            self._drop(numbers)
            # A trigger is answered as soon as it is read: version 0 must not speak for a model that is known.
            await self._context.models.loaded.wait()
            await self._context.sessions.loaded.wait()
            await together(
                # First, so that it learns what the others send while one of them recovers for long.
                self._own_training(TP(self._context.topics["examples"], 0) in tps),
                *(self._own(number) for number in sorted(numbers)),
            )
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - recovery failed: the worker must stop and say why
            self.fail(error)
            return
        generation = self._app.consumer_generation_id
        trainer = self.training is not None
        log.info("ready", partitions=sorted(numbers), trainer=trainer, generation=generation)

    def _numbers(self, tps: set[TP]) -> set[int]:
        owned = {
            name: {tp.partition for tp in tps if tp.topic == self._context.topics[name]} for name in PER_USER
        }
        numbers = set.union(*owned.values())
        if split := [name for name, found in owned.items() if found != numbers]:
            raise AssignmentError(
                f"the partitions of {', '.join(split)} were assigned apart from the others: was a topic "
                "deleted (`churnwatch topics check`)? All workers of a group need the same version and topics"
            )
        return numbers

    def _drop(self, kept: set[int]) -> None:
        for table in (self.customers, self.ledgers):
            for number in set(table) - kept:
                del table[number]
                self._context.metrics.forget(number)

    async def _own(self, number: int) -> None:
        await self._own_one(self.customers, number, self._new_customers)
        await self._own_one(self.ledgers, number, self._new_ledger)
        self._changed.set()

    async def _own_one(self, table: Any, number: int, make: Any) -> None:
        parked: Partition | None = table.get(number)
        if parked is not None and await self._context.patience.outlast("recovery", parked.resume):
            return
        partition = make(number)
        partition.failed.add_done_callback(self._on_failure)
        table[number] = partition
        self._changed.set()
        await self._context.patience.outlast("recovery", partition.start)

    def _new_customers(self, number: int) -> CustomerPartition:
        after = self._context.settings.worker.idle_after_seconds
        idleness = Idleness(after, lambda topic: self._has_read(topic, number))
        return CustomerPartition(
            number,
            self._context,
            idleness,
            self._forget,
            lambda topic, offset: self._has_applied(topic, number, offset),
        )

    def _new_ledger(self, number: int) -> DispatchPartition:
        return DispatchPartition(number, self._context, lambda: self.customers[number])

    async def _forget(self, number: int, customers: list[tuple[str, int]]) -> None:
        while (ledger := self.ledgers.get(number)) is None:
            if not self.customers[number].owned:
                raise RevokedError(f"partition {number} went before its customers were forgotten")
            await self._next_change()
        await ledger.erase(customers)

    async def _own_training(self, ours: bool) -> None:
        if not ours:
            self.training = None
        elif self.training is None:
            self.training = await self._context.patience.outlast("recovery", self._new_training)
        self._changed.set()

    async def _new_training(self) -> Training:
        # In a thread, because it loads River: seconds in which nobody else of this worker may have to wait.
        training = await asyncio.to_thread(Training, self._context)
        await training.start()
        return training

    def _at_end(self, topic: str, number: int) -> bool:
        return bool(self._app.consumer.at_end(TP(self._context.topics[topic], number)))

    def _has_read(self, topic: str, number: int) -> bool:
        """Whether all of a topic was handed out, and nothing of it waits behind something else."""
        tp = TP(self._context.topics[topic], number)
        return self._at_end(topic, number) and not self._app.consumer.has_unacknowledged(tp)

    def _has_applied(self, topic: str, number: int, offset: int) -> bool:
        """Whether nothing of a topic lies behind `offset`, not even what was handed out already."""
        tp = TP(self._context.topics[topic], number)
        return not self._app.consumer.has_delivered_beyond(tp, offset)

    # -- the whole

    def partitions(self) -> list[Partition]:
        """All partitions of both tables."""
        return [*self.customers.values(), *self.ledgers.values()]

    @property
    def models_loaded(self) -> bool:
        """Whether every model version there was at the start has been read."""
        return self._context.models.loaded.is_set()

    @property
    def waiting(self) -> list[str]:
        """What waits for a broker that is away."""
        return self._context.patience.waiting

    def wake(self) -> None:
        """Let every partition look again at what is due."""
        for partition in self.customers.values():
            if partition.ready.is_set():
                partition.wake()
        for ledger in self.ledgers.values():
            if ledger.ready.is_set() and ledger.retry_due is not None:
                ledger.wake()

    async def heartbeat(self, seconds: float = 1.0) -> None:
        """Let time pass where no events come; runs until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            self.wake()

    def measure(self) -> None:
        """Bring up to date what is only worth computing when somebody looks."""
        consumer = self._app.consumer
        self._context.metrics.holes.set(consumer.guard.mended)
        self._context.metrics.in_flight.set(consumer.window.used)
        self._context.metrics.broken_batch.clear()
        for tp, batch in consumer.broken.items():
            label = self._context.topics.logical(tp.topic)
            self._context.metrics.broken_batch.labels(label, str(tp.partition)).set(batch.offset)
        if self.training is not None:
            self.training.measure()
        else:
            self._context.metrics.trainer_waiting.clear()

    async def close(self) -> None:
        """Leave gracefully: everything that is in memory becomes durable."""
        await self._abandon_start()
        await asyncio.gather(*(q.close() for q in (self._observed, self._dispatched, self._learned)))
        await asyncio.gather(*(p.close() for p in self.customers.values()))
        await asyncio.gather(*(p.close() for p in self.ledgers.values()))

    def fail(self, error: BaseException) -> None:
        """Stop the worker with this error."""
        if not self.error.done():
            self.error.set_exception(error)

    def _on_failure(self, failed: asyncio.Future[None]) -> None:
        if not failed.cancelled() and (error := failed.exception()) is not None:
            self.fail(error)
