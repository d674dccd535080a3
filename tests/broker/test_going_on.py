"""An operator lets the trainer go on without a partition that says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from features.layout import DAY_MS
from models.parts import read_part_chunk
from models.waiting import WaitingParts
from streams.going_on import GoOnError, go_on
from streams.progress import Progress, encode
from tests.broker.cluster import cluster
from tests.broker.hands import part, put, rows
from tests.broker.shop import START

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker
    from tests.broker.cluster import Cluster

pytestmark = pytest.mark.broker

FIRST, SECOND = START + DAY_MS, START + 2 * DAY_MS


async def say(running: Cluster, partition: int, ts: int) -> None:
    progress = Progress("swept", partition, 0, ts)
    await put(running.settings, "progress", 0, [(progress.key, encode(progress))])


async def test_the_trainer_goes_on_to_where_the_others_are(broker: Broker, tmp_path: Path) -> None:
    async with cluster(broker, tmp_path, partitions=2) as running:
        settings = running.settings
        with pytest.raises(GoOnError, match="no other partition"):
            await go_on(settings, 1)
        for ts in (FIRST, SECOND):
            await put(settings, "examples", 0, [(b"k", value) for value in part(0, ts).messages()])
            await say(running, 0, ts)
        await say(running, 1, FIRST - DAY_MS)
        with pytest.raises(GoOnError, match="as far as any other"):
            await go_on(settings, 0)
        with pytest.raises(GoOnError, match="partitions 0 to 1"):
            await go_on(settings, 2)

        said = await go_on(settings, 1)
        found = await rows(settings, "examples", 0)

    assert said.startswith("the trainer goes on without partition 1 up to ")
    waiting = WaitingParts(2)
    for _, value in found:
        waiting.add(read_part_chunk(value or b""), None)
    assert waiting.ready() == FIRST
    waiting.drop(FIRST)
    assert waiting.ready() == SECOND
    assert waiting.waits_for() == {}
