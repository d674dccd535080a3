"""A stop that comes to an end: gracefully, and after a while at any price.

A worker that leaves commits and waits for confirmations, and neither Faust nor aiokafka gives up while the
broker is away. Whoever stopped the worker would wait until its own patience is over and use SIGKILL.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from streams.logs import logger

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

log = logger(__name__)


class Stop:
    """Begins with the first signal. A second one, or `seconds` without an end, ends the process with code 1.

    That loses nothing: rows are durable before an offset is acknowledged.
    """

    def __init__(self, seconds: float) -> None:
        self.begun = asyncio.Event()
        self._signalled = False
        # A thread's timer, because the event loop may be what does not come to an end.
        self._timer = threading.Timer(seconds, _end, [f"it took longer than {seconds:g} s"])
        self._timer.daemon = True

    def signalled(self) -> None:
        """Somebody wants the process to stop."""
        if self._signalled:
            _end("it was told to again")
        self._signalled = True
        self.begin()

    def begin(self) -> None:
        """Leave from now on, in time."""
        if not self.begun.is_set():
            self.begun.set()
            self._timer.start()

    def ended(self) -> None:
        """The stop was graceful."""
        self._timer.cancel()


async def cancelled(task: asyncio.Task[None], again_seconds: float = 0.2) -> None:
    """Cancel `task` until it has ended.

    aiokafka swallows a cancellation that comes as it closes a client, so once may not be enough; one that had
    no effect for `again_seconds` was swallowed.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=again_seconds)


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all of them; when this ends, by an error or a cancellation too, none of them runs on.

    `asyncio.gather` ends with the first that was cancelled, and a `TaskGroup` waits without end for one that
    swallowed its cancellation.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    everything = asyncio.gather(*tasks)
    # Who is cancelled does not look at it any more, and asyncio would complain.
    everything.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.shield(everything)
    finally:
        ending = asyncio.gather(*(cancelled(task) for task in tasks))
        while not ending.done():
            # Another cancellation from outside must not leave them behind after all.
            with suppress(asyncio.CancelledError):
                await asyncio.shield(ending)


def _end(why: str) -> None:
    log.error("stopped by force: what was not committed is read again", why=why)
    os._exit(1)


@contextmanager
def stopping(seconds: float) -> Iterator[Stop]:
    """SIGTERM and SIGINT begin a stop, for which there is time until the block ends."""
    stop, loop = Stop(seconds), asyncio.get_running_loop()
    signals = signal.SIGTERM, signal.SIGINT
    for number in signals:
        loop.add_signal_handler(number, stop.signalled)
    try:
        yield stop
    finally:
        stop.ended()
        for number in signals:
            loop.remove_signal_handler(number)
