"""Apache Kafka on this machine without Docker: KRaft brokers on loopback, with data that go when they stop.

`python -m deploy.kafka` runs them for people; tests and benchmarks use `KafkaCluster`.
"""

from __future__ import annotations

from deploy.kafka.cluster import HOST, KafkaCluster, free_ports
from deploy.kafka.distribution import KAFKA_VERSION, KafkaUnavailableError, missing
from deploy.kafka.node import Node

__all__ = [
    "HOST",
    "KAFKA_VERSION",
    "KafkaCluster",
    "KafkaUnavailableError",
    "Node",
    "free_ports",
    "missing",
]
