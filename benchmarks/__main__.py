"""`python -m benchmarks`: churnwatch beside its rivals, in one run on one broker."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.console import Console

from benchmarks import brokers, whole_path
from benchmarks.churnwatch import CHURNWATCH
from benchmarks.engines import RIVALS, ROOT, Engine
from benchmarks.report import Report
from benchmarks.workload import Workload

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (CHURNWATCH, *RIVALS)}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--events", default=200_000, help="Events of the full load.")
@click.option("--users", default=100_000, help="Users that the events are spread over.")
@click.option("--rounds", default=3, help="Rounds through all engines; the table shows medians.")
@click.option("--partitions", default=4, help="Partitions of every topic.")
@click.option("--only", default=",".join(ENGINES), help="Engines to run, separated by commas.")
@click.option("--embedded", is_flag=True, help="Use the embedded broker even where Kafka could run.")
@click.option(
    "--out", default=ROOT / "run" / "bench.json", type=click.Path(path_type=Path), help="Where to write."
)
def main(
    *, events: int, users: int, rounds: int, partitions: int, only: str, embedded: bool, out: Path
) -> None:
    """Measure the whole path of each engine in CPU µs per event, and print a table."""
    console = Console()
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
            report = Report(broker.name, events, rounds)
            report.costs = whole_path.measure(
                broker,
                able,
                Workload(events, users),
                rounds=rounds,
                partitions=partitions,
                folder=folder,
                say=status.update,
            )
    console.print(report.whole_path_table())
    report.write(out)
    console.print(f"written to {out}")
    if any(cost.failure for cost in report.costs.values()):
        raise SystemExit(1)


def _chosen(only: str) -> list[Engine]:
    names = [name.strip() for name in only.split(",")]
    if unknown := [name for name in names if name not in ENGINES]:
        raise click.BadParameter(f"no such engine: {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    return [ENGINES[name] for name in names]


if __name__ == "__main__":
    main()
