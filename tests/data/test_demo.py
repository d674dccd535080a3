"""The demo on real purchases, started and stopped as a user does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.data

#: Far more than it takes on a busy machine.
_SECONDS = 180


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.2)


def listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(find_spec("lifetimes") is None, reason="make demo fetches the data (Lifetimes)")
def test_a_demo_that_is_stopped_in_the_midst_leaves_no_process_behind(tmp_path: Path):
    command = [sys.executable, "-m", "streams.cli", "demo", "--data", "cdnow", "--run", str(tmp_path)]
    log, bootstrap = tmp_path / "demo" / "worker.log", tmp_path / "demo" / "bootstrap"
    with (tmp_path / "said").open("wb") as said:
        demo = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, "COLUMNS": "120"})
    try:
        until(lambda: log.exists() and b'"replay session","open":true' in log.read_bytes())
        broker = bootstrap.read_text().strip()
        assert listens(broker)

        demo.send_signal(signal.SIGTERM)

        assert demo.wait(_SECONDS) == 1
        assert not listens(broker)
        assert b'"stopped"' in log.read_bytes().splitlines()[-1]
        assert (tmp_path / "said").read_text().rstrip().endswith("Aborted!")
    finally:
        demo.kill()
        demo.wait()
