"""Durability: write → confirm → publish → mark → acknowledge, and nothing of it too early."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from streams import checkpoint
from streams.checkpoint import Identity
from streams.engine import Engine, EngineConfig, ForeignWriteError, RevokedError
from streams.outputs import Publisher
from streams.sending import Sender, SendError
from streams.telemetry import Metrics
from streams.topics import Topics
from tests.fakes import Batched, FakeBroker, Notebook, metric

if TYPE_CHECKING:
    from pathlib import Path

TOPICS = Topics(group="g", partitions=2)
CHANGELOG, ALERTS = TOPICS["customers-changelog"], TOPICS["churn-alerts"]


class Bench:
    """An engine around a notebook, with its broker."""

    def __init__(self, broker: FakeBroker, folder: Any, **limits: float) -> None:
        self.broker, self.metrics, self.state, self.owned = broker, Metrics(), Notebook(), True
        sender = Sender(broker, 0.05)
        defaults: dict[str, Any] = {"checkpoint_seconds": 1e9, "checkpoint_bytes": 1 << 30}
        self.path = folder / "customers-1.checkpoint"
        self.engine = Engine(
            "customers",
            CHANGELOG,
            1,
            self.state,
            sender=sender,
            publisher=Publisher(sender, TOPICS, self.metrics),
            metrics=self.metrics,
            config=EngineConfig(folder, 2, {}, **defaults | limits),
            still_ours=lambda: self.owned,
        )

    def apply(self, key: str, number: int) -> Batched:
        event = Batched("orders", [])
        self.state.add(key, number)
        self.engine.accept(event)
        return event

    @property
    def changelog(self) -> list[tuple[bytes | None, bytes | None]]:
        return [(record.key, record.value) for record in self.broker.logs[CHANGELOG, 1].records]

    @property
    def alerts(self) -> list[bytes | None]:
        return self.broker.values(ALERTS, 1)

    def checkpoint(self) -> checkpoint.Checkpoint | None:
        return checkpoint.read(self.path, Identity(CHANGELOG, 1, 2))


@pytest.fixture
async def bench(broker: FakeBroker, tmp_path: Path):
    bench = Bench(broker, tmp_path)
    await bench.engine.recover()
    return bench


async def test_rows_are_written_before_outputs_and_outputs_before_the_acknowledgement(bench: Bench):
    event = bench.apply("a", 1)
    seen = []

    def look(topic: str) -> None:
        seen.append((topic, len(bench.changelog), event.acked))

    bench.broker.meanwhile = look
    await bench.engine.flush()

    assert seen == [(CHANGELOG, 0, 0), (ALERTS, 2, 0)]
    assert event.acked == 1
    assert bench.changelog == [(b"a", b"1"), (b"p", b"1")]
    assert bench.alerts == [b'{"ts":1,"key":"a"}']
    assert bench.engine.ends == {"churn-alerts": 1}


async def test_a_round_without_changes_writes_nothing_and_still_acknowledges(bench: Bench):
    event = Batched("orders", [])
    bench.engine.accept(event)

    await bench.engine.flush()

    assert (bench.changelog, event.acked) == ([], 1)


async def test_what_comes_while_a_write_is_under_way_waits_for_the_next_one(bench: Bench):
    first = bench.apply("a", 1)
    later = []

    def apply(topic: str) -> None:
        if topic == CHANGELOG and not later:
            later.append(bench.apply("b", 2))

    bench.broker.meanwhile = apply
    await bench.engine.flush()
    assert (first.acked, later[0].acked) == (1, 0)
    assert bench.alerts == [b'{"ts":1,"key":"a"}'], "nothing is published that is not durable"

    await bench.engine.flush()
    assert (first.acked, later[0].acked) == (1, 1)
    assert len(bench.alerts) == 2


@pytest.mark.parametrize("topic", [CHANGELOG, ALERTS])
@pytest.mark.parametrize("trouble", ["refuse", "lose the answer"])
async def test_a_round_that_fails_acknowledges_nothing(bench: Bench, topic: str, trouble: str):
    event = bench.apply("a", 1)
    bench.broker.trouble = lambda name: trouble if name == topic else None

    with pytest.raises(SendError):
        await bench.engine.flush()

    assert event.acked == 0
    assert bench.engine.release() == [event]
    assert bench.engine.release() == []


async def test_a_foreign_write_is_noticed_before_anything_is_published(bench: Bench):
    event = bench.apply("a", 1)
    bench.broker.logs[CHANGELOG, 1].append(b"z", b"9")

    with pytest.raises(ForeignWriteError, match="expected to write at 0, wrote at 1"):
        await bench.engine.flush()

    assert (event.acked, bench.alerts) == (0, [])
    assert metric(bench.metrics.registry, "foreign_writes_total", table="customers") == 1
    assert not await bench.engine.unchanged()


async def test_our_own_writes_are_no_foreign_ones(bench: Bench):
    for number in range(3):
        bench.apply("a", number)
        await bench.engine.flush()

    assert await bench.engine.unchanged()
    assert metric(bench.metrics.registry, "changelog_rows_total", table="customers") == 6


async def test_a_partition_that_is_not_ours_any_more_is_not_written_to_and_its_state_stays_good(bench: Bench):
    event = bench.apply("a", 1)
    bench.owned = False

    with pytest.raises(RevokedError, match="customers/1"):
        await bench.engine.flush()
    assert (bench.changelog, event.acked) == ([], 0)

    bench.owned = True
    await bench.engine.flush()
    assert bench.changelog == [(b"a", b"1"), (b"p", b"1")]


async def test_a_recovery_publishes_again_what_was_not_known_to_be_published(bench: Bench):
    bench.apply("a", 1)
    bench.state.take()
    bench.state.confirm()  # as `restore` and `finish` of a real state do

    await bench.engine.recover()

    assert bench.alerts == [b'{"ts":1,"key":"a"}']
    assert bench.state.outputs() == []


async def test_a_checkpoint_holds_the_state_at_its_write_and_nothing_later(
    broker: FakeBroker, tmp_path: Path
):
    bench = Bench(broker, tmp_path, checkpoint_bytes=1)
    await bench.engine.recover()
    bench.apply("a", 1)
    later = []

    def apply(topic: str) -> None:
        if topic == CHANGELOG and not later:
            later.append(bench.apply("a", 10))

    bench.broker.meanwhile = apply
    await bench.engine.flush()

    found = bench.checkpoint()
    assert found is not None
    assert (found.offset, found.rows) == (2, [(b"a", b"1"), (b"p", b"1")])


async def test_a_checkpoint_is_written_once_enough_bytes_were_written_since_the_last(
    broker: FakeBroker, tmp_path: Path
):
    bench = Bench(broker, tmp_path, checkpoint_bytes=10)
    await bench.engine.recover()

    sizes = []
    for _ in range(5):
        bench.apply("a", 1)
        await bench.engine.flush()  # 4 bytes
        found = bench.checkpoint()
        sizes.append(None if found is None else found.offset)

    assert sizes == [None, None, 6, 6, 6]


async def test_a_large_checkpoint_is_written_again_when_as_much_was_written_since(
    broker: FakeBroker, tmp_path: Path
):
    bench = Bench(broker, tmp_path, checkpoint_bytes=1, checkpoint_ratio=1.0)
    await bench.engine.recover()
    bench.apply("a", 1)
    await bench.engine.flush()
    size = bench.path.stat().st_size

    found, since = bench.checkpoint(), 0
    while found is not None and found.offset == 2:
        assert since <= size
        bench.apply("a", 1)
        await bench.engine.flush()
        since = sum(len(key or b"") + len(value or b"") for key, value in bench.changelog[2:])
        found = bench.checkpoint()

    assert since > size


async def test_a_tail_that_was_just_read_counts_as_written_since_the_last_checkpoint(
    broker: FakeBroker, tmp_path: Path
):
    """The embedded broker keeps so little of a log that two half-full tails would be one too many."""
    for number in range(5):
        broker.logs[CHANGELOG, 1].append(b"a", str(number).encode())
    bench = Bench(broker, tmp_path, checkpoint_bytes=10)
    await bench.engine.recover()

    bench.apply("a", 1)
    await bench.engine.flush()

    assert bench.checkpoint() is not None


async def test_a_checkpoint_is_written_when_the_last_one_is_old(broker: FakeBroker, tmp_path: Path):
    bench = Bench(broker, tmp_path, checkpoint_seconds=-1)
    await bench.engine.recover()
    bench.apply("a", 1)

    await bench.engine.flush()

    assert bench.checkpoint() is not None
    assert metric(bench.metrics.registry, "checkpoint_bytes", table="customers", partition="1") > 12


async def test_a_failed_write_leaves_no_checkpoint(broker: FakeBroker, tmp_path: Path):
    bench = Bench(broker, tmp_path, checkpoint_bytes=1)
    await bench.engine.recover()
    bench.apply("a", 1)
    broker.trouble = lambda _: "refuse"

    with pytest.raises(SendError):
        await bench.engine.flush()

    assert bench.checkpoint() is None


async def test_a_last_checkpoint_is_written_only_if_nothing_waits(bench: Bench):
    bench.apply("a", 1)
    bench.engine.checkpoint_now()
    assert bench.checkpoint() is None

    await bench.engine.flush()
    bench.engine.checkpoint_now()
    found = bench.checkpoint()
    assert found is not None
    assert found.offset == 2


async def test_a_new_engine_goes_on_from_checkpoint_and_tail(broker: FakeBroker, tmp_path: Path):
    first = Bench(broker, tmp_path, checkpoint_bytes=5)
    await first.engine.recover()
    for key in "abc":
        first.apply(key, 1)
        await first.engine.flush()

    second = Bench(broker, tmp_path)
    await second.engine.recover()

    assert second.state.numbers == Counter("abc")
    rows = {
        source: metric(second.metrics.registry, "recovery_rows_total", table="customers", source=source)
        for source in ("checkpoint", "changelog")
    }
    assert rows == {"checkpoint": 3, "changelog": 2}
    second.apply("d", 1)
    await second.engine.flush()


async def test_stored_rows_that_cannot_be_read_are_counted(broker: FakeBroker, tmp_path: Path):
    broker.logs[CHANGELOG, 1].append(b"\xff", b"1")
    bench = Bench(broker, tmp_path)

    await bench.engine.recover()

    assert metric(bench.metrics.registry, "broken_rows_total", table="customers") == 1
