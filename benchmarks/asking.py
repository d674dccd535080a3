"""`python -m benchmarks.asking`: how fast a worker with a million customers answers a question about one.

The worker starts from a checkpoint, on the best broker that this machine can run, and is asked as
`churnwatch inspect` asks: each time with clients of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from benchmarks import brokers
from benchmarks.population import build
from interventions.customer_report import CustomerReport
from models.storage import Storage
from streams import checkpoint
from streams.checkpoint import Identity
from streams.processes import environment, worker_process
from streams.querying.asking import ask
from streams.querying.messages import CustomerQuery
from streams.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterable


def settings_for(bootstrap: str, folder: Path) -> Settings:
    """One partition, in which nothing happens by itself."""
    return load(
        None,
        kafka={"bootstrap_servers": bootstrap, "partitions": 1, "group": "bench-asking"},
        worker={"state_dir": folder / "state", "http_port": 0, "idle_after_seconds": 3600.0},
    )


def write_checkpoint(settings: Settings, customers: int) -> None:
    """The state of a partition with so many customers, of which the changelog need not tell."""
    kafka, folder = settings.kafka, settings.worker.state_dir
    folder.mkdir(parents=True)
    identity = Identity(kafka.topics()["customers-changelog"], 0, kafka.partitions)
    checkpoint.write(
        folder / "customers-0.checkpoint", identity, 0, list(Storage(build(customers)).everything())
    )


async def questions(settings: Settings, users: Iterable[str]) -> list[float]:
    """Seconds from each question, its clients included, to its answer."""
    took = []
    for user in users:
        started = time.perf_counter()
        await ask(settings.kafka, "customer", CustomerQuery(user_id=user), CustomerReport, 30)
        took.append(time.perf_counter() - started)
    return took


def command(settings: Settings, user: str) -> float:
    """Seconds of the whole command, Python's start included."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "streams.cli", "inspect", user],
        env=environment(settings),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


async def measure(settings: Settings, work: Path, customers: int, asks: int) -> dict[str, object]:
    """Start the worker and ask it."""
    random = np.random.default_rng(7)
    users = [f"user-{number:07d}" for number in random.integers(customers, size=asks)]
    started = time.perf_counter()
    async with worker_process(settings, work, patience=300):
        ready = time.perf_counter() - started
        took = await questions(settings, users)
        commands = [await asyncio.to_thread(command, settings, user) for user in users[:5]]
    return {
        "customers": customers,
        "ready_s": round(ready, 1),
        "answer_s": {f"p{q}": round(float(np.percentile(took, q)), 3) for q in (50, 99)},
        "command_s": round(float(np.median(commands)), 2),
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--customers", default=1_000_000, help="Customers in the partition.")
@click.option("--asks", default=100, help="Questions, one after the other.")
@click.option("--embedded", is_flag=True, help="Use the embedded broker even where Kafka could run.")
def main(customers: int, asks: int, *, embedded: bool) -> None:
    """Measure how fast a worker answers questions about its customers; print JSON."""
    with tempfile.TemporaryDirectory(prefix="churnwatch-bench-") as temporary:
        folder = Path(temporary)
        with brokers.running(folder / "broker", embedded=embedded) as broker:
            settings = settings_for(broker.bootstrap, folder)
            broker.create_catalogue(settings.kafka.topics())
            write_checkpoint(settings, customers)
            found = asyncio.run(measure(settings, folder, customers, asks))
            print(json.dumps({"broker": broker.name, **found}, indent=2))


if __name__ == "__main__":
    main()
