"""Static membership: a restart disturbs nobody, who leaves hands over, and one name is one worker."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from streams.processes import environment
from tests.broker.backlog import sell
from tests.broker.brokers import KAFKA_IN_PROOF, ON_KAFKA
from tests.broker.cluster import cluster
from tests.broker.counting import orders, owned, until_owned
from tests.broker.recoveries import generations

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker
    from tests.broker.cluster import Cluster, WorkerProcess

pytestmark = pytest.mark.broker

#: Far longer than any restart, also on a machine that has much else to do.
SESSION: Final = {"session_timeout_seconds": 45}


async def pair(running: Cluster) -> tuple[WorkerProcess, WorkerProcess]:
    """Two static members with two partitions each."""
    first = await running.start_worker(host="first", instance_id="first")
    await until_owned(first)
    second = await running.start_worker(host="second", instance_id="second")
    await until_owned(first, second)
    return first, second


async def leave(worker: WorkerProcess) -> tuple[int, str]:
    """`churnwatch worker --leave` with a worker's settings: exit code, and what it said."""
    command = await asyncio.create_subprocess_exec(
        *worker.command("--leave"), env=environment(worker.settings), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await command.communicate()
    assert command.returncode is not None
    return command.returncode, said.decode()


@ON_KAFKA
@pytest.mark.slow
@pytest.mark.parametrize("restarted", ["first", "second"])
async def test_a_restart_within_the_session_causes_no_rebalance(
    broker: Broker, restarted: str, tmp_path: Path
) -> None:
    """Gracefully and by SIGKILL, the leader of the group and the other one."""
    async with cluster(broker, tmp_path, partitions=4, kafka=SESSION) as running:
        first, second = await pair(running)
        again, other = (first, second) if restarted == "first" else (second, first)
        (*_, generation), partitions, disturbed = generations(other), owned(again), len(generations(other))
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            again.child.send_signal(number)
            await again.ended()
            await sell(running.settings, 2_000)
            await again.start()
            await until_owned(first, second)
            assert (owned(again), generations(again)) == (partitions, [generation])
        await running.consumed()
        await running.stop()
        found = await orders(running.settings)

    assert len(generations(other)) == disturbed, "the other worker went through a rebalance"
    assert sum(found.values()) == 6_000


@ON_KAFKA
@pytest.mark.slow
async def test_a_static_member_that_stopped_keeps_its_partitions_until_it_leaves(
    broker: Broker, tmp_path: Path
) -> None:
    """
    first   │ 0 1 │ 0 1                │ 0 1 2 3
    second  │ 2 3 │ stopped │ --leave  │
    """
    async with cluster(broker, tmp_path, partitions=4, kafka=SESSION) as running:
        first, second = await pair(running)
        await second.stop()
        await sell(running.settings, 1_000)
        await asyncio.sleep(3)
        kept = owned(first)
        code, said = await leave(second)
        left = time.monotonic()
        await until_owned(first)
        seconds = time.monotonic() - left
        again = await leave(second)
        await running.consumed()
        await first.stop()
        found = await orders(running.settings)

    name = f"second of group {running.settings.kafka.group}"
    assert len(kept) == 2
    assert (code, said) == (0, f"removed static member {name}: its partitions go to the other workers\n")
    assert again == (3, f"there is no static member {name}: nothing to hand over\n")
    assert seconds < 10, "at once, where a session is several times as long"
    assert sum(found.values()) == 1_000


@ON_KAFKA
@pytest.mark.slow
async def test_of_two_workers_with_one_name_the_older_stops_and_says_why(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path, kafka={"instance_id": "one"}) as running:
        older = await running.start_worker(host="older")
        await older.ready()
        newer = await running.start_worker(host="newer")
        code = await older.ended()
        await newer.ready()
        await asyncio.sleep(3)
        await sell(running.settings, 1_000)
        await running.consumed()
        await newer.stop()
        found = await orders(running.settings)

    group = running.settings.kafka.group
    assert code == 1
    assert (
        f"another worker joined group {group} with kafka.instance_id one: each worker needs" in older.said()
    )
    assert len(generations(newer)) == 1, "they did not throw each other out in turn"
    assert sum(found.values()) == 1_000


@KAFKA_IN_PROOF
async def test_a_worker_whose_topics_are_missing_says_which_and_does_not_join(
    broker: Broker, tmp_path: Path
) -> None:
    """A static member's assignment from before a topic existed would last for ever."""
    async with cluster(broker, tmp_path, kafka={"instance_id": "one"}) as running:
        worker = await running.start_worker(topic_prefix="elsewhere.")
        code = await worker.ended()

    assert code == 1
    *_, error = worker.said().splitlines()
    assert error.startswith("Error: topic elsewhere.")
    assert "is missing, or this user may not see it: churnwatch topics create (and" in error
    assert "BulkThread]: Starting" not in worker.said(), "its consumer must not even begin"
