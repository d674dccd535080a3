"""The broker that a benchmark runs on: Apache Kafka where this machine has Java, else the embedded one."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.kafka import KAFKA_VERSION, KafkaCluster, missing
from streams import topic_admin
from streams.broker import EmbeddedBroker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from streams.topics import Topics

LEADER_TIMEOUT_S = 60.0


class Broker(Protocol):
    """A running broker. `compression` is what a preload must use to fit; `name` is for the report."""

    name: str
    compression: str
    #: Whether clients may create topics and read topic settings, which some engines insist on.
    has_admin: bool

    @property
    def bootstrap(self) -> str:
        """Address to connect to."""

    def create(self, topics: Iterable[str], partitions: int) -> None:
        """Create topics that do not exist yet."""

    def create_catalogue(self, topics: Topics) -> None:
        """Create the topics of a churnwatch deployment that do not exist yet, with their settings."""

    def forget(self, marker: str) -> None:
        """Free what a run left behind: topics with `marker` in their names, where topics can be deleted."""


@dataclass
class JvmBroker:
    """Apache Kafka on the JVM."""

    bootstrap: str
    name: str = f"Apache Kafka {KAFKA_VERSION} (JVM, loopback)"
    compression: str = "none"
    has_admin: bool = True

    def create(self, topics: Iterable[str], partitions: int) -> None:
        """See `Broker`."""
        admin = self._admin()
        new = [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in topics]
        for created in admin.create_topics(new).values():
            created.result(30)
        _wait_for_leaders(self.bootstrap, [topic.topic for topic in new])

    def create_catalogue(self, topics: Topics) -> None:
        """See `Broker`."""
        created = asyncio.run(topic_admin.create(topics, {"bootstrap_servers": self.bootstrap}))
        _wait_for_leaders(self.bootstrap, created)

    def forget(self, marker: str) -> None:
        """See `Broker`."""
        admin = self._admin()
        names = [name for name in admin.list_topics(timeout=10).topics if marker in name]
        for deleted in admin.delete_topics(names).values() if names else ():
            deleted.result(30)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})


@dataclass
class Embedded:
    """librdkafka's mock cluster in this process. It keeps 5 MiB of a partition: preloads are compressed."""

    broker: EmbeddedBroker
    name: str = "embedded broker (no Java and Maven here)"
    compression: str = "gzip"
    has_admin: bool = False

    @property
    def bootstrap(self) -> str:
        """Address of the only broker."""
        return self.broker.bootstrap

    def create(self, topics: Iterable[str], partitions: int) -> None:
        """See `Broker`."""
        for topic in topics:
            self.broker.create_topic(topic, partitions)

    def create_catalogue(self, topics: Topics) -> None:
        """See `Broker`."""
        existing = _existing(self.bootstrap)
        for name, partitions in topics.partition_counts().items():
            if name not in existing:
                self.broker.create_topic(name, partitions)

    def forget(self, marker: str) -> None:
        """Nothing can be deleted: everything goes with the process."""


@contextmanager
def running(folder: Path, *, embedded: bool = False) -> Iterator[Broker]:
    """The best broker that this machine can run, or the embedded one when asked for it."""
    if embedded or missing() is not None:
        with EmbeddedBroker({}) as broker:
            yield Embedded(broker)
    else:
        with KafkaCluster(folder) as cluster:
            yield JvmBroker(cluster.bootstrap)


def log_ends(bootstrap: str, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """End offset of every partition; raises RuntimeError where a log no longer begins at its first record."""
    ends = {}
    with _probe(bootstrap) as consumer:
        for topic in topics:
            for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
                partition = TopicPartition(topic, number)
                start, end = consumer.get_watermark_offsets(partition, timeout=10)
                if start:
                    raise RuntimeError(
                        f"{topic}[{number}] lost {start} records: fewer events, or more partitions"
                    )
                ends[partition] = end
    return ends


def _wait_for_leaders(bootstrap: str, topics: Sequence[str]) -> None:
    """A topic is created before its partitions have leaders, and clients get errors in between."""
    deadline = time.monotonic() + LEADER_TIMEOUT_S
    while True:
        try:
            log_ends(bootstrap, topics)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _existing(bootstrap: str) -> set[str]:
    with _probe(bootstrap) as consumer:
        return set(consumer.list_topics(timeout=10).topics)


@contextmanager
def _probe(bootstrap: str) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-probe", "log_level": 2})
    try:
        yield consumer
    finally:
        consumer.close()
