"""Whole topics, read by a plain consumer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_POLL_S: Final = 1.0
_MOST: Final = 10_000
_PATIENCE_S: Final = 60.0

Place = tuple[str, int]


class Record(NamedTuple):
    """One record of a log; `topic` is the full name."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    #: When its producer wrote it, epoch ms; all producers of a storm share a clock.
    written: int


def read(bootstrap: str, topics: Iterable[str]) -> Iterator[Record]:
    """Every record that stands in `topics` now, partitions in turn, each in the order of its log."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reads alone",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        for topic in topics:
            for place in _places(consumer, topic):
                yield from _read(consumer, place)
    finally:
        consumer.close()


def ends(bootstrap: str, topics: Iterable[str]) -> int:
    """The sum of all log ends: it stands still when nobody writes any more."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reads alone"})
    try:
        return sum(_bounds(consumer, place)[1] for topic in topics for place in _places(consumer, topic))
    finally:
        consumer.close()


def _places(consumer: Consumer, topic: str) -> list[Place]:
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    return [(topic, partition) for partition in sorted(partitions)]


def _bounds(consumer: Consumer, place: Place) -> tuple[int, int]:
    first, end = consumer.get_watermark_offsets(TopicPartition(*place), timeout=30)
    return first, end


def _read(consumer: Consumer, place: Place) -> list[Record]:
    """All records that stand in a log now; behind the last one may be markers, which are none."""
    at, end = _bounds(consumer, place)
    found: list[Record] = []
    consumer.assign([TopicPartition(*place, at)])
    deadline = time.monotonic() + _PATIENCE_S
    while at < end:
        for message in consumer.consume(min(_MOST, end - at), _POLL_S):
            if message.error():
                raise RuntimeError(f"{place}: {message.error()}")
            if message.offset() < end:
                _, written = message.timestamp()
                found.append(Record(*place, message.offset(), message.key(), message.value(), written))
        (position,) = consumer.position([TopicPartition(*place)])
        if position.offset > at:
            at, deadline = position.offset, time.monotonic() + _PATIENCE_S
        assert time.monotonic() < deadline, f"{place} cannot be read beyond {at} of {end}"
    return found
