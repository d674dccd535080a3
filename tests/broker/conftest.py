"""The brokers that tests run on, and runs that several tests compare with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from deploy.kafka import KafkaCluster, KafkaUnavailableError, missing
from tests import real_kafka
from tests.broker.brokers import Broker, Embedded, RealKafka
from tests.broker.cluster import run_shop
from tests.broker.secured import secured_kafka
from tests.broker.shop import DAYS, shop_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.sources import SourceEvent
    from tests.broker.leftovers import Left
    from tests.broker.secured import SecuredKafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    """Real Kafka, started when the first test needs it; skips where there is none, and says why."""
    source = real_kafka.found()
    if isinstance(source, str):
        pytest.skip(f"no real Kafka: {source}")
    try:
        with source.running(tmp_path_factory.mktemp("kafka")) as bootstrap:
            yield asyncio.run(RealKafka.at(bootstrap))
    except KafkaUnavailableError as error:
        pytest.skip(f"no real Kafka: {error}")


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Real Kafka with TLS, users and rights: on this machine's Java, for nobody else's is ours to set up."""
    if (lack := missing()) is not None:
        pytest.skip(f"no secured Kafka: {lack}")
    with secured_kafka(tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaCluster]:
    """One node of Kafka for this test alone, which may pause it; skips where this machine cannot run it."""
    if why := missing():
        pytest.skip(f"no Kafka of its own: {why}")
    with KafkaCluster(tmp_path / "kafka", heap_mb=real_kafka.HEAP_MB) as cluster:
        yield cluster


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Broker:
    """The contract suite runs on both; parametrise it indirectly to choose."""
    if request.param == "embedded":
        return Embedded()
    real: RealKafka = request.getfixturevalue("kafka")
    return real


@pytest.fixture(scope="session")
def log() -> list[SourceEvent]:
    """A month of a small shop, by time."""
    return shop_log(300, DAYS)


@pytest.fixture(scope="session")
def undisturbed(log: list[SourceEvent], tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What the month leaves behind when nothing goes wrong."""
    return _lively(asyncio.run(run_shop(Embedded(), tmp_path_factory.mktemp("month"), log)))


@pytest.fixture(scope="session")
def short_log() -> list[SourceEvent]:
    """A fortnight of it."""
    return shop_log(200, 14)


@pytest.fixture(scope="session")
def short_undisturbed(short_log: list[SourceEvent], tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What the fortnight leaves behind when nothing goes wrong."""
    return _lively(asyncio.run(run_shop(Embedded(), tmp_path_factory.mktemp("fortnight"), short_log)))


def _lively(left: Left) -> Left:
    """A run of a shop in which nothing happens would prove nothing."""
    found = left.outputs.values()
    alerts = [(alert["kind"], alert["status"]) for alert in found["churn-alerts"].values()]
    assert {kind for kind, _ in alerts} == {"episode", "trigger"}
    assert {status for _, status in alerts} == {"opened", "escalated", "resolved"}
    assert min(len(found[f"commands.{channel}.shadow"]) for channel in ("email", "coupon", "sms")) > 1
    assert left.state["trainer"]["labels"] > 500
    return left
