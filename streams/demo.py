"""`churnwatch demo`: real purchases through the whole chain on this machine, and a summary to read.

Starts a worker, and the embedded broker where no other is given, as processes of their own, exactly as a user
would, replays a real purchase log in lock-step, and counts what came out as any subscriber sees it.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from streams.greeting import greet
from streams.processes import broker_process, read_metrics, worker_process
from streams.replaying import replay_events
from streams.settings import FILE_VARIABLE, Settings, load
from streams.settings_file import to_toml
from streams.sources import Source, first_seen, simulated_profiles, sorted_by_time
from streams.sources.cdnow import Cdnow
from streams.sources.completejourney import CompleteJourney
from streams.summary import render, summarise
from streams.tally import tallying
from streams.topic_admin import create, delete

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from rich.console import Console

    from streams.tally import Tally

#: Shares of customers whose consent the demo draws; nobody was asked, and the summary says so.
CONSENTS: Final = {"email": 0.6, "sms": 0.3, "call": 0.2, "onsite": 0.9}
#: The embedded broker keeps about 5 MB of each log, so the checkpoint must never be further behind.
EMBEDDED_CHECKPOINTS: Final = {"checkpoint_bytes": 3 << 20, "checkpoint_ratio": 0.0, "checkpoint_seconds": 30}
_PARTITIONS: Final = 8


@dataclass(frozen=True)
class Plan:
    """How one data set is demonstrated."""

    source: Source
    #: Start of the record that docs and benchmarks quote; None for all of it.
    evaluate_from: date | None = None


def plan(data: str) -> Plan:
    """The plan for `cdnow` or `completejourney`; raises SourceError when its package is missing."""
    if data == "cdnow":
        return Plan(Cdnow(), date(1997, 10, 8))
    return Plan(CompleteJourney())


def demo_settings(plan: Plan, first_ts: int, kafka: Mapping[str, Any], run: Path) -> Settings:
    """Settings of the demo's worker and replayer; the grid starts at the log's first day.

    `kafka` are the settings that reach the broker and name what is the demo's on it.
    """
    source = plan.source
    anchor = datetime.fromtimestamp(first_ts / 1000, UTC).date()
    return load(
        None,
        # The embedded broker lets a fetch wait though there is something to read, and each costs CPU time.
        kafka={**kafka, "partitions": _PARTITIONS, "session_timeout_seconds": 10, "fetch_wait_ms": 50},
        model={
            "horizon_days": source.horizon_days,
            "every_days": source.every_days,
            "active_within_days": source.active_within_days,
            "grid_anchor": anchor,
            "evaluate_from": plan.evaluate_from,
        },
        # These logs know no time zones; both shops sold in the United States.
        interventions={"publish_rehearsals": True, "timezone": "America/Chicago"},
        worker={"state_dir": (run / "state").resolve(), "http_port": 0, **EMBEDDED_CHECKPOINTS},
    )


@asynccontextmanager
async def _hosted(work: Path, bootstrap: str | None) -> AsyncIterator[dict[str, Any]]:
    """A broker with the demo's topics: its own, or the one at `bootstrap`, which is left as it was."""
    if bootstrap is None:
        async with broker_process(work, _PARTITIONS) as address:
            yield {"bootstrap_servers": address}
        return
    # Nobody else's topics and group, an earlier demo's included.
    name = f"churnwatch-demo-{uuid.uuid4().hex[:8]}"
    kafka = {"bootstrap_servers": bootstrap, "topic_prefix": f"{name}.", "group": name}
    chosen = load(None, kafka={**kafka, "partitions": _PARTITIONS}).kafka
    topics, options = chosen.topics(), chosen.client_options()
    await greet(options)
    await create(topics, options)
    try:
        yield kafka
    finally:
        await delete(topics, options)


async def run_demo(
    data: str, run: Path, *, keep: bool, console: Console, bootstrap: str | None = None
) -> dict[str, Any]:
    """Run the demo under the folder `run`; returns what `run/summary.json` says.

    Uses the broker at `bootstrap`, with topics of its own that go in the end, or the embedded one without it.
    SIGTERM and Ctrl-C cancel it.
    """
    _stop_when_told(asyncio.current_task())
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
    async with _hosted(work, bootstrap) as kafka:
        settings = demo_settings(chosen, events[0].ts, kafka, work)
        async with worker_process(settings, work) as page, tallying(settings) as tally:
            started = time.perf_counter()
            done = await replay_events(settings, everything, console, tally=tally)
            seconds = time.perf_counter() - started
            metrics = await asyncio.to_thread(read_metrics, page)
            summary = summarise(
                data,
                chosen.source,
                customers=len(seen),
                events=done.events - len(seen),
                seconds=seconds,
                tally=tally.tally,
                metrics=metrics,
            )
            (run / "summary.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
            console.print(render(summary, tally.tally, settings, run))
            if keep:
                console.print(_still_up(settings, page, work, tally.tally))
                await _until_interrupted()
    return summary


def _still_up(settings: Settings, page: str, work: Path, tally: Tally) -> str:
    """How to look at the demo from another terminal; its settings are put into a file for that."""
    file = (work / "settings.toml").resolve()
    file.write_text(to_toml(settings), encoding="utf-8")
    user = tally.examples[0].user_id if tally.examples else "USER"
    return (
        "\nStill up; press Ctrl-C to stop. "
        f"Metrics: {page}metrics   Kafka: {settings.kafka.bootstrap_servers}\n"
        f"From another terminal:\n  export {FILE_VARIABLE}={file}\n"
        f"  .venv/bin/churnwatch inspect {user}\n  .venv/bin/churnwatch report --live"
    )


def _stop_when_told(demo: asyncio.Task[Any] | None) -> None:
    """It ends block by block: worker and broker are processes of their own, and must not outlive it."""
    assert demo is not None, "the demo runs in a task"
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, demo.cancel)


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
