"""The clock of unit tests (tests/patient_loop.py)."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest


async def test_a_day_of_sleep_takes_no_time():
    began, now = time.monotonic(), asyncio.get_running_loop().time()

    await asyncio.sleep(86_400)

    assert asyncio.get_running_loop().time() == pytest.approx(now + 86_400)
    assert time.monotonic() - began < 60


async def test_timers_fire_in_their_order():
    fired = []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append(seconds)

    await asyncio.gather(sleeper(30), sleeper(0.001), sleeper(5))

    assert fired == [0.001, 5, 30]


async def test_no_time_passes_while_a_thread_works():
    let_go = threading.Event()
    work = asyncio.create_task(asyncio.to_thread(let_go.wait))
    await asyncio.sleep(0)
    # From another thread, long after a time-out of a millisecond would have fired on an ordinary loop.
    threading.Timer(0.05, let_go.set).start()

    assert await asyncio.wait_for(work, 0.001)


async def test_a_time_out_that_nothing_comes_before_does_fire():
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 1000)


async def test_who_only_turns_round_does_not_stop_the_clock():
    async def turn() -> None:
        while True:  # noqa: ASYNC110 - as careless tests do
            await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(turn(), 1)
