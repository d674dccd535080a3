"""What somebody with a producer, a consumer and an admin client can do to a deployment."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import numpy as np
from aiokafka import TopicPartition

from features.hashing import partition_of
from features.layout import DAY_MS
from features.returns import ReturnHistogram
from models.cohorts import Cohort
from models.parts import Matured, Part
from models.versions import COLUMNS
from streams.readers import bounds, read_until, reader
from streams.sending import Message, Sender, new_producer
from tests.broker.shop import purchase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.storage import Row
    from streams.settings import Settings
    from tests.broker.cluster import Cluster, WorkerProcess
    from tests.broker.leftovers import Outputs

#: Nothing takes this long unless it hangs.
SECONDS = 120.0


async def put(settings: Settings, topic: str, partition: int, messages: Sequence[Message | Row]) -> None:
    """Write to a partition of a logical topic, whoever else writes there."""
    async with new_producer(settings.kafka.client_options()) as producer:
        full = settings.kafka.topics()[topic]
        await Sender(producer, SECONDS).send(full, partition, [Message(*each) for each in messages])


async def rows(settings: Settings, topic: str, partition: int) -> list[Row]:
    """Keys and values of a partition of a logical topic, in log order."""
    tp = TopicPartition(settings.kafka.topics()[topic], partition)
    found: list[Row] = []
    async with reader(settings.kafka.client_options(), tp) as consumer:
        first, end = await bounds(consumer, tp)
        consumer.seek(tp, first)
        async for records in read_until(consumer, tp, end):
            found += [(record.key or b"", record.value) for record in records]
    return found


def users(partition: int, partitions: int, count: int) -> list[str]:
    """Names of customers who belong into a partition."""
    names = (f"user-{number}" for number in itertools.count())
    owned = (name for name in names if partition_of(name.encode(), partitions) == partition)
    return list(itertools.islice(owned, count))


async def buy(settings: Settings, partition: int, customers: int, number: int = 0) -> None:
    """A purchase now by each of some customers of a partition; another `number` is another purchase."""
    now = int(time.time() * 1000)
    names = users(partition, settings.kafka.partitions, customers)
    bought = [Message(name.encode(), purchase(name, now, number)) for name in names]
    await put(settings, "orders", partition, bought)


def part(partition: int, ts: int) -> Part:
    """What a partition sends the trainer at `ts`: five labels."""
    random = np.random.default_rng(partition)
    cohort = Cohort(
        decision_time=ts - 5 * DAY_MS,
        contenders=("logistic",),
        champion="logistic",
        hashes=np.sort(random.integers(0, 2**63, 5).astype(np.uint64)),
        inputs=random.normal(size=(5, len(COLUMNS))).astype(np.float32),
        issued=np.full((5, 1), 500_000, np.uint32),
        recency=np.zeros(5, np.uint16),
    )
    labels = np.array([True, False, True, False, True])
    histogram = ReturnHistogram.from_arrays([0], [0], [30])
    return Part(partition, ts, (Matured(cohort, labels, ~labels),), histogram)


async def seen(outputs: Outputs, enough: Callable[[], bool]) -> None:
    """Read until what came out is enough."""
    async with asyncio.timeout(SECONDS):
        while not enough():
            await outputs.read()
            await asyncio.sleep(0.05)


async def refuses_to_start(running: Cluster) -> str:
    """Start a worker that ends with exit code 1; the last line that it says."""
    worker = await running.start_worker()
    return await last_words(worker)


async def last_words(worker: WorkerProcess) -> str:
    """The last line of a worker that ends by itself with exit code 1."""
    code = await worker.ended(SECONDS)
    said = worker.said().strip().splitlines()
    assert code == 1, "\n".join(said)
    return said[-1]
