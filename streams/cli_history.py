"""The commands that read recorded history: `churnwatch backtest` and `churnwatch replay`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli_recorded import (
    active_option,
    every_option,
    files_argument,
    horizon_option,
    known_option,
    mapping_option,
    model_of,
    source_of,
)
from streams.cli_shared import run, settings_of, settings_on_kafka, settings_option

if TYPE_CHECKING:
    from datetime import datetime


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


@click.command()
@settings_option
@files_argument
@known_option
@mapping_option
@horizon_option
@every_option
@active_option
@click.option(
    "--test-from", type=click.DateTime(["%Y-%m-%d"]), help="Report decision times from here on, too."
)
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
    asked = {"horizon_days": horizon, "every_days": every, "active_within_days": active_within}
    settings = settings_of(file, model=model_of(settings_of(file).model, source, asked, test_from))
    try:
        run_backtest(settings, source, predictions, Console())
    except (SourceError, OSError) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@settings_option
@files_argument
@known_option
@mapping_option
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
