"""A restart reads the checkpoint and the changelog's tail; one that does not fit costs time, not state."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from streams import checkpoint
from streams.checkpoint import Identity
from streams.processes import read_metrics
from streams.readers import end_offset
from streams.reading import read_core
from tests.broker.cluster import Cluster, cluster
from tests.broker.hands import buy, rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

CUSTOMERS = 40


async def restart(running: Cluster) -> tuple[int, int, str]:
    """Start a worker; (customers' rows from checkpoints, from changelogs, what it says)."""
    worker = await running.start_worker()
    await worker.ready()
    found = await asyncio.to_thread(read_metrics, worker.page() or "")
    checkpointed, read = (
        int(found.get(f"churnwatch_recovery_rows_total{{source={source},table=customers}}", 0))
        for source in ("checkpoint", "changelog")
    )
    for number in range(running.settings.kafka.partitions):
        assert found[f"churnwatch_recovery_seconds{{partition={number},table=customers}}"] > 0
    return checkpointed, read, worker.said()


@pytest.mark.slow
async def test_a_checkpoint_that_is_torn_stale_foreign_or_gone_falls_back_on_the_changelog(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path) as running:
        settings = running.settings
        topic, options = settings.kafka.topics()["customers-changelog"], settings.kafka.client_options()
        path = settings.worker.state_dir / "customers-0.checkpoint"
        stale = tmp_path / "stale"

        async def stop(*, bought: bool) -> None:
            """Let the worker stop, which writes a checkpoint, after it has seen what there is."""
            if bought:
                await running.consumed()
            assert await running.workers[-1].stop() == 0

        await restart(running)
        await buy(settings, 0, CUSTOMERS)
        await stop(bought=True)
        shutil.copy(path, stale)
        whole = await restart(running)
        await buy(settings, 0, CUSTOMERS, number=1)
        await stop(bought=True)
        kept = checkpoint.read(stale, Identity(topic, 0, settings.kafka.partitions))
        assert kept is not None

        shutil.copy(stale, path)
        tail = await end_offset(options, topic, 0) - kept.offset
        old = await restart(running)
        await stop(bought=False)

        said, counts = {}, {}
        for fault in ("torn", "foreign", "gone"):
            if fault == "torn":
                path.write_bytes(path.read_bytes()[:-7])
            elif fault == "foreign":
                other = Identity(topic, 0, settings.kafka.partitions + 1)
                checkpoint.write(path, other, kept.offset, kept.rows)
            else:
                path.unlink()
            changelog = len(await rows(settings, "customers-changelog", 0))
            checkpointed, read, said[fault] = await restart(running)
            counts[fault] = (checkpointed, read - changelog)
            await stop(bought=False)
        core = await read_core(settings, 0)

    # One row a customer and the partition row; partition 1 has a row of its own at most.
    assert CUSTOMERS < whole[0] <= CUSTOMERS + 2
    assert whole[1] <= 2
    assert tail >= CUSTOMERS
    assert CUSTOMERS < old[0] <= CUSTOMERS + 2
    assert tail <= old[1] <= tail + 2
    for fault, (checkpointed, more) in counts.items():
        assert checkpointed <= 1, fault
        assert 0 <= more <= 2, fault
    assert "is torn or no checkpoint" in said["torn"]
    assert "belongs to Identity(" in said["foreign"]
    assert "checkpoint not used" not in said["gone"]
    orders = core.table.rows["orders"][core.table.live_slots()]
    assert orders.tolist() == [2] * CUSTOMERS
