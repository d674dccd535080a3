"""A crash between any two effects of decide → write → publish → ack loses nothing and doubles nothing."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import pytest

from tests.broker import dying_worker
from tests.broker.brokers import KAFKA_IN_PROOF
from tests.broker.cluster import Cluster, run_shop
from tests.broker.leftovers import Left, assert_same

if TYPE_CHECKING:
    from pathlib import Path

    from streams.replay import Replayer
    from streams.sources import SourceEvent
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

#: The gaps of DESIGN 4.7 and a torn ledger, and at which time of coming by the worker dies: when all is busy.
GAPS: Final = {
    "row|alert": 5,
    "alert|ack": 4,
    "ledger|decision": 4,
    "decision|command": 3,
    "command|ack": 4,
    "cohort|sweep mark": 19,
    "examples|version": 9,
    "version|ack": 10,
    # On one of the last days: a budget's book remembers three.
    "ledger|mark": 11,
}
#: Between and beside them, in the order in which a month's workers die, one after the other.
MORE_GAPS: Final = {
    "batch|row": 12,
    "row|mark": 8,
    "cohort|cohort": 3,
    "checkpoint|checkpoint": 1,
    "examples|examples": 2,
    "version|champion": 2,
    "alert|alert": 2,
    "alerts|ledger": 2,
    "command|decision": 2,
    "sweep mark|progress": 3,
    "ack|progress": 2,
}


def dying(gap: str, occurrence: int) -> tuple[str, ...]:
    """Program of a worker that dies in a gap."""
    return ("-m", dying_worker.__name__, gap, str(occurrence))


#: Program of a worker that goes on where others died, and cuts cohorts as they did.
SURVIVING: Final = ("-m", dying_worker.__name__)


def test_every_gap_of_the_dying_worker_is_tried() -> None:
    assert {*GAPS, *MORE_GAPS} == dying_worker.GAPS.keys()


@KAFKA_IN_PROOF
@pytest.mark.parametrize("gap", GAPS)
async def test_a_worker_that_dies_in_the_gap_leaves_the_same_behind(
    broker: Broker, gap: str, short_log: list[SourceEvent], short_undisturbed: Left, tmp_path: Path
) -> None:
    async def revive(cluster: Cluster, _: Replayer) -> None:
        await cluster.workers[0].ended()
        await cluster.start_worker(SURVIVING)

    left = await run_shop(broker, tmp_path, short_log, program=dying(gap, GAPS[gap]), trouble=revive)

    assert [worker.child.returncode for worker in left.workers] == [-signal.SIGKILL, 0]
    assert_same(short_undisturbed, left)


@KAFKA_IN_PROOF
async def test_workers_that_die_one_after_the_other_each_in_another_gap_leave_the_same_behind(
    broker: Broker, log: list[SourceEvent], undisturbed: Left, tmp_path: Path
) -> None:
    programs = [dying(gap, occurrence) for gap, occurrence in MORE_GAPS.items()]

    async def revive(cluster: Cluster, _: Replayer) -> None:
        for program in programs[1:]:
            await cluster.workers[-1].ended()
            await cluster.start_worker(program)
        await cluster.workers[-1].ended()
        await cluster.start_worker(SURVIVING)

    left = await run_shop(broker, tmp_path, log, program=programs[0], trouble=revive)

    assert [worker.child.returncode for worker in left.workers] == [-signal.SIGKILL] * len(programs) + [0]
    assert_same(undisturbed, left)
