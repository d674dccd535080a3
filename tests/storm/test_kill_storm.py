"""Three workers under kill -9, and an independent verifier: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.storm.fleet import PATIENCE_S
from tests.storm.outcome import report
from tests.storm.record import record
from tests.storm.relearning import relearned
from tests.storm.shop_time import WORKER
from tests.storm.storm import weather
from tests.storm.troubles import kills

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storm.fleet import Member
    from tests.storm.outcome import Outcome
    from tests.storm.storm import Storm, Trouble

pytestmark = [pytest.mark.broker, pytest.mark.kafka]

DROPPING = ("-m", "tests.storm.dropping_worker")
LATE = ("-m", "tests.storm.late_worker")
UNGUARDED = ("-m", "tests.storm.unguarded_worker")


async def test_a_few_kills_lose_nothing_and_double_nothing(bootstrap: str, tmp_path: Path) -> None:
    outcome = await _small(bootstrap, tmp_path, kills(4, 2), events=15_000, arrivals=150)

    assert outcome.verdict.is_clean, report(outcome)
    assert outcome.chronicle.kills >= 4
    assert min(outcome.verdict.alerts, outcome.verdict.commands, outcome.verdict.labels) > 500


@pytest.mark.slow
async def test_a_hundred_kills_among_a_million_events_lose_nothing_and_double_nothing(
    bootstrap: str, tmp_path: Path
) -> None:
    outcome = await weather(
        bootstrap, tmp_path, kills(100, 80), events=1_000_000, arrivals=1_200, backlog=25_000
    )

    print(report(outcome))
    record("kill storm", outcome)
    assert outcome.verdict.is_clean, report(outcome)
    assert outcome.verdict.events >= 1_000_000
    assert min(outcome.verdict.alerts, outcome.verdict.commands, outcome.verdict.labels) > 10_000
    assert outcome.chronicle.kills_while_processing >= 80


@pytest.mark.slow
async def test_workers_that_keep_their_names_and_learn_survive_kills_too(
    bootstrap: str, tmp_path: Path
) -> None:
    """Static membership: who is back within the session finds its partitions; the others never stop."""
    outcome = await weather(
        bootstrap,
        tmp_path,
        kills(30, 20, seed=2),
        events=300_000,
        arrivals=1_200,
        backlog=25_000,
        learning=True,
        static=True,
    )

    print(report(outcome))
    record("kill storm, static members", outcome)
    assert outcome.verdict.is_clean, report(outcome)
    assert outcome.chronicle.kills_while_processing >= 20
    assert min(outcome.verdict.alerts, outcome.verdict.commands, outcome.verdict.labels_learned) > 10_000
    assert outcome.said.models == relearned(outcome.said, outcome.settings)


@pytest.mark.slow
async def test_what_every_rebalance_makes_faust_drop_is_read_again(bootstrap: str, tmp_path: Path) -> None:
    outcome = await _small(bootstrap, tmp_path, _rebalances(6), DROPPING)

    print(report(outcome))
    record("records dropped at every rebalance", outcome)
    assert outcome.verdict.is_clean, report(outcome)
    assert min(outcome.verdict.alerts, outcome.verdict.commands, outcome.verdict.labels) > 1_000
    assert outcome.chronicle.holes_mended > 0


@pytest.mark.slow
async def test_the_verifier_finds_what_is_lost_without_the_hole_guard(bootstrap: str, tmp_path: Path) -> None:
    """Else a clean verdict would prove nothing."""
    outcome = await _small(bootstrap, tmp_path, _rebalances(6), UNGUARDED)

    print(report(outcome))
    assert outcome.verdict.lost > 0
    assert outcome.verdict.first in "".join(outcome.verdict.faults)


@pytest.mark.slow
async def test_rebalances_that_begin_before_the_last_one_ended_lose_nothing(
    bootstrap: str, tmp_path: Path
) -> None:
    outcome = await _small(bootstrap, tmp_path, _one_upon_another(8), LATE)

    print(report(outcome))
    record("rebalances upon one another", outcome)
    assert outcome.verdict.is_clean, report(outcome)
    assert min(outcome.verdict.alerts, outcome.verdict.commands, outcome.verdict.labels) > 1_000


async def _small(
    bootstrap: str,
    folder: Path,
    trouble: Trouble,
    program: tuple[str, ...] = WORKER,
    *,
    events: int = 40_000,
    arrivals: int = 400,
) -> Outcome:
    return await weather(
        bootstrap,
        folder,
        trouble,
        events=events,
        arrivals=arrivals,
        backlog=events // 4,
        session_seconds=3,
        program=program,
    )


def _rebalances(count: int) -> Trouble:
    """Workers come and go while the others read: each time the group deals the partitions anew."""

    async def trouble(_: Storm, fleet: list[Member]) -> None:
        for number in range(count):
            await asyncio.gather(*(member.ready() for member in fleet))
            victim = fleet[number % len(fleet)]
            await victim.processing(PATIENCE_S)
            await victim.kill()
            await victim.start()

    return trouble


def _one_upon_another(count: int) -> Trouble:
    """Two workers go and come back shortly after one another, while the third reads."""

    async def trouble(_: Storm, fleet: list[Member]) -> None:
        rng = random.Random(1)
        for number in range(count):
            await asyncio.gather(*(member.ready() for member in fleet))
            victims = fleet[number % 3], fleet[(number + 1) % 3]
            await asyncio.gather(*(victim.processing(PATIENCE_S) for victim in victims))
            for victim in victims:
                await asyncio.sleep(rng.random() * 2)
                await victim.stop()
            for victim in victims:
                await asyncio.sleep(rng.random() * 2)
                await victim.start()

    return trouble
