"""What operators have passed over: `churnwatch skip` writes it to a topic, and every worker reads it.

A batch that cannot be unpacked stops its partition wherever that is read, now and after each restart. So what
is said of it stays: one record for each batch, in a compacted topic.
"""

from __future__ import annotations

import asyncio
import getpass
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import TopicPartition

from features.layout import TOPICS
from features.observing import Record
from features.rejection import Rejected
from models.wire import UNREADABLE
from streams.context import wall_clock_ms
from streams.following import Follower
from streams.logs import logger
from streams.readers import bounds, reader
from streams.sending import Message, Sender, new_producer

if TYPE_CHECKING:
    from faust.types.tuples import TP

    from streams.batches import BrokenBatch
    from streams.context import Context
    from streams.patience import Patience
    from streams.settings import Settings
    from streams.telemetry import Metrics

log = logger(__name__)

_SECONDS: Final = 20.0
#: A worker looks for an operator's word so often where the broker does not hand it over at once.
_WAIT_MS: Final = 500

#: What workers read as a group: a batch there stops its partition.
READ_BY_THE_GROUP: Final = (*TOPICS, "churn-alerts", "examples")


class SkipError(RuntimeError):
    """There is nothing to pass over where the operator says; the message says what there is."""


class Skip(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's word on the batch at `offset` of a topic partition; `topic` is its name on the broker."""

    topic: str
    partition: int
    offset: int
    #: Who said so: the name of the user who ran the command, on which host does not matter.
    said_by: str
    #: When, epoch milliseconds.
    said_at: int

    @property
    def key(self) -> bytes:
        """Kafka key: one for each batch, so that none is forgotten."""
        return f"{self.topic}/{self.partition}/{self.offset}".encode()


_decode: Final = msgspec.json.Decoder(Skip).decode


class Skips:
    """Every word there is, read at the start and followed; `topic` is the full name."""

    def __init__(self, topic: str, options: dict[str, Any], metrics: Metrics) -> None:
        # A word that is lost with its batch is said again by an operator: its partition still stands.
        self._follower = Follower(topic, options, metrics.lost_batches.labels("skips").inc, _WAIT_MS)
        self._said: dict[tuple[str, int, int], Skip] = {}

    def find(self, tp: TP, batch: BrokenBatch) -> Skip | None:
        """What was said of `batch`, at which reading of `tp` stands."""
        places = range(batch.start, batch.offset + 1)
        return next(
            (
                skip
                for (topic, partition, offset), skip in self._said.items()
                if (topic, partition) == tp and offset in places
            ),
            None,
        )

    def take(self, value: bytes | None) -> None:
        """Read one record; what is none of ours says nothing."""
        try:
            skip = _decode(value or b"")
        except UNREADABLE as error:
            log.warning("a record of skips cannot be read", why=str(error))
            return
        self._said[skip.topic, skip.partition, skip.offset] = skip

    async def follow(self, patience: Patience) -> None:
        """Read all there is and then what comes; waits for the broker, and runs until cancelled."""
        await self._follower.follow(lambda record: self.take(record.value), patience=patience)


async def pass_over(app: Any, context: Context, seconds: float = 1.0) -> None:
    """Let the app's consumer read on behind what was passed over; runs until cancelled.

    Each batch is a dead letter first, as far as its bytes are to be had.
    """
    buried: set[tuple[TP, int]] = set()
    while True:
        for tp, batch in list(app.consumer.broken.items()):
            if (said := context.skips.find(tp, batch)) is None:
                continue
            if (tp, batch.start) not in buried:
                await context.patience.outlast("dead letters", partial(_bury, context, tp, batch, said))
                buried.add((tp, batch.start))
            app.consumer.pass_over(tp, batch)
        await asyncio.sleep(seconds)


async def _bury(context: Context, tp: TP, batch: BrokenBatch, said: Skip) -> None:
    topic = context.topics.logical(tp.topic)
    record = Record(batch.offset, None, batch.raw)
    await context.dead_letters.send(topic, tp.partition, [(record, Rejected("unreadable_batch", batch.why))])
    context.metrics.skipped_batches.labels(topic).inc()
    log.warning(
        "a batch is passed over",
        topic=tp.topic,
        partition=tp.partition,
        offset=batch.offset,
        until=batch.until,
        why=batch.why,
        said_by=said.said_by,
        said_at=said.said_at,
    )


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"  # a container's has no name


async def skip(settings: Settings, topic: str, partition: int, offset: int) -> Skip:
    """Have the workers pass over the batch at `offset` of `topic` (logical or full name).

    Raises SkipError for a topic that the group does not read, and for a place that is not in its log.
    """
    names = settings.kafka.topics()
    full = names[topic] if topic in READ_BY_THE_GROUP else topic
    if full not in {names[name] for name in READ_BY_THE_GROUP}:
        known = ", ".join(READ_BY_THE_GROUP)
        raise SkipError(f"the workers do not read {topic} as a group; they read {known}")
    options = settings.kafka.client_options()
    tp = TopicPartition(full, partition)
    if not 0 <= partition < names.partition_counts()[full]:
        raise SkipError(f"{full} has partitions 0 to {names.partition_counts()[full] - 1}")
    async with reader(options, tp) as consumer:
        start, end = await bounds(consumer, tp)
    if not start <= offset < end:
        raise SkipError(f"{full}/{partition} holds offsets {start} to {end - 1}, and not {offset}")
    said = Skip(topic=full, partition=partition, offset=offset, said_by=_who(), said_at=wall_clock_ms())
    async with new_producer(options) as producer:
        message = Message(said.key, msgspec.json.encode(said))
        await Sender(producer, _SECONDS).send(names["skips"], 0, [message])
    return said
