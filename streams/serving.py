"""Running a worker as a process: until a signal stops it, or an error does."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import msgspec

from models.versions import ModelSet
from streams.app import running
from streams.authorisation import named
from streams.logs import logger
from streams.rights import WORKER
from streams.stopping import stopping

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings

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
    """Run until SIGTERM or SIGINT, then leave gracefully and in time. Raises what made the worker fail."""
    collect_rarely()
    frozen = None if model is None else read_models(model)
    with stopping(settings.worker.stop_seconds) as stop:
        async with running(settings, frozen) as worker:
            stopped = asyncio.create_task(stop.begun.wait())
            ends: list[asyncio.Future[Any]] = [stopped, worker.error]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            error = worker.error.exception() if worker.error.done() else None
            if error is not None:
                kafka = settings.kafka
                error = await named(error, WORKER, kafka.topics(), kafka.client_options())
                log.error("the worker cannot go on", why=str(error))
            else:
                log.info("stopping")
            stop.begin()
        log.info("stopped")
    if error is not None:
        raise error
