"""Liveness is what the broker sees: who stopped consuming is dead, who has nothing to consume is not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.broker import frozen_worker
from tests.broker.backlog import sell
from tests.broker.brokers import RealKafka
from tests.broker.cluster import cluster
from tests.broker.pages import Answer, ask, watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.kafka import KafkaCluster
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

STALLED_SECONDS: Final = 8.0
#: A worker as it is, but that gives itself up soon.
IMPATIENT: Final = {"stalled_seconds": STALLED_SECONDS}
BEFORE: Final = 300

IN_PROOF: Final = [pytest.mark.kafka, pytest.mark.slow]


def for_seconds(seconds: float) -> Callable[[Answer], bool]:
    """Until so much time has passed."""
    end = time.monotonic() + seconds
    return lambda _: time.monotonic() > end


def is_dead(answer: Answer) -> bool:
    return answer.status == 503


@pytest.mark.parametrize(
    ("part", "broker"),
    [
        ("consumer", "embedded"),
        pytest.param("consumer", "kafka", marks=IN_PROOF),
        pytest.param("agent", "kafka", marks=IN_PROOF),
    ],
    indirect=["broker"],
)
async def test_a_worker_that_stopped_consuming_is_dead_once_there_is_something_to_consume(
    part: str, broker: Broker, tmp_path: Path
) -> None:
    """
    purchases  │ 300: consumed, frozen │  none for long  │ one more
    live       │ yes                   │  yes            │ yes, and after stalled_seconds no
    """
    async with cluster(broker, tmp_path, worker=IMPATIENT) as running:
        await sell(running.settings, BEFORE)
        worker = await running.start_worker(("-m", frozen_worker.__name__, part, str(BEFORE)))
        await worker.ready()
        await running.consumed()
        idle = await watched(worker, "live", for_seconds(1.2 * STALLED_SECONDS))
        sold = time.monotonic()
        await sell(running.settings, 1)
        *before, dead = await watched(worker, "live", is_dead)
        seconds = time.monotonic() - sold
        ready = await ask(worker, "ready")

    assert {answer.status for answer in (*idle, *before)} == {200}
    assert seconds > STALLED_SECONDS
    (problem,) = dead.problems
    assert "orders/" in problem
    assert "lag 1, nothing committed for" in problem
    assert ready.status == 200, "frozen or not: recovered, assigned, in the group"


@pytest.mark.parametrize("broker", [pytest.param("kafka", marks=IN_PROOF)], indirect=True)
async def test_a_worker_whose_consumer_s_thread_is_busy_for_ever_is_dead(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path, worker=IMPATIENT) as running:
        worker = await running.start_worker(("-m", frozen_worker.__name__, "thread", str(BEFORE)))
        await worker.ready()
        await sell(running.settings, BEFORE)
        *_, dead = await watched(worker, "live", is_dead)

    (problem,) = dead.problems
    assert problem.startswith("the consumer's thread has not answered for")


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_broker_that_was_paused_for_long_leaves_its_workers_alive(
    own_kafka: KafkaCluster, tmp_path: Path
) -> None:
    """Paused while there is lag and for longer than `stalled_seconds`; the page answers all the time."""
    broker = await RealKafka.at(own_kafka.bootstrap)
    async with cluster(broker, tmp_path, kafka={"session_timeout_seconds": 6}, worker=IMPATIENT) as running:
        worker = await running.start_worker()
        await worker.ready()
        await sell(running.settings, 100_000)
        own_kafka.nodes[0].pause()
        paused = await watched(worker, "live", for_seconds(3 * STALLED_SECONDS))
        ready = await ask(worker, "ready")
        own_kafka.nodes[0].resume()
        after = await watched(worker, "live", for_seconds(0.8 * STALLED_SECONDS))
        await worker.ready()
        await asyncio.wait_for(running.consumed(), 60)
        await running.stop()

    assert {answer.status for answer in (*paused, *after)} == {200}
    assert ready.status == 503
    assert any("the group has not confirmed this worker for" in problem for problem in ready.problems)
