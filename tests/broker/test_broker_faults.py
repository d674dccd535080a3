"""A broker stops, dies, freezes under a worker: it waits, loses and doubles nothing, and goes on at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.kafka import KafkaCluster, missing
from tests.broker.brokers import RealKafka
from tests.broker.cluster import run_shop
from tests.broker.faults import PATIENCE_SECONDS, befalls, killed, paused, stopped, went_on
from tests.broker.leftovers import Left, assert_same
from tests.broker.trading import SESSION_SECONDS, trading
from tests.real_kafka import HEAP_MB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.sources import SourceEvent
    from tests.broker.faults import Fault

pytestmark = [
    pytest.mark.broker,
    pytest.mark.kafka,
    pytest.mark.skipif(missing() is not None, reason=f"needs Kafka to torment: {missing()}"),
]


@pytest.fixture(scope="module")
def kafka_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One broker, which these tests may do anything to if they put it right again."""
    with KafkaCluster(tmp_path_factory.mktemp("alone"), heap_mb=HEAP_MB) as cluster:
        yield cluster


async def replay_through(kafka: KafkaCluster, fault: Fault, folder: Path, log: list[SourceEvent]) -> Left:
    """What a replay leaves behind in the midst of which `fault` comes."""
    trouble, seconds = befalls(kafka, fault, 4)
    broker = await RealKafka.at(kafka.bootstrap)
    session = {"session_timeout_seconds": SESSION_SECONDS}
    left = await run_shop(broker, folder, log, trouble=trouble, patience=PATIENCE_SECONDS, kafka=session)
    went_on(seconds[0], "the broker's return")
    return left


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(killed(3), id="killed"),
        pytest.param(stopped(15), id="stopped", marks=pytest.mark.slow),
        pytest.param(paused(3), id="paused below the session timeout", marks=pytest.mark.slow),
        pytest.param(paused(42), id="paused beyond all timeouts", marks=pytest.mark.slow),
    ],
)
async def test_a_broker_that_goes_and_returns_changes_nothing(
    kafka_alone: KafkaCluster,
    fault: Fault,
    short_log: list[SourceEvent],
    short_undisturbed: Left,
    tmp_path: Path,
) -> None:
    left = await replay_through(kafka_alone, fault, tmp_path, short_log)

    assert [worker.child.returncode for worker in left.workers] == [0]
    assert_same(short_undisturbed, left)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [killed(10), stopped(45), paused(42)], ids=["killed", "stopped", "paused"])
async def test_two_workers_outlast_their_only_broker(
    kafka_alone: KafkaCluster, fault: Fault, tmp_path: Path
) -> None:
    """45 s are longer than a write may take, and than any other fault would be tried to heal."""
    async with trading(kafka_alone, tmp_path) as trade:
        await fault(kafka_alone)
        went_on(await trade.commits.move(), "the broker's return")
