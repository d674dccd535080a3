"""The commands that read recorded history: `churnwatch backtest` and `churnwatch replay`."""

from __future__ import annotations

import math
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from streams.cli_shared import run, settings_of, settings_on_kafka, settings_option

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from streams.sections import Model
    from streams.settings import Settings
    from streams.sources import Source


def source_of(files: tuple[Path, ...], data: str | None, mapping: Path | None) -> Source:
    """The log that a command was given; fails with one line."""
    from streams.sources import SourceError  # noqa: PLC0415
    from streams.sources.cdnow import Cdnow  # noqa: PLC0415
    from streams.sources.completejourney import CompleteJourney  # noqa: PLC0415
    from streams.sources.files import FileSource, load_mapping  # noqa: PLC0415

    if bool(files) == (data is not None):
        raise click.UsageError("name FILES, or one of the known logs with --data")
    if mapping is not None and not files:
        raise click.UsageError("--mapping is for FILES")
    try:
        if data is not None:
            return Cdnow() if data == "cdnow" else CompleteJourney()
        return FileSource(files, None if mapping is None else load_mapping(mapping))
    except SourceError as error:
        raise click.ClickException(str(error)) from error


class _Speed(click.ParamType):
    """Event time against wall clock: a positive number, or `max`, which becomes None."""

    name = "SPEED"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | None:
        """The factor; fails with one line otherwise."""
        if value == "max":
            return None
        try:
            speed = float(value)
        except ValueError:
            speed = math.nan
        if not 0 < speed < math.inf:
            self.fail(f"{value!r} is neither a positive number nor max", param, ctx)
        return speed


class _Days(click.ParamType):
    """A number of days: `60d` or `60`."""

    name = "DAYS"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Whole days; fails with one line otherwise."""
        text = str(value).removesuffix("d")
        if not text.isdigit() or int(text) < 1:
            self.fail(f"{value!r} is not a number of days like 60d", param, ctx)
        return int(text)


_LOG: Final = (
    click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path)),
    click.option(
        "--data", type=click.Choice(["cdnow", "completejourney"]), help="A known log instead of FILES."
    ),
    click.option(
        "--mapping",
        type=click.Path(exists=True, path_type=Path),
        help="TOML file that maps your columns to ours.",
    ),
)
_GRID: Final = (
    click.option("--horizon", type=_Days(), help="Churn: no purchase for so long, e.g. 60d."),
    click.option("--every", type=_Days(), help="Step of the decision grid, e.g. 7d."),
    click.option("--active-within", type=_Days(), help="Who bought within so long is judged, e.g. 120d."),
    click.option(
        "--test-from", type=click.DateTime(["%Y-%m-%d"]), help="Report decision times from here on, too."
    ),
)


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `files`, `data` and `mapping`, from which `source_of` makes a log."""
    return reduce(lambda made, option: option(made), reversed(_LOG), command)


def grid_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `horizon`, `every`, `active_within` and `test_from`, for `backtest_settings`."""
    return reduce(lambda made, option: option(made), reversed(_GRID), command)


def backtest_settings(
    file: Path | None,
    source: Source,
    horizon: int | None,
    every: int | None,
    active_within: int | None,
    test_from: datetime | None,
) -> Settings:
    """The settings for judging `source`."""
    asked = {"horizon_days": horizon, "every_days": every, "active_within_days": active_within}
    return settings_of(file, model=_backtest_model(settings_of(file).model, source, asked, test_from))


def _backtest_model(
    configured: Model, source: Source, asked: dict[str, int | None], test_from: datetime | None
) -> dict[str, Any]:
    """What a backtest overrides: options come first, then what the settings say, then what suits the log."""
    said = {name: getattr(configured, name) for name in asked if name in configured.model_fields_set}
    days = {name: value or said.get(name) or getattr(source, name) for name, value in asked.items()}
    needed = days["horizon_days"] + days["active_within_days"] + 2 * days["every_days"]
    evict = max(configured.evict_after_days, needed)
    start = configured.evaluate_from if test_from is None else test_from.date()
    return {**days, "evict_after_days": evict, "evaluate_from": start}


@click.command()
@settings_option
@log_options
@grid_options
@click.option(
    "--predictions", type=click.Path(path_type=Path), help="Write user_id,decision_time,p_churn here."
)
def backtest(
    file: Path | None,
    files: tuple[Path, ...],
    data: str | None,
    mapping: Path | None,
    horizon: int | None,
    every: int | None,
    active_within: int | None,
    test_from: datetime | None,
    predictions: Path | None,
) -> None:
    """Judge a recorded log as if it had been live; needs no broker.

    FILES are JSON Lines of our envelope (.jsonl, .jsonl.gz; ordered or not), or with --mapping CSV, Parquet
    or foreign JSON Lines.
    """
    from rich.console import Console  # noqa: PLC0415

    from streams.backtesting import run_backtest  # noqa: PLC0415
    from streams.sources import SourceError  # noqa: PLC0415

    source = source_of(files, data, mapping)
    settings = backtest_settings(file, source, horizon, every, active_within, test_from)
    try:
        run_backtest(settings, source, predictions, Console())
    except (SourceError, OSError) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@settings_option
@log_options
@click.option(
    "--speed",
    type=_Speed(),
    default="max",
    help="Event time against wall clock, e.g. 1000; max: as fast as it goes.",
)
@click.option("--then-live", is_flag=True, help="Hand over to live operation behind the last event.")
def replay(
    file: Path | None,
    files: tuple[Path, ...],
    data: str | None,
    mapping: Path | None,
    speed: float | None,
    *,
    then_live: bool,
) -> None:
    """Send recorded history through Kafka, in lock-step with the running workers.

    Everything decided from it is marked dry_run. The first step of a shop with history: --then-live.
    """
    from rich.console import Console  # noqa: PLC0415

    from streams.replaying import replay_source  # noqa: PLC0415

    source = source_of(files, data, mapping)
    run(replay_source(settings_on_kafka(file), source, speed, then_live=then_live, console=Console()))
