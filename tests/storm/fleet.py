"""Several workers, and what is done to them: killed, paused, restarted; with a record of all of it."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from streams.processes import is_ready, read_metrics
from tests.broker.cluster import WorkerProcess
from tests.storm.shop_time import WORKER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.settings import Settings

_LOOK_S: Final = 0.1
_LATELY_S: Final = 1.0
PATIENCE_S: Final = 240.0


@dataclass
class Chronicle:
    """What befell the workers."""

    kills: int = 0
    #: Kills of workers that had read records within the last second.
    kills_while_processing: int = 0
    pauses: int = 0
    restarts: int = 0
    #: From the restart of a process until it was ready; seconds.
    recoveries: list[float] = field(default_factory=list)
    #: The highest value that any process reported of each of these.
    holes_mended: float = 0
    foreign_writes: float = 0


class Member:
    """One worker's place: a state directory of its own, and one process after the other."""

    def __init__(
        self, settings: Settings, folder: Path, chronicle: Chronicle, program: tuple[str, ...] = WORKER
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        section = settings.worker.model_copy(update={"state_dir": folder / "state", "http_port": 0})
        self._settings = settings.model_copy(update={"worker": section})
        self._folder, self._program = folder, program
        self._chronicle = chronicle
        self._process: WorkerProcess | None = None
        self._recovering: asyncio.Task[None] | None = None
        #: Records that were read when somebody last looked, and when that was more than before.
        self._read, self._read_at = 0.0, 0.0
        self._seen: dict[str, float] = {}

    @property
    def process(self) -> WorkerProcess:
        assert self._process is not None, "never started"
        return self._process

    def adopt(self, **changes: dict[str, Any]) -> None:
        """What it starts with from now on: changes to its settings, by section."""
        sections = {
            name: getattr(self._settings, name).model_copy(update=change) for name, change in changes.items()
        }
        self._settings = self._settings.model_copy(update=sections)

    async def start(self) -> None:
        again = self._process is not None
        self._chronicle.restarts += again
        self._process = WorkerProcess(self._settings, self._folder, self._program)
        began = time.monotonic()
        self._read, self._read_at, self._seen = 0.0, 0.0, {}
        await self.process.start()
        if again:
            self._recovering = asyncio.create_task(self._recover(began))

    async def _recover(self, began: float) -> None:
        """Note how long a restart takes, whatever is waited for meanwhile."""
        await self.ready()
        self._chronicle.recoveries.append(time.monotonic() - began)

    async def ready(self) -> None:
        """Wait until it is ready."""
        await self.process.ready(PATIENCE_S)

    async def is_ready(self) -> bool:
        page = self.process.page()
        return page is not None and await asyncio.to_thread(is_ready, page)

    async def metrics(self) -> dict[str, float]:
        """What this process reports of itself."""
        page = self.process.page()
        assert page is not None, "its page is not up"
        return await asyncio.to_thread(read_metrics, page)

    async def progress(self) -> float:
        """Records that this process has read; notes what else it reports."""
        metrics = await self.metrics()
        self._note(metrics)
        read = sum(value for name, value in metrics.items() if name.startswith("churnwatch_records_total"))
        if read > self._read:
            self._read, self._read_at = read, time.monotonic()
        return read

    def _note(self, metrics: dict[str, float]) -> None:
        for name, attribute in (
            ("churnwatch_holes_mended{}", "holes_mended"),
            ("churnwatch_foreign_writes_total{table=customers}", "foreign_writes"),
            ("churnwatch_foreign_writes_total{table=ledger}", "foreign_writes"),
        ):
            more = metrics.get(name, 0) - self._seen.get(name, 0)
            setattr(self._chronicle, attribute, getattr(self._chronicle, attribute) + more)
            self._seen[name] = metrics.get(name, 0)

    async def processing(self, seconds: float = PATIENCE_S) -> None:
        """Wait until records are being read."""
        before, end = await self.progress(), time.monotonic() + seconds
        while await self.progress() <= before:
            assert time.monotonic() < end, f"nothing is read:\n{self.process.said()[-4000:]}"
            await asyncio.sleep(_LOOK_S)

    async def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        self._chronicle.kills += 1
        self._no_recovery()
        await self.process.kill()

    async def kill_busy(self, after: float) -> None:
        """SIGKILL `after` seconds from now; counts as processing if it has read in the second before."""
        kill_at = time.monotonic() + after
        await self.progress()
        while (left := kill_at - time.monotonic()) > 0:
            await asyncio.sleep(min(_LOOK_S, left))
            await self.progress()
        busy = time.monotonic() - self._read_at < _LATELY_S
        await self.kill()
        self._chronicle.kills_while_processing += busy

    async def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        self._chronicle.pauses += 1
        self.process.child.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.process.child.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """A graceful stop, which must succeed."""
        self._no_recovery()
        code = await self.process.stop()
        assert code == 0, f"ended with {code}:\n{self.process.said()[-4000:]}"

    async def bury(self) -> None:
        """Leave no process behind, however the storm ended."""
        self._no_recovery()
        if self._process is not None and self.process.child.returncode is None:
            await self.process.kill()

    def _no_recovery(self) -> None:
        if self._recovering is not None:
            self._recovering.cancel()

    def check(self) -> None:
        """Fail if the process has ended by itself."""
        code = self.process.child.returncode
        assert code is None or code == -signal.SIGKILL, f"ended with {code}:\n{self.process.said()[-4000:]}"


async def until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait for a condition that may block; AssertionError when time is up."""
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end, f"{what} took more than {seconds:.0f} s"
        await asyncio.sleep(1.0)
