"""A stop that does not come to an end by itself is ended; in a process of its own, which goes with it."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import time

import pytest

from streams.stopping import cancelled, together

#: A worker whose broker is away: it tries to leave for ever.
LEAVES_NEVER = """
import asyncio, sys
from streams import logs
from streams.stopping import stopping

async def main(seconds):
    with stopping(seconds) as stop:
        print("up", flush=True)
        await stop.begun.wait()
        print("leaving", flush=True)
        await asyncio.Event().wait()

logs.configure("info")
asyncio.run(main(float(sys.argv[1])))
"""


def leaving(seconds: float, first: signal.Signals = signal.SIGTERM) -> subprocess.Popen[str]:
    """A process that leaves after its first signal, with so much time."""
    child = subprocess.Popen(
        [sys.executable, "-c", LEAVES_NEVER, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    child.send_signal(first)
    assert child.stdout.readline() == "leaving\n"
    return child


def test_a_stop_that_takes_too_long_ends_by_force_with_one_clear_line():
    began = time.monotonic()
    child = leaving(0.3)

    _, said = child.communicate(timeout=20)

    assert child.returncode == 1
    assert time.monotonic() - began > 0.3
    (line,) = said.splitlines()
    assert "stopped by force: what was not committed is read again" in line
    assert "it took longer than 0.3 s" in line


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(first: signal.Signals):
    child = leaving(1_000, first)

    child.terminate()

    _, said = child.communicate(timeout=20)
    assert child.returncode == 1
    assert "it was told to again" in said


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again():
    """As aiokafka does when it comes in the moment in which a client is closed."""
    swallowed = 0

    async def work() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await cancelled(task, again_seconds=0.01)

    assert task.cancelled()
    assert swallowed == 2


async def test_of_several_none_runs_on_when_they_are_cancelled_however_late_one_of_them_ends():
    """`asyncio.gather` would end with the first of them."""
    ended = 0

    async def reluctant() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            ended += 1

    async def willing() -> None:
        await asyncio.sleep(60)

    task = asyncio.create_task(together(willing(), reluctant(), reluctant()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled(task, again_seconds=0.01)

    assert ended == 2
    assert task.cancelled()


async def test_several_that_are_called_off_leave_no_complaint(caplog: pytest.LogCaptureFixture):
    task = asyncio.create_task(together(asyncio.sleep(60), asyncio.sleep(60)))
    await asyncio.sleep(0)
    await cancelled(task, again_seconds=0.01)
    del task
    gc.collect()

    assert caplog.text == ""


async def test_of_several_none_runs_on_after_one_of_them_failed():
    cancelled_others = 0

    async def fails() -> None:
        raise OSError("no space left")

    async def works() -> None:
        nonlocal cancelled_others
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled_others += 1
            raise

    with pytest.raises(OSError, match="no space left"):
        await together(works(), fails(), works())

    assert cancelled_others == 2
