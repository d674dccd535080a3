"""Brokers stop, die and freeze under a worker: it waits, loses nothing, doubles nothing and goes on at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from deploy.kafka import KafkaCluster, missing
from tests.broker.brokers import RealKafka
from tests.broker.cluster import cluster, run_shop
from tests.broker.faults import PATIENCE_SECONDS, Commits, Shop, befalls, killed, paused, stopped
from tests.broker.leftovers import Left, Outputs, assert_same
from tests.broker.test_rebalance import orders, until_owned
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

SESSION_SECONDS = 6.0


@pytest.fixture(scope="module")
def kafka_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """One broker, which these tests may do anything to if they put it right again."""
    with KafkaCluster(tmp_path_factory.mktemp("alone"), heap_mb=HEAP_MB) as cluster:
        yield cluster


async def replay_through(
    kafka: KafkaCluster, fault: Fault, folder: Path, log: list[SourceEvent]
) -> tuple[Left, float]:
    """What a replay leaves behind in the midst of which `fault` comes; seconds until the worker went on."""
    trouble, resumed = befalls(kafka, fault, 4)
    broker = await RealKafka.at(kafka.bootstrap)
    session = {"session_timeout_seconds": SESSION_SECONDS}
    left = await run_shop(broker, folder, log, trouble=trouble, patience=PATIENCE_SECONDS, kafka=session)
    print(f"resumed {resumed[0]:.1f} s after the broker's return")  # noqa: T201
    return left, resumed[0]


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
    left, _ = await replay_through(kafka_alone, fault, tmp_path, short_log)

    assert [worker.child.returncode for worker in left.workers] == [0]
    assert_same(short_undisturbed, left)


#: Every customer who complains gets an alert, whatever the models think of him.
EVERYBODY = {
    "model": {"min_labels": 0},
    "alerting": {"medium": 1e-6, "high": 0.9, "critical": 0.95, "hysteresis": 0.0},
}


async def trade_through(kafka: KafkaCluster, fault: Fault, folder: Path) -> None:
    """Two workers serve a shop that goes on trading while `fault` comes and goes."""
    broker = await RealKafka.at(kafka.bootstrap)
    session = {"session_timeout_seconds": SESSION_SECONDS}
    async with cluster(broker, folder, partitions=4, kafka=session, **EVERYBODY) as running:
        shop, commits = Shop(running.settings), Commits(running.settings)
        trading = asyncio.create_task(shop.trade())
        workers = [await running.start_worker(host=host) for host in ("first", "second")]
        await until_owned(*workers)
        before = await commits()
        await fault(kafka)
        resumed = await commits.moved(before)
        began = time.monotonic()
        await asyncio.sleep(2)
        shop.closed = True
        await trading
        await running.consumed()
        caught_up = time.monotonic() - began
        print(f"resumed after {resumed:.1f} s, caught up after {caught_up:.1f} s")  # noqa: T201
        bought = await orders(running.settings)
        outputs = await Outputs.follow(running.settings)
        try:
            while set(decided(outputs)) != shop.complained:
                await asyncio.sleep(0.2)
                await outputs.read()
        finally:
            await outputs.consumer.stop()
        assert [worker.child.returncode for worker in workers] == [None, None]
        await running.stop()

    assert bought == dict.fromkeys(shop.users, shop.rounds)
    assert outputs.contradictions() == []
    assert sorted(decided(outputs)) == sorted(shop.complained)


def decided(outputs: Outputs) -> list[str]:
    """The customers of all decisions, as often as they were decided about."""
    return [value["user_id"] for value in outputs.values()["decisions"].values()]


@pytest.mark.parametrize("fault", [pytest.param(killed(10), id="killed", marks=pytest.mark.slow), pytest.param(stopped(45), id="stopped", marks=pytest.mark.slow), pytest.param(paused(42), id="paused", marks=pytest.mark.slow)])
async def test_two_workers_outlast_their_only_broker(
    kafka_alone: KafkaCluster, fault: Fault, tmp_path: Path
) -> None:
    await trade_through(kafka_alone, fault, tmp_path)
