"""`churnwatch demo`: real purchases through the whole chain on this machine, and a summary to read.

Starts the embedded broker and a worker as processes of their own, exactly as a user would, replays a real
purchase log in lock-step, and counts what came out as any subscriber sees it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from features.layout import DAY_MS
from streams.replaying import replay_events
from streams.settings import Settings, load
from streams.sources import Source, first_seen, simulated_profiles, sorted_by_time
from streams.sources.cdnow import Cdnow
from streams.sources.completejourney import CompleteJourney
from streams.summary import render, summarise
from streams.tally import tallying

#: Shares of customers whose consent the demo draws; nobody was asked, and the summary says so.
CONSENTS: Final = {"email": 0.6, "sms": 0.3, "call": 0.2, "onsite": 0.9}
_PARTITIONS: Final = 8


@dataclass(frozen=True)
class Plan:
    """How one data set is demonstrated."""

    source: Source
    thresholds: Mapping[str, float]
    #: Start of the record that docs and benchmarks quote; None for all of it.
    evaluate_from: date | None = None


def plan(data: str) -> Plan:
    """The plan for `cdnow` or `completejourney`; raises SourceError when its package is missing."""
    if data == "cdnow":
        thresholds = {"medium": 0.85, "high": 0.90, "critical": 0.95}
        return Plan(Cdnow(), thresholds, date(1997, 10, 8))
    return Plan(CompleteJourney(), {"medium": 0.60, "high": 0.80, "critical": 0.95})


def demo_settings(plan: Plan, first_ts: int, bootstrap: str, run: Path) -> Settings:
    """Settings of the demo's worker and replayer; the grid starts at the log's first day."""
    source = plan.source
    anchor = datetime.fromtimestamp((first_ts - first_ts % DAY_MS) / 1000, UTC).date()
    return load(
        None,
        kafka={"bootstrap_servers": bootstrap, "partitions": _PARTITIONS, "session_timeout_seconds": 10},
        model={
            "horizon_days": source.horizon_days,
            "every_days": source.every_days,
            "active_within_days": source.active_within_days,
            "grid_anchor": anchor,
            "evaluate_from": plan.evaluate_from,
        },
        alerting=dict(plan.thresholds),
        interventions={"live_commands": True},
        # The embedded broker keeps about 5 MB of each log, so the checkpoint must never be further behind.
        worker={"state_dir": run / "state", "http_port": 0, "checkpoint_bytes": 3 << 20, "checkpoint_seconds": 30},
    )


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment of a worker process."""
    found = dict(os.environ)
    for part, values in settings.model_dump(mode="json", exclude_none=True).items():
        if isinstance(values, dict):
            for name, value in values.items():
                text = value if isinstance(value, str) else orjson.dumps(value).decode()
                found[f"CHURNWATCH_{part.upper()}__{name.upper()}"] = text
    found["CHURNWATCH_KAFKA__SASL_PASSWORD"] = settings.kafka.sasl_password.get_secret_value()
    return found


async def run_demo(data: str, run: Path, *, keep: bool, console: Console) -> dict[str, Any]:
    """Run the demo under the folder `run`; returns what `run/summary.json` says."""
    chosen = plan(data)
    work = run / "demo"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    console.print(f"[bold]churnwatch demo[/]: {chosen.source.description}")
    events = await asyncio.to_thread(lambda: list(sorted_by_time(chosen.source)))
    seen = first_seen(events)
    defaults = load(None)
    profiles = simulated_profiles(seen, defaults.salt.get_secret_value(), CONSENTS)
    everything = sorted([*profiles, *events], key=lambda e: e.ts)
    async with _broker(work) as bootstrap:
        settings = demo_settings(chosen, events[0].ts, bootstrap, work)
        async with worker_process(settings, work) as page, tallying(settings) as tally:
            started = time.perf_counter()
            done = await replay_events(settings, everything, console, tally=tally)
            seconds = time.perf_counter() - started
            metrics = await asyncio.to_thread(read_metrics, page)
            events_done = done.events - len(seen)
            summary = summarise(data, chosen.source, len(seen), events_done, seconds, tally.tally, metrics)
            (run / "summary.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
            console.print(render(summary, tally.tally, settings, run))
            if keep:
                console.print(f"\nStill up; press Ctrl-C to stop. Metrics: {page}metrics   Kafka: {bootstrap}")
                await _until_interrupted()
    return summary


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "streams.cli", *arguments]


@asynccontextmanager
async def _broker(work: Path) -> AsyncIterator[str]:
    """The embedded broker as a process; gives its address."""
    file = work / "bootstrap"
    environment = {**os.environ, "CHURNWATCH_KAFKA__PARTITIONS": str(_PARTITIONS)}
    async with process(_command("broker", "--bootstrap-file", str(file)), environment, work / "broker.log") as up:
        await until(file.exists, up, 20, "the embedded broker", work / "broker.log")
        yield file.read_text().strip()


@asynccontextmanager
async def worker_process(settings: Settings, work: Path) -> AsyncIterator[str]:
    """A worker as a process; gives the address of its page once it is ready."""
    log = work / "worker.log"
    offset = log.stat().st_size if log.exists() else 0
    async with process(_command("worker"), environment(settings), log) as up:
        page: list[str] = []

        def ready() -> bool:
            for line in log.read_bytes()[offset:].splitlines():
                if b'"answering"' in line:
                    page[:] = [f"http://127.0.0.1:{orjson.loads(line)['port']}/"]
            return bool(page) and is_ready(page[0])

        await until(ready, up, 60, "the worker", log)
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
