"""A broker and a worker as processes of their own, exactly as a user would start them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from streams.settings import Settings


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment of a worker process."""
    found = dict(os.environ)
    # What nobody set is left to its default: some settings exclude one another.
    for part, values in settings.model_dump(mode="json", exclude_none=True, exclude_unset=True).items():
        if isinstance(values, dict):
            for name, value in values.items():
                text = value if isinstance(value, str) else orjson.dumps(value).decode()
                found[f"CHURNWATCH_{part.upper()}__{name.upper()}"] = text
    for name in ("sasl_password", "ssl_key_password"):  # masked above
        found[f"CHURNWATCH_KAFKA__{name.upper()}"] = getattr(settings.kafka, name).get_secret_value()
    return found


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "streams.cli", *arguments]


@asynccontextmanager
async def broker_process(work: Path, partitions: int) -> AsyncIterator[str]:
    """The embedded broker as a process; gives its address."""
    file = work / "bootstrap"
    environment = {**os.environ, "CHURNWATCH_KAFKA__PARTITIONS": str(partitions)}
    async with process(
        _command("broker", "--bootstrap-file", str(file)), environment, work / "broker.log"
    ) as up:
        await until(file.exists, up, 20, "the embedded broker", work / "broker.log")
        yield file.read_text().strip()


@asynccontextmanager
async def worker_process(settings: Settings, work: Path, patience: float = 60) -> AsyncIterator[str]:
    """A worker as a process; gives the address of its page once it is ready, within `patience` seconds."""
    log = work / "worker.log"
    offset = log.stat().st_size if log.exists() else 0
    async with process(_command("worker"), environment(settings), log) as up:
        page: list[str] = []

        def ready() -> bool:
            for line in log.read_bytes()[offset:].splitlines():
                if b'"answering"' in line:
                    page[:] = [f"http://127.0.0.1:{orjson.loads(line)['port']}/"]
            return bool(page) and is_ready(page[0])

        await until(ready, up, patience, "the worker", log)
        yield page[0]


@asynccontextmanager
async def process(command: list[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[Any]:
    """A child process whose output goes to `log`; stopped gracefully when the block ends."""
    with log.open("ab") as file:
        child = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 20)
            except TimeoutError:
                child.kill()
                await child.wait()


async def until(condition: Any, child: Any, seconds: float, what: str, log: Path) -> None:
    """Wait for `condition()`; raises RuntimeError when the child ends or time is up."""
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if child.returncode is not None or time.monotonic() > end:
            raise RuntimeError(f"{what} did not come up; see {log}")
        await asyncio.sleep(0.05)


def is_ready(page: str) -> bool:
    """Whether the worker behind `page` says that it is ready."""
    try:
        with urllib.request.urlopen(f"{page}health/ready", timeout=2) as answer:  # noqa: S310 - our own loopback page
            return bool(answer.status == 200)
    except OSError:
        return False


def read_metrics(page: str) -> dict[str, float]:
    """The worker's metrics as `name{labels}` → value, labels sorted."""
    with urllib.request.urlopen(f"{page}metrics", timeout=30) as answer:  # noqa: S310 - our own loopback page
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found
