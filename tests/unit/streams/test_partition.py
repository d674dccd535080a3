"""The life of a partition: it heals, is parked and comes back, and never keeps anybody waiting for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError

from streams import partition as module
from streams.engine import Engine, EngineConfig
from streams.outputs import Publisher
from streams.partition import Partition
from streams.sending import Sender, SendError
from streams.telemetry import Metrics
from streams.topics import Topics
from tests.fakes import Batched, FakeBroker, Notebook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TOPICS = Topics(group="g", partitions=2)
CHANGELOG, ALERTS = TOPICS["customers-changelog"], TOPICS["churn-alerts"]


class Counting(Partition):
    """A partition whose batches are lists of keys to count."""

    def __init__(self, broker: FakeBroker, folder: Any) -> None:
        super().__init__(1)
        self.state = Notebook()
        self.made = 0
        self._sender = Sender(broker, 0.02)
        self._folder = folder

    def make_engine(self) -> Engine:
        self.state = Notebook()
        self.made += 1
        metrics = Metrics()
        return Engine(
            "customers",
            CHANGELOG,
            1,
            self.state,
            sender=self._sender,
            publisher=Publisher(self._sender, TOPICS, metrics),
            metrics=metrics,
            config=EngineConfig(self._folder, 2, {}, 1e9, 1 << 30),
            still_ours=lambda: self.owned,
        )

    def apply(self, events: Sequence[Any]) -> None:
        for event in events:
            for key in event.value:
                self.state.add(key, 1)

    async def flush(self) -> None:
        await self.engine.flush()

    async def round(self) -> None:
        await self.flush()

    async def settled(self) -> None: ...


@pytest.fixture
def broker(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch):
    """A broker whose failures are tried again at once."""
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", (0.0, 0.001, 0.001))
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.001)
    return broker


@pytest.fixture
async def partition(broker: FakeBroker, tmp_path: Path):
    partition = Counting(broker, tmp_path)
    yield partition
    broker.down, broker.trouble = False, lambda _: None
    await partition.give_up()


async def until(condition: Any, seconds: float = 1.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions of many kinds
            await asyncio.sleep(0.001)


def batch(*keys: str) -> Batched:
    return Batched("orders", keys)


def failing(times: int, topic: str = CHANGELOG, how: str = "refuse") -> Any:
    """Trouble with the next `times` writes to `topic`."""
    left = [times]

    def trouble(name: str) -> str | None:
        if name != topic or not left[0]:
            return None
        left[0] -= 1
        return how

    return trouble


async def test_a_batch_is_applied_made_durable_and_acknowledged(partition: Counting, broker: FakeBroker):
    await partition.start()
    event = batch("a", "a")

    await partition.take(event)
    await until(lambda: event.acked)

    assert broker.values(CHANGELOG, 1) == [b"2", b"1"]


async def test_batches_that_come_during_a_write_gather_for_the_next_round(
    partition: Counting, broker: FakeBroker
):
    await partition.start()
    events = [batch("a"), batch("a", "b"), batch("b")]
    applied = []
    apply = partition.apply
    partition.apply = lambda batches: (applied.append(len(batches)), apply(batches))  # type: ignore[method-assign]

    await partition.take(events[0])
    await until(lambda: applied)
    for event in events[1:]:
        await partition.take(event)
    await until(lambda: all(event.acked for event in events))

    assert applied == [1, 2]
    assert partition.state.numbers == {"a": 2, "b": 2}


async def test_a_batch_waits_for_the_recovery(partition: Counting, broker: FakeBroker):
    broker.logs[CHANGELOG, 1].append(b"a", b"5")
    event = batch("a")
    taking = asyncio.create_task(partition.take(event))
    await asyncio.sleep(0)

    await partition.start()
    await taking
    await until(lambda: event.acked)

    assert partition.state.numbers == {"a": 6}


@pytest.mark.parametrize("topic", [CHANGELOG, ALERTS])
@pytest.mark.parametrize("how", ["refuse", "lose the answer"])
async def test_after_a_failed_write_the_state_is_rebuilt_and_the_batches_are_applied_again(
    partition: Counting, broker: FakeBroker, topic: str, how: str
):
    await partition.start()
    broker.trouble = failing(1, topic, how)
    first, second = batch("a"), batch("b")

    await partition.take(first)
    await until(lambda: partition.made == 2)
    await partition.take(second)
    await until(lambda: first.acked and second.acked)

    # A write whose answer got lost is on the changelog; a real state skips the batch by its stamp.
    doubled = (topic, how) != (CHANGELOG, "refuse")
    assert partition.state.numbers == {"a": 1 + doubled, "b": 1}
    assert not partition.failed.done()


async def test_a_foreign_write_makes_it_read_the_changelog_again(partition: Counting, broker: FakeBroker):
    await partition.start()
    broker.logs[CHANGELOG, 1].append(b"theirs", b"7")
    event = batch("a")

    await partition.take(event)
    await until(lambda: event.acked)

    assert partition.made == 2
    assert partition.state.numbers["theirs"] == 7


async def test_a_broker_that_is_away_is_waited_for_however_long_it_takes(
    partition: Counting, broker: FakeBroker
):
    await partition.start()
    broker.trouble = failing(1)
    broker.down = True
    event = batch("a")
    await partition.take(event)
    await until(lambda: partition.made == 3 * len(module._BACKOFF_SECONDS))
    assert event.acked == 0
    assert not partition.ready.is_set()

    broker.down = False
    await until(lambda: event.acked)

    assert partition.state.numbers == {"a": 1}


async def test_a_topic_that_is_gone_stops_the_worker_with_what_to_do(partition: Counting, broker: FakeBroker):
    await partition.start()
    broker.trouble = failing(1)
    broker.gone.add(CHANGELOG)

    await partition.take(batch("a"))

    with pytest.raises(UnknownTopicOrPartitionError, match="topics check"):
        await asyncio.wait_for(partition.failed, 1)


async def test_a_graceful_stop_does_not_wait_for_a_broker_that_is_away(
    partition: Counting, broker: FakeBroker
):
    await partition.start()
    closing: list[asyncio.Task[None]] = []

    def lose_and_close(name: str) -> str | None:
        broker.down = True
        closing.append(asyncio.create_task(partition.close()))
        return "lose the answer"

    broker.trouble = lose_and_close

    await partition.take(batch("a"))
    await until(lambda: closing)

    await asyncio.wait_for(closing[0], 1)
    assert partition.made == 1


async def test_writes_that_are_refused_for_ever_stop_the_worker_although_every_recovery_succeeds(
    partition: Counting, broker: FakeBroker
):
    await partition.start()
    broker.trouble = lambda name: "refuse" if name == CHANGELOG else None

    await partition.take(batch("a"))

    with pytest.raises(SendError, match="not confirmed"):
        await asyncio.wait_for(partition.failed, 1)
    assert partition.made == 4


async def test_failures_are_forgotten_after_a_round_that_succeeds(partition: Counting, broker: FakeBroker):
    await partition.start()
    for _ in range(6):
        broker.trouble = failing(2)
        event = batch("a")
        await partition.take(event)
        await until(lambda event=event: event.acked)

    assert partition.state.numbers == {"a": 6}


async def test_an_error_nobody_foresaw_is_told_to_the_worker(partition: Counting):
    await partition.start()

    async def broken() -> None:
        raise ZeroDivisionError

    partition.round = broken
    partition.wake()

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(partition.failed, 1)


async def test_a_parked_partition_takes_nothing_and_gives_its_batches_up(
    partition: Counting, broker: FakeBroker
):
    await partition.start()
    broker.trouble = lambda _: "refuse"
    event = batch("a")
    partition.apply([event])
    partition.engine.accept(event)

    await partition.park()
    await partition.take(batch("b"))

    assert partition.engine.release() == []
    assert "b" not in partition.state.numbers
    assert event.acked == 0


async def test_a_parked_partition_comes_back_with_its_state(partition: Counting, broker: FakeBroker):
    await partition.start()
    event = batch("a")
    partition.apply([event])
    partition.engine.accept(event)
    await partition.park()

    assert await partition.resume()
    await until(lambda: broker.values(CHANGELOG, 1))

    assert partition.made == 1
    assert broker.values(CHANGELOG, 1) == [b"1", b"1"], "what was applied before is durable now"


async def test_a_parking_that_was_cut_short_is_finished_by_the_next_one(
    partition: Counting, broker: FakeBroker
):
    entered, let_go = asyncio.Event(), asyncio.Event()
    flush = partition.flush

    async def slow() -> None:
        entered.set()
        await let_go.wait()
        await flush()

    partition.round = slow
    await partition.start()
    await entered.wait()
    parking = asyncio.create_task(partition.park())
    await asyncio.sleep(0)
    parking.cancel()
    parking = asyncio.create_task(partition.park())
    await asyncio.sleep(0.01)

    assert not parking.done(), "the round under way is waited for"
    let_go.set()
    await parking
    assert await partition.resume()
    event = batch("a")
    await partition.take(event)
    await until(lambda: event.acked)
    assert broker.values(CHANGELOG, 1) == [b"1", b"1"]


async def test_it_does_not_come_back_when_somebody_else_wrote(partition: Counting, broker: FakeBroker):
    await partition.start()
    await partition.park()
    broker.logs[CHANGELOG, 1].append(b"theirs", b"7")

    assert not await partition.resume()


async def test_it_does_not_come_back_when_rows_of_its_state_were_refused_as_it_was_parked(
    partition: Counting, broker: FakeBroker
):
    """Its rows were taken for the write: memory holds them, nothing will ever write them."""
    await partition.start()
    parking: list[asyncio.Task[None]] = []

    def refuse(name: str) -> str | None:
        if name != CHANGELOG:
            return None
        parking.append(asyncio.create_task(partition.park()))
        return "refuse"

    broker.trouble = refuse
    partition.owned = True
    await partition.take(batch("a"))
    await until(lambda: parking)
    partition.owned = False
    await parking[0]

    assert not await partition.resume()
    assert not partition.failed.done()


async def test_whoever_waits_for_a_recovery_is_let_go_when_the_partition_is_revoked(partition: Counting):
    """Otherwise the agent would wait for ever for a partition object that nobody uses any more."""
    partition.settled = asyncio.Event().wait  # a recovery that takes long
    starting = asyncio.create_task(partition.start())
    event = batch("a")
    taking = asyncio.create_task(partition.take(event))
    await until(lambda: partition.made)
    starting.cancel()

    await partition.park()

    assert await asyncio.wait_for(taking, 1) is False, "whoever handed it out has to know"
    assert event.acked == 0
    assert not await partition.resume()


async def test_parking_does_not_wait_for_a_recovery_and_a_revoked_recovery_is_no_failure(
    partition: Counting, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_BACKOFF_SECONDS", (60.0,))
    await partition.start()
    broker.trouble = failing(1)
    await partition.take(batch("a"))
    await until(lambda: not partition.ready.is_set())

    await asyncio.wait_for(partition.park(), 1)

    assert not partition.failed.done()


async def test_a_graceful_stop_writes_a_last_time_and_leaves_a_checkpoint(
    partition: Counting, broker: FakeBroker, tmp_path: Path
):
    await partition.start()
    event = batch("a")
    partition.apply([event])
    partition.engine.accept(event)

    await partition.close()

    assert event.acked == 1
    assert (tmp_path / "customers-1.checkpoint").exists()
    assert not partition.owned


async def test_a_graceful_stop_without_a_broker_leaves_what_is_not_durable_to_the_next_owner(
    partition: Counting, broker: FakeBroker, tmp_path: Path
):
    await partition.start()
    broker.trouble = lambda _: "refuse"
    event = batch("a")
    partition.apply([event])
    partition.engine.accept(event)

    await partition.close()

    assert event.acked == 0
    assert not (tmp_path / "customers-1.checkpoint").exists()


async def test_a_recovery_that_fails_at_the_start_is_told_at_once(partition: Counting, broker: FakeBroker):
    broker.down = True

    with pytest.raises(KafkaConnectionError):
        await partition.start()


async def test_a_revocation_during_the_last_round_does_not_call_the_stop_off(
    partition: Counting, monkeypatch: pytest.MonkeyPatch
):
    entered, let_go = asyncio.Event(), asyncio.Event()

    async def long_round() -> None:
        entered.set()
        await let_go.wait()

    await partition.start()
    monkeypatch.setattr(partition, "round", long_round)
    partition.wake()
    await entered.wait()

    ends = asyncio.gather(partition.close(), partition.park())
    await asyncio.sleep(0)
    let_go.set()

    await asyncio.wait_for(ends, 1)
