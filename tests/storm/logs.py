"""Whole topics, read by a plain consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_POLL_S: Final = 5.0
_MOST: Final = 10_000


class Record(NamedTuple):
    """One record of a log; `topic` is the full name."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def read(bootstrap: str, topics: Iterable[str]) -> Iterator[Record]:
    """Every record that stands in `topics` now, partitions in turn, each in the order of its log."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reads alone",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
            "auto.offset.reset": "error",
        }
    )
    try:
        known = consumer.list_topics(timeout=30).topics
        for topic in topics:
            for partition in sorted(known[topic].partitions):
                yield from _partition(consumer, topic, partition)
    finally:
        consumer.close()


def ends(bootstrap: str, topics: Iterable[str]) -> int:
    """The sum of all log ends: it stands still when nobody writes any more."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reads alone"})
    try:
        known = consumer.list_topics(timeout=30).topics
        places = [TopicPartition(topic, p) for topic in topics for p in known[topic].partitions]
        return sum(consumer.get_watermark_offsets(place, timeout=30)[1] for place in places)
    finally:
        consumer.close()


def _partition(consumer: Consumer, topic: str, partition: int) -> Iterator[Record]:
    first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
    consumer.assign([TopicPartition(topic, partition, first)])
    place = first
    while place < end:
        # No more than there is: it would wait for as many as it was asked for.
        found = consumer.consume(min(_MOST, end - place), _POLL_S)
        if not found:
            # Behind the last record only markers are left: the consumer's position tells.
            (here,) = consumer.position([TopicPartition(topic, partition)])
            assert here.offset >= end, f"{topic}/{partition} cannot be read from {place} to {end}"
            return
        for message in found:
            if message.error():
                raise RuntimeError(f"{topic}/{partition}: {message.error()}")
            place = message.offset() + 1
            if place <= end:
                yield Record(topic, partition, message.offset(), message.key(), message.value())
