"""Apache Kafka on this machine without Docker: KRaft brokers on loopback, with data that go when they stop.

`python -m deploy.kafka` runs them for people; tests and benchmarks use `KafkaCluster`.
"""

from __future__ import annotations

from deploy.kafka.certificates import Authority, Certificate
from deploy.kafka.cluster import HOST, KafkaCluster, free_ports
from deploy.kafka.distribution import KAFKA_VERSION, KafkaUnavailableError, missing
from deploy.kafka.node import Node
from deploy.kafka.security import ADMIN, Security

__all__ = [
    "ADMIN",
    "HOST",
    "KAFKA_VERSION",
    "Authority",
    "Certificate",
    "KafkaCluster",
    "KafkaUnavailableError",
    "Node",
    "Security",
    "free_ports",
    "missing",
]
