"""One node of a Kafka cluster: a Java process that can be started, stopped, killed and paused."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: A graceful stop that takes longer is ended by force.
STOP_SECONDS: Final = 20.0


class Node:
    """Broker and controller in one process, at `address`. Its data outlive the process.

    `java` is the command line up to the class to run, `folder` holds `server.properties` and the log.
    """

    def __init__(self, number: int, address: str, folder: Path, java: Sequence[str]) -> None:
        self.number = number
        self.address = address
        self.log = folder / "broker.log"
        self._java = java
        self._properties = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    def format(self, cluster_id: str, options: Sequence[str] = ()) -> None:
        """Prepare the data folder, once. Raises RuntimeError with what Kafka said."""
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties), *options]
        done = subprocess.run([*self._java, *tool], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"node {self.number} was not formatted: {(done.stdout + done.stderr)[-2000:]}")

    def start(self) -> None:
        """Start the process, for the first time or again; `KafkaCluster.wait_until_up` waits for it."""
        if self.running:
            raise RuntimeError(f"node {self.number} runs already")
        with self.log.open("ab") as sink:
            # In a session of its own, so that Ctrl-C reaches whoever started it and not Kafka.
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._properties)],
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._paused = False

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop gracefully, by force if that takes longer than `STOP_SECONDS`. Nothing if it does not run."""
        if self._process is None or not self.running:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as when the power fails. Nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: the process holds its connections and answers nobody until `resume`."""
        self._signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """SIGCONT. Nothing if it is not paused."""
        if self._paused:
            self._signal(signal.SIGCONT)
            self._paused = False

    def _signal(self, number: signal.Signals) -> None:
        if not self.running:
            raise RuntimeError(f"node {self.number} does not run")
        assert self._process is not None
        self._process.send_signal(number)
