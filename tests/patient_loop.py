"""An event loop whose clock stands still while anything can happen, and then jumps to the next timer.

Sleeps cost no time, and no time-out fires because the machine is busy: any machine comes to the same verdict.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Who turns so often without rest waits for the clock.
RESTLESS = 10_000


class PatientLoop(asyncio.SelectorEventLoop):
    """While threads work the clock stands still; while sockets are open it goes as outside."""

    def __init__(self) -> None:
        self._now = 0.0
        self._in_threads = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._in_threads += 1
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, _future: asyncio.Future[Any]) -> None:
        self._in_threads -= 1


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits for nobody while the clock can be put forward instead."""

    def __init__(self, loop: PatientLoop) -> None:
        super().__init__()
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Events that are there now; else the clock moves."""
        events, loop = super().select(0), self._loop
        if timeout is not None and timeout <= 0:
            self._turns += 1
            if self._turns >= RESTLESS and not loop._in_threads:
                self._turns = 0
                loop._now = max([loop._now, *[timer.when() for timer in loop._scheduled[:1]]])
            return events
        self._turns = 0
        if events:
            return events
        if timeout is None or loop._in_threads:
            return super().select(None)
        # The loop's own way of being woken is always registered.
        if len(self.get_map()) > 1:
            before = time.monotonic()
            events = super().select(timeout)
            loop._now += time.monotonic() - before
            return events
        loop._now += timeout
        return []
