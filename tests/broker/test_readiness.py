"""Readiness tells the truth: not before a worker has recovered what it owns, not without owning anything."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from streams.processes import read_metrics
from tests.broker.backlog import sell
from tests.broker.brokers import ON_KAFKA
from tests.broker.cluster import cluster
from tests.broker.counting import until_owned
from tests.broker.pages import Answer, answering, ask, watched
from tests.broker.recoveries import generations, rows_read, rows_written

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker


def is_ready(answer: Answer) -> bool:
    return answer.status == 200


@pytest.mark.slow
async def test_a_worker_is_not_ready_before_it_has_read_its_whole_state(
    broker: Broker, tmp_path: Path
) -> None:
    """A worker on a new host, with many customers on the changelog and no checkpoint."""
    async with cluster(broker, tmp_path) as running:
        first = await running.start_worker(host="first")
        await sell(running.settings, 6_000, customers=6_000)
        await first.ready()
        await running.consumed()
        await first.stop()
        written = await rows_written(running.settings)

        second = await running.start_worker(host="second")
        await answering(second)
        *before, ready = await watched(second, "ready", is_ready)
        rows = await rows_read(running)

    assert ready.problems == []
    said = {problem for answer in before for problem in answer.problems}
    assert "the group was not joined yet" in said
    assert any(problem.endswith("are recovering") for problem in said)
    assert written > 6_000
    assert rows["changelog"] >= written


@ON_KAFKA
@pytest.mark.slow
async def test_a_worker_to_whom_the_group_gives_nothing_is_not_ready_and_not_dead(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path, partitions=1) as running:
        workers = [await running.start_worker(host=host) for host in ("first", "second")]
        for worker in workers:
            await answering(worker)
        none = Answer(503, ["the group gave this worker no partitions"])
        async with asyncio.timeout(60):
            while True:
                ready = [await ask(each, "ready") for each in workers]
                if sorted(ready) == [Answer(200, []), none]:
                    break
                await asyncio.sleep(0.05)
        surplus = workers[ready.index(none)]
        live = await ask(surplus, "live")
        metrics = await asyncio.to_thread(read_metrics, surplus.page() or "")
        await running.stop()

    assert live.status == 200, "a restart would not help"
    assert metrics["churnwatch_assigned_partitions{}"] == 0
    assert metrics["churnwatch_ready{}"] == 0


@ON_KAFKA
@pytest.mark.slow
async def test_a_worker_that_was_paused_beyond_its_session_is_not_ready_until_it_is_in_the_group_again(
    broker: Broker, tmp_path: Path
) -> None:
    """
    first   │ 0 1 │ 0 1 2 3 │ 0 1 │
    second  │ 2 3 │ paused  │ 2 3 │
    """
    session = {"session_timeout_seconds": 3}
    async with cluster(broker, tmp_path, partitions=4, kafka=session) as running:
        first = await running.start_worker(host="first")
        await until_owned(first)
        second = await running.start_worker(host="second")
        await until_owned(first, second)
        last = generations(second)[-1]
        second.child.send_signal(signal.SIGSTOP)
        await until_owned(first)
        second.child.send_signal(signal.SIGCONT)
        *before, _ = await watched(second, "ready", is_ready)
        await until_owned(first, second)
        await running.stop()

    assert before, "it was ready as soon as it woke"
    assert generations(second)[-1] > last, "it is in the generation that it fell out of"
