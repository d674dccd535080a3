"""After SIGKILL a worker comes back from its checkpoint, on a new host from the changelogs, as it was."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.broker.cluster import Cluster, run_shop
from tests.broker.leftovers import Left, assert_same
from tests.broker.recoveries import rows_read, rows_written

if TYPE_CHECKING:
    from pathlib import Path

    from streams.replay import Replayer
    from streams.sources import SourceEvent
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("host", ["the same", "a new one"])
async def test_a_worker_that_was_killed_goes_on_as_if_nothing_had_been(
    broker: Broker, host: str, short_log: list[SourceEvent], short_undisturbed: Left, tmp_path: Path
) -> None:
    rows: dict[str, float] = {}

    async def revive(running: Cluster, replayer: Replayer) -> None:
        while replayer.done.intervals < 9:  # noqa: ASYNC110 - the product has no event for tests
            await asyncio.sleep(0.01)
        await running.workers[0].kill()
        if host == "a new one":
            shutil.rmtree(running.settings.worker.state_dir)
        rows["written"] = await rows_written(running.settings)
        await running.start_worker()
        rows.update(await rows_read(running))

    often = {"checkpoint_seconds": 0.2}
    left = await run_shop(broker, tmp_path, short_log, trouble=revive, worker=often)

    assert_same(short_undisturbed, left)
    assert rows["written"] > 500
    if host == "the same":
        assert rows["checkpoint"] > 100
        assert rows["changelog"] < rows["written"]
    else:
        assert rows["checkpoint"] == 0
        assert rows["changelog"] >= rows["written"]
