"""Running a worker as a process: until a signal stops it, or an error does."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from typing import TYPE_CHECKING, Any

import msgspec

from models.versions import ModelSet
from streams.app import LeaveError, running
from streams.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings
    from streams.worker import Worker

log = logger(__name__)


def read_models(path: Path) -> ModelSet:
    """The model set in a JSON file. Raises OSError and ValueError, which name the file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelSet)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} holds no models: {error}") from error


def collect_rarely() -> None:
    """Tune the garbage collector for batches: thousands of objects that die together and form no cycles.

    By default it would look at all that lives, imported modules first, after every few hundred of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


async def run_worker(settings: Settings, model: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT, then leave gracefully. Raises what made the worker fail."""
    collect_rarely()
    frozen = None if model is None else read_models(model)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running(settings, frozen) as worker:
            await _until_it_ends(worker, stop)
    except LeaveError as error:
        log.warning("ended without leaving the group", why=str(error))
        # Python would wait for the thread for ever.
        os._exit(1 if worker.error.done() else 0)
    if worker.error.done():
        await worker.error


async def _until_it_ends(worker: Worker, stop: asyncio.Event) -> None:
    """Wait for a signal or an error, and say which came."""
    stopped = asyncio.create_task(stop.wait())
    ends: list[asyncio.Future[Any]] = [stopped, worker.error]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if worker.error.done():
        log.error("the worker cannot go on", why=str(worker.error.exception()))
    else:
        log.info("stopping")
