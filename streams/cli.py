"""The command line: `churnwatch …`. Each command is thin; what it does stands in its own module."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams import logs
from streams.cli_alarms import alarms
from streams.cli_customers import features, inspect
from streams.cli_history import backtest, replay
from streams.cli_models import models
from streams.cli_report import report
from streams.cli_shared import PROBLEMS, require_kafka, run, settings_of, settings_on_kafka, settings_option
from streams.cli_skip import skip
from streams.cli_tune import tune

if TYPE_CHECKING:
    from streams.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="churnwatch", prog_name="churnwatch")
def main() -> None:
    """Streaming churn early warning and intervention on Kafka.

    Start with `churnwatch demo`. A shop with history starts with `churnwatch topics create`, a worker, and
    `churnwatch replay FILES --then-live`.
    """
    # A learner multiplies small matrices, one label after the other, and threads that wait for each other
    # make that fifty times as dear on a busy machine. NumPy reads it when it is loaded, which is later.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@main.command()
@settings_option
@click.option("--check", is_flag=True, help="Print the effective settings, test broker and topics, and exit.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Score with this model set only.")
@click.option("--no-learning", is_flag=True, help="With --model: do not train.")
@click.option("--leave", is_flag=True, help="Hand over the partitions of a stopped static member, and exit.")
def worker(file: Path | None, *, check: bool, model: Path | None, no_learning: bool, leave: bool) -> None:
    """Consume events, keep features, score, alert, decide and learn, until stopped.

    With kafka.instance_id a worker that stops keeps its partitions until kafka.session_timeout_seconds are
    over, so that a restart disturbs nobody. If it stopped for good, --leave with its settings removes it.
    """
    settings = settings_of(file)
    logs.configure(settings.worker.log_level)
    if leave:
        sys.exit(0 if _left(settings) else PROBLEMS)
    require_kafka(settings, waiting=not check)
    if check:
        from streams.checking import check_worker  # noqa: PLC0415

        sys.exit(PROBLEMS if run(check_worker(settings, click.echo)) else 0)
    if (model is None) != (not no_learning):
        raise click.UsageError("--model FILE and --no-learning belong together")
    from streams.serving import run_worker  # noqa: PLC0415

    run(run_worker(settings, model))


def _left(settings: Settings) -> bool:
    from streams.membership import leave  # noqa: PLC0415

    kafka, member = settings.kafka, settings.kafka.instance_id
    if member is None:
        raise click.UsageError("--leave is for workers with kafka.instance_id: others leave when they stop")
    require_kafka(settings)
    name = f"{member} of group {kafka.group}"
    if removed := run(leave(kafka, member)):
        click.echo(f"removed static member {name}: its partitions go to the other workers")
    else:
        click.echo(f"there is no static member {name}: nothing to hand over")
    return bool(removed)


@main.command()
@settings_option
@click.option(
    "--bootstrap-file", type=click.Path(path_type=Path), help="Write the address here once it is up."
)
@click.option("--port", default=0, help="Listen here; 0 lets the system choose.")
def broker(file: Path | None, bootstrap_file: Path | None, port: int) -> None:
    """Run the embedded broker with all topics: for trying things out, keeps nothing when it stops.

    It forgets all but the last 5 MB of each log, so give workers CHURNWATCH_WORKER__CHECKPOINT_BYTES=3000000
    and CHURNWATCH_WORKER__CHECKPOINT_RATIO=0.
    """
    from streams.broker import BrokerError, run_broker  # noqa: PLC0415

    settings = settings_of(file)
    try:
        run_broker(bootstrap_file, settings.kafka.topics().partition_counts(), port)
    except BrokerError as error:
        raise click.ClickException(str(error)) from error


@main.group()
def topics() -> None:
    """Create the topics, or check them."""


@topics.command("create")
@settings_option
@click.option("--replication-factor", type=int, help="Default: three, or the number of brokers if less.")
def topics_create(file: Path | None, replication_factor: int | None) -> None:
    """Create every topic that is missing."""
    from streams.topic_admin import create  # noqa: PLC0415

    kafka = settings_on_kafka(file).kafka
    made = run(create(kafka.topics(), kafka.client_options(), replication_factor=replication_factor))
    click.echo("\n".join(f"created {name}" for name in made) or "all topics are there")


@topics.command("check")
@settings_option
def topics_check(file: Path | None) -> None:
    """Compare the broker's topics with what is needed; exit code 3 if something is wrong."""
    from streams.topic_admin import check  # noqa: PLC0415

    kafka = settings_on_kafka(file).kafka
    found = run(check(kafka.topics(), kafka.client_options()))
    for note in found.notes:
        click.echo(f"note: {note}")
    for problem in found.problems:
        click.echo(f"problem: {problem}")
    if found.problems:
        sys.exit(PROBLEMS)
    click.echo("topics are right")


@main.command()
@click.option("--data", type=click.Choice(["cdnow", "completejourney"]), default="cdnow", show_default=True)
@click.option(
    "--bootstrap", help="Use this broker (host:port) and topics of its own; default: the embedded one."
)
@click.option("--keep", is_flag=True, help="Stay up afterwards, with the metrics page.")
@click.option("--run", "folder", type=click.Path(path_type=Path), default=Path("run"), show_default=True)
def demo(data: str, bootstrap: str | None, *, keep: bool, folder: Path) -> None:
    """Replay a real purchase log through the whole chain on this machine."""
    from rich.console import Console  # noqa: PLC0415

    from streams.demo import run_demo  # noqa: PLC0415

    try:
        run(run_demo(data, folder, keep=keep, console=Console(), bootstrap=bootstrap))
    except asyncio.CancelledError:
        raise click.Abort from None


main.add_command(backtest)
main.add_command(replay)
main.add_command(models)
main.add_command(skip)
main.add_command(alarms)
main.add_command(tune)
main.add_command(report)
main.add_command(inspect)
main.add_command(features)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs"), show_default=True)
def contracts(out: Path) -> None:
    """Write docs/contracts.md, docs/rights.md and the AsyncAPI 3 document from the code."""
    from streams.contracts import write_contracts  # noqa: PLC0415

    click.echo(f"written: {', '.join(map(str, write_contracts(out)))}")


if __name__ == "__main__":
    main()
