"""The command line: `churnwatch …`. Each command is thin; what it does stands in its own module."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from streams import logs
from streams.settings import Settings, SettingsError, load

#: Exit codes: 1 something failed, 2 wrong usage or settings (click's own), 3 a check found problems.
FAILED, WRONG, PROBLEMS = 1, 2, 3


class _Faults(click.ClickException):
    """Errors that a user can understand, one clear line each."""


def _settings(file: Path | None, **overrides: Any) -> Settings:
    try:
        return load(file, **overrides)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine; known errors become one line."""
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - `--help` should be quick

    try:
        return asyncio.run(main)
    except (KafkaError, OSError, RuntimeError, ValueError) as error:
        raise _Faults(f"{error}" or repr(error)) from error


settings_option = click.option(
    "--settings", "file", type=click.Path(path_type=Path), help="TOML file; CHURNWATCH_* variables override it."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="churnwatch", prog_name="churnwatch")
def main() -> None:
    """Streaming churn early warning and intervention on Kafka.

    Start with `churnwatch demo`. A shop with history starts with `churnwatch topics create`, a worker, and
    `churnwatch replay FILES --then-live`.
    """


@main.command()
@settings_option
@click.option("--check", is_flag=True, help="Print the effective settings, test broker and topics, and exit.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Score with this model set only.")
@click.option("--no-learning", is_flag=True, help="With --model: do not train.")
def worker(file: Path | None, *, check: bool, model: Path | None, no_learning: bool) -> None:
    """Consume events, keep features, score, alert, decide and learn, until stopped."""
    settings = _settings(file)
    logs.configure(settings.worker.log_level)
    if check:
        from streams.checking import check_worker  # noqa: PLC0415

        sys.exit(PROBLEMS if _run(check_worker(settings, click.echo)) else 0)
    if (model is None) != (not no_learning):
        raise click.UsageError("--model FILE and --no-learning belong together")
    from streams.serving import run_worker  # noqa: PLC0415

    _run(run_worker(settings, model))


@main.command()
@settings_option
@click.option("--bootstrap-file", type=click.Path(path_type=Path), help="Write the address here once it is up.")
@click.option("--port", default=0, help="Listen here; 0 lets the system choose.")
def broker(file: Path | None, bootstrap_file: Path | None, port: int) -> None:
    """Run the embedded broker with all topics: for trying things out, keeps nothing when it stops."""
    from streams.broker import BrokerError, run_broker  # noqa: PLC0415

    settings = _settings(file)
    try:
        run_broker(bootstrap_file, settings.kafka.topics().partition_counts(), port)
    except BrokerError as error:
        raise _Faults(str(error)) from error


@main.group()
def topics() -> None:
    """Create the topics, or check them."""


@topics.command("create")
@settings_option
@click.option("--replication-factor", type=int, help="Default: three, or the number of brokers if less.")
def topics_create(file: Path | None, replication_factor: int | None) -> None:
    """Create every topic that is missing."""
    from streams.topic_admin import create  # noqa: PLC0415

    kafka = _settings(file).kafka
    made = _run(create(kafka.topics(), kafka.client_options(), replication_factor=replication_factor))
    click.echo("\n".join(f"created {name}" for name in made) or "all topics are there")


@topics.command("check")
@settings_option
def topics_check(file: Path | None) -> None:
    """Compare the broker's topics with what is needed; exit code 3 if something is wrong."""
    from streams.topic_admin import check  # noqa: PLC0415

    kafka = _settings(file).kafka
    found = _run(check(kafka.topics(), kafka.client_options()))
    for note in found.notes:
        click.echo(f"note: {note}")
    for problem in found.problems:
        click.echo(f"problem: {problem}")
    if found.problems:
        sys.exit(PROBLEMS)
    click.echo("topics are right")


@main.command()
@click.option("--data", type=click.Choice(["cdnow", "completejourney"]), default="cdnow", show_default=True)
@click.option("--keep", is_flag=True, help="Stay up afterwards, with the metrics page.")
@click.option("--run", "run", type=click.Path(path_type=Path), default=Path("run"), show_default=True)
def demo(data: str, *, keep: bool, run: Path) -> None:
    """Replay a real purchase log through the whole chain on this machine."""
    from rich.console import Console  # noqa: PLC0415

    from streams.demo import run_demo  # noqa: PLC0415

    _run(run_demo(data, run, keep=keep, console=Console()))


def _source(files: tuple[Path, ...], data: str | None, mapping: Path | None) -> Any:
    from streams.sources import SourceError  # noqa: PLC0415
    from streams.sources.cdnow import Cdnow  # noqa: PLC0415
    from streams.sources.completejourney import CompleteJourney  # noqa: PLC0415
    from streams.sources.files import FileSource, load_mapping  # noqa: PLC0415

    if bool(files) == (data is not None):
        raise click.UsageError("name FILES, or one of the known logs with --data")
    try:
        if data is not None:
            return Cdnow() if data == "cdnow" else CompleteJourney()
        return FileSource(files, None if mapping is None else load_mapping(mapping))
    except SourceError as error:
        raise _Faults(str(error)) from error


class _Days(click.ParamType):
    """A number of days: `60d` or `60`."""

    name = "DAYS"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Whole days; fails with one line otherwise."""
        text = str(value).removesuffix("d")
        if not text.isdigit() or int(text) < 1:
            self.fail(f"{value!r} is not a number of days like 60d", param, ctx)
        return int(text)


_known = click.option("--data", type=click.Choice(["cdnow", "completejourney"]), help="A known log instead of FILES.")
_mapped = click.option(
    "--mapping", type=click.Path(exists=True, path_type=Path), help="TOML file that maps your columns to ours."
)
_files = click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))


@main.command()
@settings_option
@_files
@_known
@_mapped
@click.option("--horizon", type=_Days(), help="Churn: no purchase for so long, e.g. 60d.")
@click.option("--every", type=_Days(), help="Step of the decision grid, e.g. 7d.")
@click.option("--active-within", type=_Days(), help="Who bought within so long is judged, e.g. 120d.")
@click.option("--test-from", type=click.DateTime(["%Y-%m-%d"]), help="Report decision times from here on, too.")
@click.option("--predictions", type=click.Path(path_type=Path), help="Write user_id,decision_time,p_churn here.")
def backtest(
    file: Path | None,
    files: tuple[Path, ...],
    data: str | None,
    mapping: Path | None,
    horizon: int | None,
    every: int | None,
    active_within: int | None,
    test_from: Any,
    predictions: Path | None,
) -> None:
    """Judge a recorded log as if it had been live; needs no broker.

    FILES are JSON Lines of our envelope (.jsonl, .jsonl.gz; ordered or not), or with --mapping CSV, Parquet
    or foreign JSON Lines.
    """
    from rich.console import Console  # noqa: PLC0415

    from streams.backtesting import run_backtest  # noqa: PLC0415
    from streams.sources import SourceError  # noqa: PLC0415

    source = _source(files, data, mapping)
    found = _settings(file)
    model = found.model.model_dump() | {
        "horizon_days": horizon or source.horizon_days,
        "every_days": every or source.every_days,
        "active_within_days": active_within or source.active_within_days,
    }
    model["evict_after_days"] = max(
        model["evict_after_days"],
        model["horizon_days"] + model["active_within_days"] + 2 * model["every_days"],
    )
    if test_from is not None:
        model["evaluate_from"] = test_from.date()
    try:
        run_backtest(_settings(file, model=model), source, predictions, Console())
    except (SourceError, OSError) as error:
        raise _Faults(str(error)) from error


@main.command()
@settings_option
@_files
@_known
@_mapped
@click.option("--speed", default="max", help="Event time against wall clock, e.g. 1000; max: as fast as it goes.")
@click.option("--then-live", is_flag=True, help="Hand over to live operation behind the last event.")
def replay(
    file: Path | None,
    files: tuple[Path, ...],
    data: str | None,
    mapping: Path | None,
    speed: str,
    *,
    then_live: bool,
) -> None:
    """Send recorded history through Kafka, in lock-step with the running workers.

    Everything decided from it is marked dry_run. The first step of a shop with history: --then-live.
    """
    from rich.console import Console  # noqa: PLC0415

    from streams.replaying import replay_source  # noqa: PLC0415

    if speed != "max" and not speed.replace(".", "", 1).isdigit():
        raise click.UsageError("--speed takes a number or max")
    factor = None if speed == "max" else float(speed)
    source = _source(files, data, mapping)
    _run(replay_source(_settings(file), source, factor, then_live=then_live, console=Console()))


@main.command()
@settings_option
@click.argument("user")
def inspect(file: Path | None, user: str) -> None:
    """Show one customer: profile, features, risk, history of alerts and decisions."""
    from rich.console import Console  # noqa: PLC0415

    from streams.inspecting import inspect as show  # noqa: PLC0415

    _run(show(_settings(file), user, Console()))


@main.command()
@settings_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Parquet file to write.")
def features(file: Path | None, out: Path) -> None:
    """Write the features and risk of every customer to a Parquet file."""
    from rich.console import Console  # noqa: PLC0415

    from streams.inspecting import write_features  # noqa: PLC0415

    _run(write_features(_settings(file), out, Console()))


@main.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs"), show_default=True)
def contracts(out: Path) -> None:
    """Write docs/contracts.md and the AsyncAPI 3 document from the types."""
    from streams.contracts import write_contracts  # noqa: PLC0415

    write_contracts(out)
    click.echo(f"written: {out}/contracts.md, {out}/asyncapi.json")


if __name__ == "__main__":
    main()
