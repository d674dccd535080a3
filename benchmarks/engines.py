"""Running an engine as a child process and reading what it cost.

The price of a run is the user and system CPU time of the child with all its threads and children, as the
kernel counts it (wait4). Start-up is taken out by the caller, with two runs of different size.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import IO, TYPE_CHECKING, Protocol

from benchmarks import envs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.rivals.tally import Task
    from streams.topics import Topics

ROOT = Path(__file__).resolve().parent.parent
#: A run that takes longer is broken.
TIMEOUT_S = 180.0


class EngineError(RuntimeError):
    """An engine did not finish its task; the message ends with what it printed last."""


@dataclass(frozen=True)
class Sample:
    """One run: events, CPU seconds of the process tree, seconds from the first event until all is durable."""

    events: int
    cpu_s: float
    seconds: float
    alerts: int


@dataclass(frozen=True)
class Exit:
    """How a child ended: its output, and CPU seconds (user and system) with threads and children."""

    code: int
    cpu_s: float
    stdout: str
    stderr: str


class Engine(Protocol):
    """Something that can do the job."""

    @property
    def name(self) -> str:
        """The key of its figures."""

    @property
    def needs_admin(self) -> bool:
        """Whether it creates topics or reads their settings, which the embedded broker cannot serve."""

    def prepare(self) -> None:
        """Install what is missing, so that no run pays for it."""

    def topics(self, task: Task) -> Topics | None:
        """The catalogue that must exist before a run, where the engine does not see to it itself."""

    def run(self, task: Task) -> Sample:
        """Do `task` to its end; raises `EngineError` if it does not get there."""


@dataclass(frozen=True)
class Rival:
    """An engine with a script in `benchmarks/rivals`, which ends by itself, in an environment of its own."""

    name: str
    script: str
    requirements: tuple[str, ...]
    needs_admin: bool

    @property
    def _environment(self) -> Path:
        return ROOT / "run" / "bench-envs" / self.name

    def prepare(self) -> None:
        """See `Engine`."""
        envs.interpreter(self._environment, self.requirements)

    def topics(self, _: Task) -> None:
        """See `Engine`."""

    def run(self, task: Task) -> Sample:
        """See `Engine`."""
        python = envs.interpreter(self._environment, self.requirements)
        module = f"benchmarks.rivals.{self.script}"
        ended = run_child([str(python), "-W", "ignore", "-m", module, *task.arguments()])
        if ended.code:
            raise EngineError(f"{self.name} ended with {ended.code}: {ended.stderr[-1500:]}")
        said = json.loads(ended.stdout.splitlines()[-1])
        if said["events"] != task.events or said["rejected"]:
            raise EngineError(f"{self.name} did another job than asked: {said}")
        return Sample(said["events"], ended.cpu_s, said["seconds"], said["alerts"])


RIVALS = (
    Rival("faust", "faust_stock", ("faust-streaming==0.15.3", "uvloop==0.*"), needs_admin=True),
    Rival("bytewax", "bytewax_flow", ("bytewax[kafka]==0.21.*",), needs_admin=False),
    Rival("quix", "quix_flow", ("quixstreams==3.*",), needs_admin=True),
)


def run_child(command: Sequence[str]) -> Exit:
    """Run `command` from the repository's root to its end; killed, with children, after `TIMEOUT_S`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=child_environment({}),
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        deadline = Timer(TIMEOUT_S, os.killpg, (child.pid, signal.SIGKILL))
        deadline.start()
        try:
            ended = reap(child)
        finally:
            deadline.cancel()
        return replace(ended, stdout=_text(out), stderr=_text(err))


def child_environment(added: Mapping[str, str]) -> dict[str, str]:
    """Our environment and what is `added`; hash randomisation is off, so that two runs do the same work."""
    return {**os.environ, "PYTHONHASHSEED": "0", **added}


def reap(child: subprocess.Popen[bytes]) -> Exit:
    """Wait for `child` and read its CPU time, which `Popen.wait` would throw away."""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Exit(child.returncode, usage.ru_utime + usage.ru_stime, "", "")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
