"""An in-memory stand-in for a broker: logs, a producer and a consumer as aiokafka has them.

It keeps what matters to the shell: offsets, order, refusals, answers that get lost, and foreign writers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.errors import KafkaConnectionError, RecordListTooLargeError

from features.rowcodec import RowError
from streams.batches import BrokenBatch
from streams.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from aiokafka import TopicPartition
    from prometheus_client import CollectorRegistry


class Stored(NamedTuple):
    """A record on a log."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 1


@dataclass
class Log:
    """One topic partition; `end` may lie behind the last record, `start` before it was cut off."""

    records: list[Stored] = field(default_factory=list)
    start: int = 0
    end: int = 0

    def append(self, key: bytes | None, value: bytes | None, headers: Any = ()) -> int:
        self.records.append(Stored(self.end, key, value, tuple(headers)))
        self.end += 1
        return self.end - 1

    def spoil(self, records: int = 1) -> None:
        """A batch of so many records that cannot be unpacked."""
        batch = BrokenBatch(self.end, self.end + records, "its checksum is another", b"")
        self.records.append(batch)  # type: ignore[arg-type]
        self.end += records

    def cut(self, start: int) -> None:
        """Drop what lies before `start`, as retention does."""
        self.start = start
        self.records = [record for record in self.records if record.offset >= start]


class Batch:
    """What aiokafka's `create_batch` gives; holds `size` records."""

    def __init__(self, size: int) -> None:
        self.messages: list[tuple[bytes | None, bytes | None, Any]] = []
        self._size = size

    def append(self, *, timestamp: None, key: bytes | None, value: bytes | None, headers: Any) -> Any:
        if len(self.messages) == self._size:
            return None
        self.messages.append((key, value, headers))
        return object()


class FakeBroker:
    """Logs by (topic, partition). `trouble` decides about each batch: None, "refuse" or "lose the answer"."""

    def __init__(self, batch_records: int = 100) -> None:
        self.logs: defaultdict[tuple[str, int], Log] = defaultdict(Log)
        self.trouble: Callable[[str], str | None] = lambda _: None
        #: Called before a batch is written: what happens elsewhere while a write is under way.
        self.meanwhile: Callable[[str], Any] = lambda _: None
        self.down = False
        #: Topics that were deleted.
        self.gone: set[str] = set()
        self.sent: list[str] = []
        self._batch_records = batch_records

    def values(self, topic: str, partition: int = 0) -> list[bytes | None]:
        return [record.value for record in self.logs[topic, partition].records]

    # -- producer

    def create_batch(self) -> Batch:
        return Batch(self._batch_records)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        trouble = self.trouble(topic)
        if trouble == "refuse":
            answer.set_exception(RecordListTooLargeError(topic))
            return answer
        self.meanwhile(topic)
        await asyncio.sleep(0)
        offsets = [self.logs[topic, partition].append(*message) for message in batch.messages]
        self.sent.append(topic)
        if trouble is None:
            answer.set_result(Stored(offsets[0], None, None))
        return answer

    # -- consumer

    def consumer(self, **_: Any) -> FakeConsumer:
        return FakeConsumer(self)


class FakeConsumer:
    """A consumer without a group."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self._positions: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        if self._broker.down:
            raise KafkaConnectionError("no broker")

    async def stop(self) -> None: ...

    async def topics(self) -> set[str]:
        return {tp.topic for tp in self._positions} - self._broker.gone

    def assign(self, tps: Sequence[TopicPartition]) -> None:
        self._positions = dict.fromkeys(tps, 0)

    def assignment(self) -> set[TopicPartition]:
        return set(self._positions)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    async def beginning_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self._broker.logs[tp].start for tp in tps}

    async def end_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self._broker.logs[tp].end for tp in tps}

    def highwater(self, tp: TopicPartition) -> int:
        return self._broker.logs[tp].end

    async def getmany(self, *tps: TopicPartition, **_: Any) -> dict[TopicPartition, list[Stored]]:
        await asyncio.sleep(0)
        found = {}
        for tp in tps or self._positions:
            log = self._broker.logs[tp]
            if records := [r for r in log.records if r.offset >= self._positions[tp]][:3]:
                if (place := next((i for i, r in enumerate(records) if isinstance(r, BrokenBatch)), -1)) >= 0:
                    # Nothing follows it, and reading stands before it.
                    found[tp], self._positions[tp] = records[: place + 1], records[place].offset
                    continue
                found[tp] = records
                last = records[-1].offset + 1
                # Behind the last record there may be nothing but what compaction took.
                self._positions[tp] = log.end if records[-1] is log.records[-1] else last
            elif self._positions[tp] < log.end:
                self._positions[tp] = log.end
        if not found:
            await asyncio.sleep(0.001)  # a fetch waits for records
        return found


class Batched:
    """A Faust event: a poll of records, and whether it was acknowledged."""

    def __init__(self, topic: str, records: Sequence[Any], partition: int = 0, generation: int = 1) -> None:
        self.value = records
        self.message = self
        self.topic = topic
        self.partition = partition
        self.tp = (topic, partition)
        self.generation_id = generation
        self.number, self.after = 0, None
        self.acked = 0

    def ack(self) -> None:
        self.acked += 1


def metric(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """The value of a metric; 0 before it was touched."""
    return registry.get_sample_value(f"churnwatch_{name}", labels) or 0.0


class Notebook:
    """The smallest state: a number by key. Every change is also something to publish, once it is durable.

    Rows are `key → number`, the partition row `p → sequence of the last publication known`. A key that is
    not UTF-8 cannot be read back, and no value is a tombstone.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.pending: list[tuple[str, int]] = []
        self.finished = False
        self._dirty: set[str] = set()
        self._gone: set[bytes] = set()
        self._taken: list[tuple[str, int]] = []
        self._confirmed: list[tuple[str, int]] = []

    def add(self, key: str, number: int) -> None:
        self.numbers[key] = self.numbers.get(key, 0) + number
        self._dirty.add(key)
        self.pending.append((key, self.numbers[key]))

    def take(self) -> list[tuple[bytes, bytes | None]]:
        if not self._dirty | self._gone:
            return []
        rows: list[tuple[bytes, bytes | None]] = [
            *((key, None) for key in sorted(self._gone)),
            *((key.encode(), str(self.numbers[key]).encode()) for key in sorted(self._dirty)),
        ]
        self._dirty, self._gone = set(), set()
        self._taken, self.pending = [*self._taken, *self.pending], []
        return [*rows, (b"p", str(len(self.numbers)).encode())]

    def confirm(self) -> None:
        self._confirmed, self._taken = [*self._confirmed, *self._taken], []

    def outputs(self) -> list[Output]:
        return [
            Output("churn-alerts", key.encode(), b'{"ts":%d,"key":"%s"}' % (number, key.encode()))
            for key, number in self._confirmed
        ]

    def published(self) -> None:
        self._confirmed = []

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> list[tuple[bytes, str]]:
        broken = []
        for key, value in rows:
            if key == b"p":
                if value == b"newer":
                    raise RowError("the partition row is newer")
                continue
            try:
                name = key.decode()
                if value is None:
                    self.numbers.pop(name, None)
                else:
                    self.numbers[name] = int(value)
            except ValueError as error:
                broken.append((key, str(error)))
        return broken

    def finish(self) -> None:
        self.finished = True

    def rewrite(self, keys: AbstractSet[bytes]) -> None:
        self._dirty |= {key.decode() for key in keys if key.decode() in self.numbers}
        self._gone |= {key for key in keys if key.decode() not in self.numbers} - {b"p"}

    def everything(self) -> Iterator[tuple[bytes, bytes | None]]:
        yield from ((key.encode(), str(number).encode()) for key, number in sorted(self.numbers.items()))
        yield b"p", str(len(self.numbers)).encode()
