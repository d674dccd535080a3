"""Whole topics, read by a plain consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_POLL_S: Final = 1.0
_MOST: Final = 10_000

Place = tuple[str, int]


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
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        ends = {place: _bounds(consumer, place) for topic in topics for place in _places(consumer, topic)}
        found = _read(consumer, {place: each for place, each in ends.items() if each[0] < each[1]})
    finally:
        consumer.close()
    for place in ends:
        yield from found.pop(place, [])


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


def _read(consumer: Consumer, bounds: dict[Place, tuple[int, int]]) -> dict[Place, list[Record]]:
    """All records within `bounds`; behind the last one of a log may be markers, which are none."""
    found: dict[Place, list[Record]] = {place: [] for place in bounds}
    consumer.assign([TopicPartition(*place, first) for place, (first, _) in bounds.items()])
    left = dict(bounds)
    while left:
        messages = consumer.consume(_MOST, _POLL_S)
        for message in messages:
            if message.error():
                raise RuntimeError(f"{message.topic()}/{message.partition()}: {message.error()}")
            place = message.topic(), message.partition()
            if message.offset() < bounds[place][1]:
                found[place].append(Record(*place, message.offset(), message.key(), message.value()))
        positions = consumer.position([TopicPartition(*place) for place in left])
        left = {
            place: left[place]
            for place, at in zip(left, positions, strict=True)
            if at.offset < left[place][1]
        }
        assert messages or not left, f"these cannot be read to their end: {left}"
    return found
