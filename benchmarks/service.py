"""Measuring a worker that never ends by itself, such as `churnwatch worker`.

It begins with the first row of its changelog, and is done when the broker holds a commit of its group at the
end of every input partition: a worker that commits only what is durable is then where a rival is that flushed
everything, and there its CPU time is read. It is stopped by SIGTERM, as an orchestrator would.
"""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from confluent_kafka import Consumer

from benchmarks.brokers import log_ends
from benchmarks.engines import ROOT, TIMEOUT_S, EngineError, Sample, child_environment, reap
from benchmarks.memory import resident_bytes
from streams.processes import is_ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.rivals.tally import Task
    from streams.topics import Topics

_POLL_S = 0.02


@dataclass(frozen=True)
class Launch:
    """How to start a worker, and topics (there from the start): of its durable state, and of its alerts."""

    command: Sequence[str]
    environment: Mapping[str, str]
    changelog: str
    alerts: str


@dataclass(frozen=True)
class Service:
    """An engine that runs until it is told to stop; `launch` readies a task and says how to start on it."""

    name: str
    launch: Callable[[Task], Launch]
    topics: Callable[[Task], Topics]
    needs_admin: bool = False

    def prepare(self) -> None:
        """Nothing to install: it runs in the environment of the bench itself."""

    def run(self, task: Task) -> Sample:
        """See `Engine`."""
        launch = self.launch(task)
        with started(launch, task.state_dir / "worker.log") as worker:
            worker.wait_until(lambda: _end(task.bootstrap, [launch.changelog]) > 0)
            begun = time.perf_counter()
            worker.wait_until_committed(task)
            seconds = time.perf_counter() - begun
            cpu_s = worker.cpu_s()
            worker.stop()
        return Sample(task.events, cpu_s, seconds, _end(task.bootstrap, [launch.alerts]))


@dataclass(frozen=True)
class Worker:
    """A running worker process, its output in `log`."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Poll `reached`; raises `EngineError` if the worker ends before, or after `TIMEOUT_S`."""
        deadline = time.monotonic() + TIMEOUT_S
        while not reached():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EngineError(f"the worker did not get there: {self.log.read_text()[-1500:]}")
            time.sleep(_POLL_S)

    def wait_until_committed(self, task: Task) -> None:
        """Wait until the group of `task` has committed the end of every input partition."""
        ends = log_ends(task.bootstrap, task.topics)
        # Never subscribes, so it asks for the offsets of the group without being a member of it.
        observer = Consumer({"bootstrap.servers": task.bootstrap, "group.id": task.group, "log_level": 2})
        partitions = [partition for partition, end in ends.items() if end]

        def caught_up() -> bool:
            committed = observer.committed(partitions, timeout=10)
            return all(
                found.offset >= ends[partition]
                for found, partition in zip(committed, partitions, strict=True)
            )

        try:
            self.wait_until(caught_up)
        finally:
            observer.close()

    @property
    def page(self) -> str | None:
        """Address of its page, once it has said so; for that its log level must be `info`."""
        for line in self.log.read_bytes().splitlines():
            if b'"answering"' in line:
                return f"http://127.0.0.1:{orjson.loads(line)['port']}/"
        return None

    def is_ready(self) -> bool:
        """Whether it says so."""
        return (page := self.page) is not None and is_ready(page)

    def resident_bytes(self) -> int:
        """Resident memory; raises `EngineError` if it has ended."""
        if self.process.poll() is not None:
            raise EngineError(f"the worker ended: {self.log.read_text()[-1500:]}")
        return resident_bytes(self.process.pid)

    def cpu_s(self) -> float:
        """CPU seconds so far, user and system, of all its threads; it has no children."""
        # What clock_getcpuclockid(3) gives for another process on Linux.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def stop(self) -> None:
        """Send SIGTERM and wait for the end; raises `EngineError` on a bad one."""
        self.process.send_signal(signal.SIGTERM)
        ended = reap(self.process)
        if ended.code not in {0, -signal.SIGTERM}:
            raise EngineError(f"the worker ended with {ended.code}: {self.log.read_text()[-1500:]}")


@contextmanager
def started(launch: Launch, log: Path) -> Iterator[Worker]:
    """A worker started by `launch`; killed at the end if it still runs."""
    with log.open("wb") as sink:
        environment = child_environment(launch.environment)
        process = subprocess.Popen(launch.command, cwd=ROOT, env=environment, stdout=sink, stderr=sink)
    try:
        yield Worker(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def _end(bootstrap: str, topics: Sequence[str]) -> int:
    return sum(log_ends(bootstrap, topics).values())
