"""A worker that dies ten times in the middle of a replay leaves behind what an undisturbed one does."""

from __future__ import annotations

import asyncio
import random
import signal
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.broker.cluster import Cluster, run_shop
from tests.broker.leftovers import Left, assert_same
from tests.broker.shop import DAYS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from streams.replay import Replayer
    from streams.sources import SourceEvent
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

KILLS: Final = 10


class Moment(NamedTuple):
    """A kill: so many seconds after the replay has finished `interval`, or after the worker's last start."""

    interval: int
    seconds: float


def moments(seed: int) -> list[Moment]:
    """Ten kills over the replay: most in the work of an interval, three while the worker is coming back."""
    rng = random.Random(seed)
    spread = sorted(rng.sample(range(1, DAYS - 3), KILLS - 3))
    again = rng.sample(spread, 3)
    return [
        moment
        for interval in spread
        for moment in (
            Moment(interval, rng.uniform(0, 0.4)),
            *([Moment(interval, rng.uniform(0.5, 4.0))] if interval in again else ()),
        )
    ]


def killing(seed: int) -> Callable[[Cluster, Replayer], Awaitable[None]]:
    async def kill(cluster: Cluster, replayer: Replayer) -> None:
        for moment in moments(seed):
            while replayer.done.intervals < moment.interval:  # noqa: ASYNC110 - the product has no event for tests
                await asyncio.sleep(0.001)
            await asyncio.sleep(moment.seconds)
            await cluster.workers[-1].kill()
            await cluster.start_worker()

    return kill


#: More seeds on the embedded broker, where a kill costs less time.
_PROOFS: Final = [("embedded", seed) for seed in range(2, 12)]


@pytest.mark.parametrize(
    ("broker", "seed"),
    [
        ("embedded", 1),
        pytest.param("kafka", 1, marks=[pytest.mark.kafka, pytest.mark.slow]),
        *(pytest.param(*proof, marks=pytest.mark.slow) for proof in _PROOFS),
    ],
    indirect=["broker"],
)
async def test_ten_kills_leave_the_same_behind_as_an_undisturbed_run(
    broker: Broker, seed: int, log: list[SourceEvent], undisturbed: Left, tmp_path: Path
) -> None:
    disturbed = await run_shop(broker, tmp_path, log, trouble=killing(seed))

    killed = [worker.child.returncode for worker in disturbed.workers]
    assert killed == [-signal.SIGKILL] * KILLS + [0]
    assert_same(undisturbed, disturbed)
