"""`python -m benchmarks.scale_out`: one backlog for one, two and three workers of a group, on real Kafka.

Workers are started and have their partitions before the first event is there. Then everything is written at
once, faster than any of them can read, and time is taken until the broker holds the group's commit at the end
of every partition: what is committed is durable. CPU time is that of all workers together in between, so it
tells what a second worker costs even where broker and workers share too few cores to go faster.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import click
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import brokers
from benchmarks.churnwatch import promise, settings_for
from benchmarks.draining import Draining
from benchmarks.engines import ROOT, TIMEOUT_S, EngineError
from benchmarks.reaction import product
from benchmarks.rivals.tally import Task
from benchmarks.service import started
from benchmarks.workload import Workload, preload
from deploy.kafka import missing
from streams.processes import read_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.brokers import Broker
    from benchmarks.service import Worker
    from benchmarks.workload import Record

PARTITIONS: Final = 12
_MOST_WORKERS: Final = 3
_POLL_S: Final = 0.1


@dataclass(frozen=True)
class Run:
    """What `workers` took for `events`; seconds count from the first event written, `done_s` by partition."""

    workers: int
    events: int
    seconds: float
    cpu_s: float
    done_s: tuple[float, ...]
    #: The longest that a topic partition stood still before it went on.
    standstill_s: float

    @property
    def rate(self) -> float:
        """Events per second of wall time."""
        return self.events / self.seconds

    @property
    def us_per_event(self) -> float:
        """CPU µs of all workers together for an event."""
        return self.cpu_s / self.events * 1e6


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--events", default=300_000, help="Events of the backlog.")
@click.option("--users", default=50_000, help="Users that the events are spread over.")
@click.option(
    "--rounds", default=2, help="Rounds through all numbers of workers; the fastest run of each counts."
)
@click.option(
    "--out", default=ROOT / "run" / "scale_out.json", type=click.Path(path_type=Path), help="Where to write."
)
def main(*, events: int, users: int, rounds: int, out: Path) -> None:
    """Measure how a group of one, two and three workers gets through a backlog on 12 partitions."""
    if (lack := missing()) is not None:
        raise click.ClickException(f"needs real Kafka: {lack}")
    console, runs = Console(), list[Run]()
    records = list(Workload(events, users).records())
    with tempfile.TemporaryDirectory(prefix="churnwatch-scale-") as temporary:
        folder = Path(temporary)
        with brokers.running(folder / "broker") as broker, console.status("starting") as status:
            for number in range(rounds * _MOST_WORKERS):
                workers = number % _MOST_WORKERS + 1
                status.update(f"round {number // _MOST_WORKERS + 1}: {workers} workers")
                runs.append(measure(broker, records, workers, folder / f"scale-{number}"))
                broker.forget(f"scale-{number}")
    console.print(_table(runs))
    _write(out, runs)
    console.print(f"written to {out}")


def measure(broker: Broker, records: Sequence[Record], workers: int, folder: Path) -> Run:
    """One run on topics of its own, named after `folder`; raises `EngineError` if it does not end well."""
    name = folder.name
    task = Task(broker.bootstrap, f"{name}.", name, "", len(records), PARTITIONS, folder)
    writing = Thread(target=preload, args=(broker.bootstrap, task.prefix, records), daemon=True)
    with _group(broker, task, workers) as group, Draining(task) as draining:
        cpu_before = sum(worker.cpu_s() for worker in group)
        writing.start()
        while writing.is_alive() or not draining.is_over():
            _check(group, draining.seconds)
            time.sleep(_POLL_S)
            draining.look()
        cpu_s = sum(worker.cpu_s() for worker in group) - cpu_before
        done = draining.done_s()
        return Run(workers, len(records), max(done), cpu_s, done, draining.standstill_s)


def _check(group: Sequence[Worker], seconds: float) -> None:
    for worker in group:
        worker.resident_bytes()  # raises if it has ended
    if seconds > TIMEOUT_S:
        raise EngineError(f"{len(group)} workers were not done after {seconds:.0f} s")


@contextmanager
def _group(broker: Broker, task: Task, workers: int) -> Iterator[list[Worker]]:
    """Workers that have divided the partitions among themselves, and nothing to do yet."""
    with ExitStack() as stack:
        group = []
        for number in range(workers):
            own = replace(task, state_dir=task.state_dir / str(number))
            own.state_dir.mkdir(parents=True)
            settings = settings_for(own, worker={"log_level": "info"})
            settings = settings.model_copy(
                update={"kafka": settings.kafka.model_copy(update={"commit_interval_seconds": 0.2})}
            )
            if not number:
                broker.create_catalogue(settings.kafka.topics())
                promise(settings, Workload().end_ms)
            launch = product(settings, own.state_dir, learning=False)
            group.append(stack.enter_context(started(launch, own.state_dir / "worker.log")))
        for worker in group:
            worker.wait_until(partial(_has_its_share, worker, workers))
        yield group
        for worker in group:
            worker.stop()


def _has_its_share(worker: Worker, workers: int) -> bool:
    page = worker.page
    if page is None or not worker.is_ready():
        return False
    return read_metrics(page)["churnwatch_assigned_partitions{}"] == PARTITIONS / workers


def _fastest(runs: Sequence[Run]) -> list[Run]:
    numbers = sorted({run.workers for run in runs})
    return [max((run for run in runs if run.workers == n), key=lambda run: run.rate) for n in numbers]


def _table(runs: Sequence[Run]) -> Table:
    table = Table(title=f"{runs[0].events:,} events on {PARTITIONS} partitions")
    for name in (
        "workers",
        "events/s",
        "efficiency",
        "µs/event",
        "cores used",
        "done after [s]",
        "still [s]",
    ):
        table.add_column(name, justify="right")
    fastest = _fastest(runs)
    for run in fastest:
        table.add_row(
            str(run.workers),
            f"{run.rate:,.0f}",
            f"{run.rate / run.workers / fastest[0].rate:.0%}",
            f"{run.us_per_event:.1f}",
            f"{run.cpu_s / run.seconds:.2f}",
            f"{min(run.done_s):.1f}…{max(run.done_s):.1f}",
            f"{run.standstill_s:.1f}",
        )
    return table


def _write(out: Path, runs: Sequence[Run]) -> None:
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "fastest": [
            asdict(run)
            | {"events_per_second": round(run.rate), "cpu_us_per_event": round(run.us_per_event, 1)}
            for run in _fastest(runs)
        ],
        "runs": [asdict(run) for run in runs],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
