"""`python -m benchmarks`: churnwatch beside its rivals, in one run on one broker."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from benchmarks import brokers, reaction, recovery, whole_path
from benchmarks.churnwatch import CHURNWATCH
from benchmarks.engines import RIVALS, ROOT, Engine, EngineError, run_child
from benchmarks.population import Population
from benchmarks.report import OURS, Report
from benchmarks.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.brokers import Broker

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (CHURNWATCH, *RIVALS)}
#: The embedded broker keeps 5 MiB of a log.
_ROWS_OF_EMBEDDED = 4_000


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    events: int
    users: int
    rounds: int
    partitions: int
    seconds: float
    customers: int
    rows: int


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--events", default=200_000, help="Events of the full load.")
@click.option("--users", default=100_000, help="Users that the events are spread over.")
@click.option("--rounds", default=3, help="Rounds through all engines; the cheapest runs count.")
@click.option("--partitions", default=4, help="Partitions of every topic of the whole path.")
@click.option("--seconds", default=30.0, help="How long each latency is measured.")
@click.option("--customers", default=1_000_000, help="Customers that are weighed and re-scored.")
@click.option("--rows", default=200_000, help="Rows that are recovered.")
@click.option("--only", default=",".join(ENGINES), help="Engines to run, separated by commas.")
@click.option("--embedded", is_flag=True, help="Use the embedded broker even where Kafka could run.")
@click.option(
    "--out", default=ROOT / "run" / "bench.json", type=click.Path(path_type=Path), help="Where to write."
)
def main(*, only: str, embedded: bool, out: Path, **sizes: int) -> None:
    """Measure what churnwatch costs beside its rivals, and what only it is measured for; print tables."""
    console, size = Console(), Size(**sizes)
    chosen = _chosen(only)
    for engine in chosen:
        with console.status(f"installing {engine.name}"):
            engine.prepare()
    with (
        tempfile.TemporaryDirectory(prefix="churnwatch-bench-") as temporary,
        console.status("starting") as status,
    ):
        folder = Path(temporary)
        with brokers.running(folder / "broker", embedded=embedded) as broker:
            able = [engine for engine in chosen if broker.has_admin or not engine.needs_admin]
            for engine in chosen:
                if engine not in able:
                    console.print(f"{engine.name} is left out: the {broker.name} cannot serve it")
            report = Report(broker.name, size.events, size.rounds)
            report.costs = whole_path.measure(
                broker,
                able,
                Workload(size.events, size.users),
                rounds=size.rounds,
                partitions=size.partitions,
                folder=folder,
                say=status.update,
            )
            if CHURNWATCH in able:
                _measure_ours(report, broker, size, folder, status.update)
    for table in (report.whole_path_table(), report.others_table(), report.bars_table()):
        console.print(table)
    report.write(out)
    console.print(f"written to {out}")
    for what, why in report.all_failures().items():
        console.print(f"{what} failed: {why}", markup=False)
    if report.all_failures():
        raise SystemExit(1)


def _measure_ours(
    report: Report, broker: Broker, size: Size, folder: Path, say: Callable[[str], None]
) -> None:
    """All that only churnwatch is measured for. What fails is named in the report, and the rest goes on."""
    rows = size.rows if broker.has_admin else min(size.rows, _ROWS_OF_EMBEDDED)
    steps: dict[str, Callable[[], object]] = {
        "latency": lambda: reaction.measure(broker, reaction.quiet(size.seconds), folder),
        "busy_latency": lambda: reaction.measure(broker, reaction.busy(size.seconds), folder),
        "recovery": lambda: recovery.measure(broker, rows, folder),
        "population": lambda: _population(size.customers),
    }
    for name, step in steps.items():
        say(f"{OURS}: {name.replace('_', ' ')}")
        try:
            setattr(report, name, step())
        except RuntimeError as error:
            report.failures[name] = str(error)


def _population(customers: int) -> Population:
    """Measured in a process of its own; raises `EngineError` if that fails."""
    ended = run_child([sys.executable, "-m", "benchmarks.population", str(customers)])
    if ended.code:
        raise EngineError(f"the population ended with {ended.code}: {ended.stderr[-1500:]}")
    return Population(**json.loads(ended.stdout))


def _chosen(only: str) -> list[Engine]:
    names = [name.strip() for name in only.split(",")]
    if unknown := [name for name in names if name not in ENGINES]:
        raise click.BadParameter(f"no such engine: {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    return [ENGINES[name] for name in names]


if __name__ == "__main__":
    main()
