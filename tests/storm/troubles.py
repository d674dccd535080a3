"""What befalls the workers of a storm."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.storm.fleet import Member
    from tests.storm.storm import Storm, Trouble

#: Longest wait before a kill once a worker reads, before a restart, and the rare wait beyond a session.
_KILL_AFTER_S: Final = 2.0
_REST_S: Final = 3.0
_LONG_REST_S: Final = 14.0


def kills(count: int, busy: int, seed: int = 1) -> Trouble:
    """Kill until `count` kills have been, `busy` of them of workers that were reading.

    In each round one, two or all workers are killed behind a backlog, at moments of their own, and come back
    after a while; one in ten is killed again before it is ready.
    """

    async def trouble(storm: Storm, fleet: list[Member]) -> None:
        rng, seen = random.Random(seed), storm.chronicle
        while seen.kills < count or seen.kills_while_processing < busy:
            await asyncio.gather(*(member.ready() for member in fleet))
            await asyncio.to_thread(storm.feeder.release)
            victims = rng.sample(fleet, rng.choice((1, 1, 2, 2, 3)))
            await asyncio.gather(*(victim.processing() for victim in victims))
            await asyncio.gather(*(victim.kill_busy(rng.random() * _KILL_AFTER_S) for victim in victims))
            storm.feeder.hold()
            await asyncio.gather(*(come_back(victim, rng) for victim in victims))
        await asyncio.gather(*(member.ready() for member in fleet))

    return trouble


async def come_back(victim: Member, rng: random.Random) -> None:
    """Start a killed worker again after a while; one in ten is killed again before it is ready."""
    await asyncio.sleep(_LONG_REST_S if rng.random() < 0.1 else rng.random() * _REST_S)
    await victim.start()
    if rng.random() < 0.1:
        await asyncio.sleep(rng.random() * _REST_S)
        await victim.kill()
        await victim.start()


def comings_and_goings(rounds: int, pause_seconds: float, seed: int = 1) -> Trouble:
    """Workers leave and join every few seconds; others sleep beyond their session and wake up as zombies."""

    async def trouble(storm: Storm, fleet: list[Member]) -> None:
        rng = random.Random(seed)
        await asyncio.gather(*(member.ready() for member in fleet))
        for number in range(rounds):
            await asyncio.to_thread(storm.feeder.release)
            sleeper, goer = rng.sample(fleet, 2)
            await sleeper.processing()
            await asyncio.gather(
                sleeper.pause(pause_seconds) if number % 2 else asyncio.sleep(rng.random() * _REST_S),
                _come_and_go(goer, rng),
            )
            storm.feeder.hold()
            await asyncio.gather(*(member.ready() for member in fleet))

    return trouble


async def _come_and_go(member: Member, rng: random.Random) -> None:
    await asyncio.sleep(rng.random() * _REST_S)
    await member.stop()
    await asyncio.sleep(rng.random() * _REST_S)
    await member.start()
