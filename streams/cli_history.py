"""The commands that read recorded history: `churnwatch backtest` and `churnwatch replay`."""

from __future__ import annotations

import asyncio
import math
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli_recorded import (
    backtest_settings,
    grid_options,
    log_options,
    source_of,
    test_from_option,
)
from streams.cli_shared import PROBLEMS, run, settings_on_kafka, settings_option

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
@log_options
@grid_options
@test_from_option
@click.option(
    "--predictions", type=click.Path(path_type=Path), help="Write user_id,decision_time,p_churn here."
)
def backtest(
    file: Path | None,
    files: tuple[Path, ...],
    data: str | None,
    mappings: tuple[Path, ...],
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

    source = source_of(files, data, mappings)
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
    mappings: tuple[Path, ...],
    speed: float | None,
    *,
    then_live: bool,
) -> None:
    """Send recorded history through Kafka, in lock-step with the running workers.

    Everything decided from it is marked rehearsal. The first step of a shop with history: --then-live. All
    files go into one replay: what is older than what the workers know comes too late. Exit code 1: it did not
    begin, or broke off; 3: events came too late and are lost.
    """
    from rich.console import Console  # noqa: PLC0415

    from streams.replay import ReplayLateError  # noqa: PLC0415
    from streams.replaying import replay_source  # noqa: PLC0415

    source = source_of(files, data, mappings)
    settings = settings_on_kafka(file)

    async def stoppable() -> None:
        # As Ctrl-C does: this task alone is cancelled, so that it can still say that the session has ended.
        task = asyncio.current_task()
        assert task is not None, "this runs in one"
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await replay_source(settings, source, speed, then_live=then_live, console=Console())

    try:
        run(stoppable())
    except asyncio.CancelledError:
        raise click.Abort from None
    except click.ClickException as error:
        if isinstance(error.__cause__, ReplayLateError):
            error.exit_code = PROBLEMS
        raise
