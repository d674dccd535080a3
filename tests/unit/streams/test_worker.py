"""Who owns what after each rebalance, where a batch goes, and what stops the worker."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from faust.types.tuples import TP

from features.hashing import partition_of
from features.layout import TOPICS
from models.alerts import Alert
from streams.batches import BrokenBatch
from streams.customers import CustomerPartition
from streams.engine import Engine
from streams.flood import TooManyDeadLettersError
from streams.guard import HoleGuard, LostBatchError
from streams.recovery import RecoveryError
from streams.window import Window
from streams.worker import PER_USER, AssignmentError, Worker
from tests.building import constant_models, day, event, record
from tests.fakes import Batched, FakeBroker, metric
from tests.shell import context_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Customers of the two partitions.
ADA, BOB = (
    next(f"u{n}" for n in range(100) if partition_of(f"u{n}".encode(), 2) == number) for number in (0, 1)
)


class App:
    """What the worker asks of Faust."""

    def __init__(self) -> None:
        self.consumer = self
        self.consumer_generation_id = 1
        self.guard = HoleGuard()
        self.window = Window(1)
        self.broken: dict[TP, BrokenBatch] = {}
        self.assigned: set[TP] = set()
        self.ended: set[TP] = set()
        self.delivered: dict[TP, int] = {}
        #: Partitions of which a batch was delivered that is not acknowledged.
        self.waiting: set[TP] = set()

    def at_end(self, tp: TP) -> bool:
        return tp in self.ended

    def has_delivered_beyond(self, tp: TP, offset: int) -> bool:
        return not self.at_end(tp) or offset + 1 < self.delivered.get(tp, 0)

    def assignment(self) -> set[TP]:
        return self.assigned

    def has_unacknowledged(self, tp: TP) -> bool:
        return tp in self.waiting


class Group:
    """A worker in a group whose rebalances a test makes."""

    def __init__(self, broker: FakeBroker, folder: Path) -> None:
        self.broker, self.app = broker, App()
        self.context = context_of(
            broker,
            folder,
            constant_models(0.95),
            kafka={"partitions": 2, "group": "g"},
        )
        self.worker = Worker(self.context, self.app)
        self._offset = 0

    def hand_out(self, topic: str, end: int) -> None:
        """All of a topic of partition 0, up to its end."""
        self.app.delivered[TP(topic, 0)] = end
        self.app.ended.add(TP(topic, 0))

    def assign(self, *numbers: int, trainer: bool = False, topics: Iterable[str] = PER_USER) -> None:
        self.app.consumer_generation_id += 1
        self.app.assigned = {TP(topic, number) for topic in topics for number in numbers}
        if trainer:
            self.app.assigned.add(TP("examples", 0))
        self.worker.assigned(self.app.assigned)

    async def rebalance(self, *numbers: int, **how: Any) -> None:
        await self.worker.revoked(self.app.assigned)
        self.assign(*numbers, **how)
        await self.ready()

    async def ready(self) -> None:
        assert self.worker._starting is not None
        await asyncio.wait_for(self.worker._starting, 2)

    def batch(self, topic: str, *payloads: dict[str, Any]) -> Batched:
        user = payloads[0].get("user_id", ADA)
        records = []
        for payload in payloads:
            records.append(record(self._offset, payload))
            self._offset += 1
        number = partition_of(user.encode(), 2)
        self.broker.logs[topic, number].end = self._offset
        batch = Batched(topic, records, number, self.app.consumer_generation_id)
        batch.tp = TP(topic, number)
        return batch

    async def acked(self, *batches: Batched) -> None:
        async with asyncio.timeout(2):
            while not all(batch.acked for batch in batches):
                if self.worker.error.done():
                    await self.worker.error
                await asyncio.sleep(0.001)

    async def taken(self) -> None:
        """Every batch is where it will be applied, or was dropped."""
        queues = (self.worker._observed, self.worker._dispatched, self.worker._learned)
        async with asyncio.timeout(2):
            while any(queue._emptying for queue in queues):  # noqa: ASYNC110 - it has no event for tests
                await asyncio.sleep(0.001)

    def users(self, number: int) -> set[str]:
        return set(self.worker.customers[number].core.table.index)


@pytest.fixture
async def group(broker: FakeBroker, tmp_path: Path):
    group = Group(broker, tmp_path)
    yield group
    broker.down, broker.trouble = False, lambda _: None
    await asyncio.gather(*(partition.give_up() for partition in group.worker.partitions()))


def buys(user: str, when: float = 0.5) -> dict[str, Any]:
    return event("purchase", user, day(when))


async def test_an_assignment_makes_both_tables_of_every_partition_ready(group: Group):
    group.assign(0, 1)
    await group.ready()

    assert set(group.worker.customers) == set(group.worker.ledgers) == {0, 1}
    assert all(partition.ready.is_set() for partition in group.worker.partitions())
    assert group.worker.training is None
    assert metric(group.context.metrics.registry, "assigned_partitions") == 2


async def test_the_worker_of_the_examples_trains(group: Group):
    group.assign(0, trainer=True)
    await group.ready()
    assert group.worker.training is not None

    await group.rebalance(0)
    assert group.worker.training is None


async def test_a_batch_goes_to_its_partition(group: Group):
    group.assign(0, 1)
    await group.ready()
    batches = [group.batch("orders", buys(ADA)), group.batch("orders", buys(BOB))]

    for batch in batches:
        group.worker.observe(batch)
    await group.acked(*batches)

    assert (group.users(0), group.users(1)) == ({ADA}, {BOB})


async def test_alerts_go_to_the_ledger(group: Group):
    group.assign(0, 1)
    await group.ready()
    group.hand_out("customers", 0)
    group.hand_out("outcomes", 0)
    group.worker.observe(group.batch("orders", buys(ADA)))
    review = group.batch("reviews", event("review", ADA, day(0.9), rating=1.0))
    group.worker.observe(review)
    await group.acked(review)

    (value,) = group.broker.values("churn-alerts", 0)
    assert msgspec.json.decode(value, type=Alert).user_id == ADA
    batch = Batched("churn-alerts", group.broker.logs["churn-alerts", 0].records, 0, 2)
    batch.tp = TP("churn-alerts", 0)
    group.worker.dispatch(batch)
    await group.acked(batch)
    assert len(group.broker.values("decisions", 0)) == 1


async def test_a_batch_waits_for_a_partition_that_is_still_to_come(group: Group):
    group.app.assigned = {TP("orders", 0)}
    batch = group.batch("orders", buys(ADA))
    group.worker.observe(batch)
    await asyncio.sleep(0)

    group.worker.assigned({TP(topic, 0) for topic in PER_USER})
    await group.taken()
    await group.acked(batch)

    assert group.users(0) == {ADA}


async def test_a_partition_that_recovers_holds_up_no_other(group: Group, monkeypatch: pytest.MonkeyPatch):
    """Neither the batches of others, nor their alerts, nor the trainer; its own come in their order."""
    recovered, recover = asyncio.Event(), Engine.recover

    async def hanging(engine: Engine) -> None:
        if (engine.table, engine.partition) == ("customers", 0):
            await recovered.wait()
        await recover(engine)

    monkeypatch.setattr(Engine, "recover", hanging)
    group.context.models.loaded.set()
    group.assign(0, 1, trainer=True)
    waiting = [group.batch("orders", buys(ADA, when)) for when in (0.1, 0.2, 0.3)]
    others = [group.batch("orders", buys(BOB, when)) for when in (0.1, 0.2)]

    for batch in (waiting[0], others[0], waiting[1], others[1], waiting[2]):
        group.worker.observe(batch)
    await group.acked(*others)
    alerts = Batched("churn-alerts", [], 1, group.app.consumer_generation_id)
    alerts.value, alerts.tp = [record(0, {})], TP("churn-alerts", 1)
    group.worker.dispatch(alerts)
    await group.acked(alerts)

    assert group.worker.training is not None
    assert [batch.acked for batch in waiting] == [0, 0, 0]
    recovered.set()
    await group.acked(*waiting)
    assert group.worker.customers[0].core.clocks["orders"].offset == waiting[-1].value[-1].offset


async def test_a_batch_of_a_partition_that_went_is_dropped(group: Group):
    group.assign(0, 1)
    await group.ready()
    batch = group.batch("orders", buys(BOB))
    await group.rebalance(0)

    group.worker.observe(batch)
    await group.taken()

    assert batch.acked == 0
    assert set(group.worker.customers) == {0}


async def test_a_batch_of_an_older_generation_never_overtakes_what_comes_again_before_it(
    group: Group, broker: FakeBroker
):
    """Its partition was recovered: what it skips over would look as if it had been seen."""
    group.assign(0)
    await group.ready()
    batch = group.batch("orders", buys(ADA))
    await group.worker.revoked(group.app.assigned)
    broker.logs["g-customers-changelog", 0].append(b"x", b"")  # so that it has to be recovered
    group.worker.observe(batch)
    await asyncio.sleep(0)

    group.assign(0)
    await group.ready()
    await group.taken()

    assert group.users(0) == set()
    assert batch.acked == 0


async def test_an_agent_that_waits_for_a_recovery_is_not_stuck_when_a_rebalance_ends_it(
    group: Group, broker: FakeBroker
):
    group.context.models.loaded.set()
    group.assign(0)
    hanging = asyncio.Event()

    async def hang() -> None:
        await hanging.wait()

    await asyncio.sleep(0)
    await asyncio.sleep(0)
    group.worker.customers[0].settled = hang
    group.worker.observe(group.batch("orders", buys(ADA)))
    await asyncio.sleep(0)

    await group.rebalance(0)

    await group.taken()
    batch = group.batch("orders", buys(ADA))
    group.worker.observe(batch)
    await group.acked(batch)
    assert group.users(0) == {ADA}


async def test_a_ledger_that_waits_for_its_customers_does_not_hold_up_a_rebalance(group: Group):
    group.assign(0)
    await group.ready()
    customers, ledger = group.worker.customers[0], group.worker.ledgers[0]
    customers.ready.clear()
    customers._decided.clear()
    batch = Batched("churn-alerts", [record(0, {})], 0, 2)
    await ledger.take(batch)
    await asyncio.sleep(0.01)

    await asyncio.wait_for(group.worker.revoked(group.app.assigned), 1)

    assert batch.acked == 0
    assert ledger.ledger.offset == -1


async def test_a_partition_that_stays_keeps_its_state(group: Group):
    group.assign(0, 1)
    await group.ready()
    kept = group.worker.customers[0]

    await group.rebalance(0)

    assert group.worker.customers[0] is kept
    assert kept.owned


async def test_a_partition_that_went_and_came_back_is_recovered(group: Group):
    group.assign(0)
    await group.ready()
    batch = group.batch("orders", buys(ADA))
    group.worker.observe(batch)
    await group.acked(batch)
    before = group.worker.customers[0]

    await group.rebalance(1)
    await group.rebalance(0)

    assert group.worker.customers[0] is not before
    assert group.users(0) == {ADA}


async def test_what_is_measured_of_a_partition_goes_with_it(group: Group):
    group.assign(0, 1)
    await group.ready()
    batch = group.batch("orders", buys(BOB))
    group.worker.observe(batch)
    await group.acked(batch)
    registry = group.context.metrics.registry
    assert registry.get_sample_value("churnwatch_customers", {"partition": "1"}) is not None

    await group.rebalance(0)

    assert registry.get_sample_value("churnwatch_customers", {"partition": "1"}) is None


async def test_an_assignment_that_splits_a_customer_s_topics_stops_the_worker(group: Group):
    group.assign(0, topics=TOPICS)
    await group.ready()

    with pytest.raises(AssignmentError, match="churn-alerts were assigned apart"):
        await group.worker.error


async def test_a_recovery_that_fails_stops_the_worker(group: Group, broker: FakeBroker):
    broker.logs["g-ledger-changelog", 0].end = 5
    broker.logs["g-ledger-changelog", 0].cut(5)
    group.assign(0)
    await group.ready()

    with pytest.raises(RecoveryError, match="g-ledger-changelog/0 begins at offset 5"):
        await group.worker.error


async def test_an_error_over_a_batch_stops_the_worker_instead_of_losing_the_batch(group: Group):
    group.assign(0)
    await group.ready()
    batch = group.batch("orders", *[{"type": "purchase"}] * 20)

    group.worker.observe(batch)

    with pytest.raises(TooManyDeadLettersError):
        await asyncio.wait_for(group.worker.error, 1)
    assert batch.acked == 0


async def test_a_batch_that_was_lost_on_its_way_stops_the_worker_before_the_next_one_hides_it(group: Group):
    group.assign(0)
    await group.ready()
    first, lost, behind = (group.batch("orders", buys(ADA, day)) for day in (0.1, 0.2, 0.3))
    first.number, lost.number, behind.number = 7, 8, 9
    lost.after, behind.after = 7, 8
    group.worker.observe(first)
    await group.acked(first)

    further = group.batch("orders", buys(ADA, 0.4))
    further.number, further.after = 10, None
    group.worker.observe(behind)
    group.worker.observe(further)

    with pytest.raises(LostBatchError, match="orders/0"):
        await asyncio.wait_for(group.worker.error, 1)
    await asyncio.sleep(0.01)
    assert (behind.acked, further.acked) == (0, 0)


async def test_what_comes_after_a_seek_follows_nothing(group: Group):
    group.assign(0)
    await group.ready()
    first, again = (group.batch("orders", buys(ADA, day)) for day in (0.1, 0.2))
    first.number, again.number, again.after = 7, 9, None
    group.worker.observe(first)

    group.worker.observe(again)

    await group.acked(first, again)


async def test_a_partition_that_cannot_heal_stops_the_worker(group: Group):
    group.assign(0)
    await group.ready()

    group.worker.customers[0].failed.set_exception(OSError("no space left"))

    with pytest.raises(OSError, match="no space left"):
        await asyncio.wait_for(group.worker.error, 1)


async def test_an_erasure_reaches_the_ledger_even_if_that_is_still_to_come(group: Group):
    group.assign(0)
    await group.ready()
    ledger = group.worker.ledgers.pop(0)
    erasure = group.batch("customers", event("erasure", ADA, day(0.6)))
    group.worker.observe(erasure)
    await asyncio.sleep(0.01)
    assert erasure.acked == 0

    group.worker.ledgers[0] = ledger
    group.worker._changed.set()
    await group.acked(erasure)

    rows = [(r.key, r.value) for r in group.broker.logs["g-ledger-changelog", 0].records]
    assert (b"u" + ADA.encode(), None) in rows


async def test_a_graceful_stop_makes_everything_durable(group: Group):
    group.assign(0, 1)
    await group.ready()
    batch = group.batch("orders", buys(ADA))
    partition = group.worker.customers[0]
    partition.apply([batch])
    partition.engine.accept(batch)

    await group.worker.close()

    assert batch.acked == 1
    state = group.context.engine.state_dir
    assert (state / "customers-0.checkpoint").exists()
    assert (state / "ledger-1.checkpoint").exists()


async def test_a_topic_is_at_its_end_when_all_of_its_log_was_handed_out(group: Group):
    assert not group.worker._at_end("orders", 0)

    group.app.ended.add(TP("orders", 0))

    assert group.worker._at_end("orders", 0)
    assert not group.worker._at_end("orders", 1)


async def test_a_topic_of_which_a_batch_waits_behind_something_else_is_not_silent(group: Group):
    """A decision time that was taken without it would be told nothing of it."""
    group.assign(0)
    await group.ready()
    group.hand_out("orders", 5)
    idleness = group.worker.customers[0]._idleness
    idleness._after = 0.0

    group.app.waiting = {TP("orders", 0)}
    assert not idleness.idle("orders")
    group.app.waiting = set()
    assert idleness.idle("orders")


async def test_what_was_handed_out_is_not_applied_yet(group: Group):
    assert not group.worker._has_applied("orders", 0, 4)

    group.hand_out("orders", 5)

    assert group.worker._has_applied("orders", 0, 4)
    assert not group.worker._has_applied("orders", 0, 3)


async def test_holes_and_what_is_under_way_are_measured_when_somebody_looks(group: Group):
    group.app.guard.mended = 3
    group.app.window.used = 4

    group.worker.measure()

    assert metric(group.context.metrics.registry, "holes_mended") == 3
    assert metric(group.context.metrics.registry, "in_flight_bytes") == 4


async def test_where_a_partition_stands_before_a_broken_batch_is_measured_until_it_goes_on(group: Group):
    group.app.broken = {TP("orders", 1): BrokenBatch(17, 20, "", b"")}
    group.worker.measure()
    assert measured(group) == 17

    group.app.broken = {}
    group.worker.measure()
    assert measured(group) is None


def measured(group: Group) -> float | None:
    labels = {"topic": "orders", "partition": "1"}
    return group.context.metrics.registry.get_sample_value("churnwatch_unreadable_batch_offset", labels)


async def test_who_takes_over_is_gone_before_partitions_are_parked_although_a_cancellation_was_swallowed(
    group: Group,
):
    """As by aiokafka's consumer when it is closed: two would then write the changelog of one partition."""

    async def swallowing(partition: CustomerPartition) -> None:
        with suppress(asyncio.CancelledError if partition.number == 0 else OSError):
            await asyncio.sleep(60)
        await asyncio.sleep(0.05)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CustomerPartition, "settled", swallowing)
        group.assign(0, 1)
        await asyncio.sleep(0.01)
        await group.worker.revoked(group.app.assigned)

    await asyncio.sleep(0.1)
    assert group.worker._starting.done()
    assert {partition._task for partition in group.worker.partitions()} == {None}
    group.assign(0)
    await group.ready()
    assert sum("Partition-0" in task.get_name() for task in asyncio.all_tasks()) == 2


@pytest.mark.parametrize("numbers", [(0, 1), (1,)], ids=["it comes back", "it goes"])
async def test_a_revocation_that_was_cut_short_leaves_no_task_behind(group: Group, numbers: tuple[int, ...]):
    """Of a partition that another worker owns by now, or beside a new one."""
    group.assign(0, 1)
    await group.ready()
    entered, let_go = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        entered.set()
        await let_go.wait()

    partition = group.worker.customers[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "round", slow)
        partition.wake()
        await entered.wait()
        revoking = asyncio.create_task(group.worker.revoked(group.app.assigned))
        await asyncio.sleep(0.01)
        revoking.cancel()
        await asyncio.wait([revoking])
        group.assign(*numbers)
        await asyncio.sleep(0.01)

        assert not group.worker._starting.done(), "the round under way is waited for"
        let_go.set()
        await group.ready()

    assert sum("CustomerPartition-0" in task.get_name() for task in asyncio.all_tasks()) == (0 in numbers)
    if 0 in numbers:
        batch = group.batch("orders", buys(ADA))
        group.worker.observe(batch)
        await group.acked(batch)


async def test_a_batch_outlives_a_partition_that_is_begun_anew_in_its_generation(group: Group):
    """Nothing would read it again, and what comes behind it would look as if it had been counted."""
    group.context.models.loaded.set()
    group.assign(0)
    hanging = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CustomerPartition, "settled", lambda _: hanging.wait())
        await asyncio.sleep(0.01)
        batch = group.batch("orders", buys(ADA))
        group.worker.observe(batch)
        await asyncio.sleep(0.01)
        await group.worker._abandon_start()
        await group.worker._park()

    group.worker.assigned(group.app.assigned)

    await group.acked(batch)
    await group.taken()
    assert group.users(0) == {ADA}
