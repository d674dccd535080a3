"""The brokers that the contract suite runs on: each gives a deployment of topics a place for a while."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.broker import EmbeddedBroker
from streams.topic_admin import create, delete

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from streams.topics import Topics

#: Of a test that takes long: `make test` runs it on the embedded broker, `make prove` on real Kafka too.
KAFKA_IN_PROOF = pytest.mark.parametrize(
    "broker", ["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.slow])], indirect=True
)

#: Of a test with several workers: groups of more than one are unreliable on the embedded broker.
ON_KAFKA = pytest.mark.parametrize("broker", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)


class Broker(Protocol):
    """Where a deployment can be for a while."""

    #: The shortest session that it allows: what the successor of a killed worker waits for.
    session_seconds: float
    #: Whether it is Kafka, and no imitation with the limits that `streams/broker.py` names.
    is_real: bool

    def hosting(self, topics: Topics) -> AbstractAsyncContextManager[str]:
        """The address of a broker that has `topics`, until the block ends."""


@dataclass(frozen=True)
class Embedded:
    """A broker of its own for every deployment."""

    session_seconds: float = 1.0
    is_real: bool = False

    @asynccontextmanager
    async def hosting(self, topics: Topics) -> AsyncIterator[str]:
        """See `Broker`."""
        with EmbeddedBroker(topics.partition_counts()) as broker:
            yield broker.bootstrap


@dataclass(frozen=True)
class RealKafka:
    """Apache Kafka, which all tests of a session share: names are unique, and topics go with their test."""

    bootstrap: str
    session_seconds: float
    is_real: bool = True

    @classmethod
    async def at(cls, bootstrap: str) -> RealKafka:
        """Ask the broker what it allows."""
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            node = (await admin.describe_cluster())["brokers"][0]["node_id"]
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, str(node))])
        finally:
            await admin.close()
        settings: dict[str, Any] = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        return cls(bootstrap, max(1.0, int(settings["group.min.session.timeout.ms"]) / 1000))

    @asynccontextmanager
    async def hosting(self, topics: Topics) -> AsyncIterator[str]:
        """See `Broker`."""
        options = {"bootstrap_servers": self.bootstrap}
        await create(topics, options)
        try:
            yield self.bootstrap
        finally:
            await delete(topics, options)
