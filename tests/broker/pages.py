"""What a worker's page says, as whoever probes it sees it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.broker.cluster import WorkerProcess

#: Of a machine that has much else to do; a broker that does not answer keeps clients waiting for longer.
PATIENCE_SECONDS: Final = 20.0


class Answer(NamedTuple):
    """Status of a health page, and the problems it names."""

    status: int
    problems: list[str]


async def ask(worker: WorkerProcess, page: str) -> Answer:
    """Ask `live` or `ready`; raises TimeoutError when there is no answer, as from a worker that hangs."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        aiohttp.ClientSession() as session,
        session.get(f"{worker.page()}health/{page}") as answer,
    ):
        return Answer(answer.status, (await answer.json())["problems"])


async def answering(worker: WorkerProcess) -> None:
    """Wait until the worker has a page."""
    while worker.page() is None:
        assert worker.child.returncode is None, worker.said()
        await asyncio.sleep(0.01)


async def watched(
    worker: WorkerProcess, page: str, until: Callable[[Answer], bool], seconds: float = 60.0
) -> list[Answer]:
    """All answers of a page up to the one that `until` waits for; raises TimeoutError."""
    answers: list[Answer] = []
    end = time.monotonic() + seconds
    while not answers or not until(answers[-1]):
        if time.monotonic() > end:
            raise TimeoutError(f"{page}: {answers[-1:]}\n{worker.said()}")
        await asyncio.sleep(0.02)
        answers.append(await ask(worker, page))
    return answers
