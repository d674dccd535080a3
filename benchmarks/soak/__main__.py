"""`python -m benchmarks.soak`: steady load on the product's own worker; a verdict, a plot and all figures."""

from __future__ import annotations

import os
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import brokers
from benchmarks.churnwatch import settings_for
from benchmarks.engines import ROOT, EngineError
from benchmarks.reaction import LOW, product
from benchmarks.rivals.tally import Task
from benchmarks.service import started
from benchmarks.soak.plot import draw
from benchmarks.soak.sampling import Sample, watched
from benchmarks.soak.shop import EVICT_AFTER_DAYS, shop
from benchmarks.soak.verdict import MOST_GROWTH, judged, settled, trend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.brokers import Broker
    from benchmarks.soak.shop import Shop
    from benchmarks.soak.verdict import Finding

#: Samples below which no line is drawn through them.
_FEWEST: Final = 6
#: Labels after five days, so that cohorts mature many times in a run.
_MODEL: Final = {
    "horizon_days": 5,
    "every_days": 1,
    "active_within_days": 12,
    "evict_after_days": EVICT_AFTER_DAYS,
    "allowed_lateness_hours": 2.0,
}
#: Profiles are rare and nobody sends outcomes: their silence must not hold the watermark for long.
_WORKER: Final = {"log_level": "info", "idle_after_seconds": 5.0, "checkpoint_seconds": 60.0}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--minutes", default=30.0, type=click.FloatRange(min=1), help="How long.")
@click.option("--rate", default=500, type=click.IntRange(min=50), help="Events per second.")
@click.option("--partitions", default=4, help="Partitions of every topic.")
@click.option("--embedded", is_flag=True, help="Use the embedded broker even where Kafka could run.")
@click.option(
    "--out",
    default=ROOT / "run" / "soak",
    type=click.Path(path_type=Path),
    help="Write here, as .json and .png.",
)
def main(*, minutes: float, rate: int, partitions: int, embedded: bool, out: Path) -> None:
    """Run the shop for a while with customers coming and going; exit code 1 if something was not flat."""
    console, load = Console(), shop(minutes, rate)
    with (
        tempfile.TemporaryDirectory(prefix="churnwatch-soak-") as folder,
        brokers.running(Path(folder) / "broker", embedded=embedded) as broker,
    ):
        title = f"{rate} events/s for {minutes:g} minutes ({load.days:.0f} days of the shop), {broker.name}"
        console.print(title, highlight=False)
        samples, failure = _run(broker, load, partitions, Path(folder))
    if failure:
        console.print(f"broken off: {failure}", markup=False)
    if len(samples) < _FEWEST:
        raise click.ClickException("too short for a verdict")
    findings = judged(samples)
    _write(out, title, samples, findings)
    draw(samples, f"churnwatch soak: {title}", out.with_suffix(".png"))
    console.print(_table(findings))
    console.print(f"written to {out}.json and {out}.png")
    if failure or not all(finding.well for finding in findings):
        raise SystemExit(1)


def _run(broker: Broker, load: Shop, partitions: int, folder: Path) -> tuple[list[Sample], str]:
    """What was seen, and why it ended early if it did."""
    task = Task(broker.bootstrap, "soak.", "soak", "", 0, partitions, folder / "soak")
    task.state_dir.mkdir(parents=True)
    settings = settings_for(task, model=_MODEL, alerting=LOW, worker=_WORKER)
    broker.create_catalogue(settings.kafka.topics())
    launch, samples = product(settings, task.state_dir, learning=True), list[Sample]()
    try:
        with started(launch, task.state_dir / "worker.log") as worker:
            worker.wait_until(worker.is_ready)
            samples.extend(watched(worker, broker.bootstrap, task.prefix, launch.alerts, load.schedule()))
            worker.stop()
    except EngineError as error:
        return samples, str(error)
    return samples, ""


def _write(out: Path, title: str, samples: Sequence[Sample], findings: Sequence[Finding]) -> None:
    half = settled(samples)
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "run": title,
        "findings": {finding.what: asdict(finding) for finding in findings},
        "trends": {name: asdict(trend(half, name)) for name in MOST_GROWTH},
        "samples": [asdict(sample) for sample in samples],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


def _table(findings: Sequence[Finding]) -> Table:
    table = Table("question", "measured, per hour over the second half", "", title="Soak")
    for finding in findings:
        table.add_row(finding.what, finding.measured, "well" if finding.well else "[red]not well[/]")
    return table


if __name__ == "__main__":
    main()
