"""A worker as a process: signals stop it gracefully, errors end it with their message."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from streams import serving
from streams.recovery import RecoveryError
from streams.settings import load
from tests.building import constant_models

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Running:
    """A worker that runs until the block is left."""

    def __init__(self) -> None:
        self.error: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.models: Any = None
        self.left = False


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch):
    worker = Running()

    @asynccontextmanager
    async def run(_: Any, models: Any) -> AsyncIterator[Running]:
        worker.models = models
        yield worker
        worker.left = True

    monkeypatch.setattr(serving, "running", run)
    return worker


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_worker_gracefully(running: Running, number: int):
    serve = asyncio.create_task(serving.run_worker(load()))
    await asyncio.sleep(0.01)
    assert not running.left

    os.kill(os.getpid(), number)

    await asyncio.wait_for(serve, 1)
    assert running.left


async def test_an_error_ends_the_worker_gracefully_and_is_raised(running: Running):
    serve = asyncio.create_task(serving.run_worker(load()))
    await asyncio.sleep(0)

    running.error.set_exception(RecoveryError("the topic was recreated"))

    with pytest.raises(RecoveryError, match="recreated"):
        await asyncio.wait_for(serve, 1)
    assert running.left


async def test_a_file_s_models_are_served_and_none_are_learned(running: Running, tmp_path: Path):
    path = tmp_path / "models.json"
    path.write_bytes(msgspec.json.encode(constant_models(0.7, number=9)))
    serve = asyncio.create_task(serving.run_worker(load(), path))
    await asyncio.sleep(0)
    running.error.set_exception(RuntimeError("enough"))
    with pytest.raises(RuntimeError, match="enough"):
        await serve

    assert running.models.number == 9


@pytest.mark.parametrize("content", [b"{}", b"{", b"\xff"])
def test_a_file_without_models_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "models.json"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"models\.json holds no models"):
        serving.read_models(path)
