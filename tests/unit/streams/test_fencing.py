"""Two workers that both believe to own a partition: the log decides, and what was acknowledged stays.

      log │ a p │ b p │ z p │ c p │
written by  Z     N     Z     N        N recovered behind Z's first write, which then slept;
void                    x     x        Z wakes up late, N notices, reads again and writes c anew
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.observing import Record
from streams import readers, recovery
from streams.checkpoint import Identity
from streams.engine import Engine, EngineConfig, ForeignWriteError
from streams.fencing import is_void, known_to_writer
from streams.outputs import Publisher
from streams.sending import Sender
from streams.telemetry import Metrics
from streams.topics import Topics
from tests.fakes import Batched, FakeBroker, Notebook, metric

TOPICS = Topics(group="g", partitions=2)
CHANGELOG = TOPICS["customers-changelog"]


class Writer:
    """A worker's engine around a notebook of its own."""

    def __init__(self, broker: FakeBroker, folder: Path) -> None:
        self.state, self.metrics = Notebook(), Metrics()
        sender = Sender(broker, 1)
        self.engine = Engine(
            "customers",
            CHANGELOG,
            1,
            self.state,
            sender=sender,
            publisher=Publisher(sender, TOPICS, self.metrics),
            metrics=self.metrics,
            config=EngineConfig(folder, 2, {}, 1e9, 1 << 30),
            still_ours=lambda: True,
        )

    @classmethod
    async def owning(cls, broker: FakeBroker, folder: Path) -> Writer:
        writer = cls(broker, folder)
        await writer.engine.recover()
        return writer

    async def write(self, key: str) -> Batched:
        """Apply and flush one event; its acknowledgement tells whether that succeeded."""
        event = Batched("orders", [])
        self.state.add(key, 1)
        self.engine.accept(event)
        await self.engine.flush()
        return event


async def stored(broker: FakeBroker, folder: Path) -> set[str]:
    """Keys that whoever comes next finds."""
    state = Notebook()
    await recovery.recover(state, Identity(CHANGELOG, 1, 2), folder / "none", {})
    return set(state.numbers)


async def test_what_a_zombie_writes_is_void_and_the_owner_writes_over_it(broker: FakeBroker, tmp_path: Path):
    zombie = await Writer.owning(broker, tmp_path)
    await zombie.write("a")
    owner = await Writer.owning(broker, tmp_path)
    await owner.write("b")

    with pytest.raises(ForeignWriteError):
        await zombie.write("b")
    with pytest.raises(ForeignWriteError):
        await owner.write("c")

    assert await stored(broker, tmp_path) == {"a", "b"}
    healed = await Writer.owning(broker, tmp_path)
    assert metric(healed.metrics.registry, "void_rows_total", table="customers") == 4
    await healed.write("d")
    last = {record.key: record.value for record in broker.logs[CHANGELOG, 1].records}
    assert last[b"b"] == b"1", "compaction must not leave the zombie's row alone"
    assert last[b"c"] is None, "nobody confirmed it, and it will come again"
    assert await stored(broker, tmp_path) == {"a", "b", "d"}


async def test_the_last_word_of_a_worker_that_goes_counts_if_nobody_wrote_since(
    broker: FakeBroker, tmp_path: Path
):
    going = await Writer.owning(broker, tmp_path)
    coming = await Writer.owning(broker, tmp_path)
    await going.write("a")

    with pytest.raises(ForeignWriteError):
        await coming.write("b")

    assert await stored(broker, tmp_path) == {"a"}


async def test_a_foreign_batch_between_two_of_one_write_is_noticed(tmp_path: Path, broker: FakeBroker):
    broker._batch_records = 2
    owner = await Writer.owning(broker, tmp_path)
    for key in ("a", "b", "c"):
        owner.state.add(key, 1)
    places = iter([0, 1])

    def intrude(_: str) -> None:
        if next(places, None) == 1:
            broker.logs[CHANGELOG, 1].append(b"z", b"9")

    broker.meanwhile = intrude
    with pytest.raises(ForeignWriteError, match="1 rows of another's"):
        await owner.engine.flush()

    assert await stored(broker, tmp_path) == {"a", "b", "z"}, "the second half of the write is void"


@given(steps=st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
async def test_nothing_acknowledged_is_lost_however_three_workers_take_turns(steps: list[tuple[int, bool]]):
    """Each step: one of three writes, perhaps after reading the log anew; all believe to be the owner."""
    broker, folder = FakeBroker(), Path("no checkpoints here")
    acknowledged = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "AIOKafkaConsumer", broker.consumer)
        writers = [await Writer.owning(broker, folder) for _ in range(3)]
        for number, (who, anew) in enumerate(steps):
            if anew:
                writers[who] = await Writer.owning(broker, folder)
            try:
                await writers[who].write(f"e{number}")
            except ForeignWriteError:
                writers[who] = await Writer.owning(broker, folder)
            else:
                acknowledged.add(f"e{number}")
        found = await stored(broker, folder)

    assert found == acknowledged


@pytest.mark.parametrize("name", ["at", "as_of_row"])
def test_a_header_that_is_null_says_nothing_of_the_writer(name: str):
    record = Record(7, b"k", b"v", 0, [(name, None)])

    assert not is_void(record)
    assert known_to_writer(record) == 0
