"""`churnwatch tune`: find settings of learners for a log."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from streams.cli_recorded import backtest_settings, grid_options, log_options, source_of
from streams.cli_shared import settings_option

if TYPE_CHECKING:
    from streams.searching import Method

#: As a shell counts a process that Ctrl-C ended.
INTERRUPTED: Final = 130


@click.command()
@settings_option
@log_options
@grid_options
@click.option("--learner", "names", help="Which ones, with commas between; default: all contenders.")
@click.option("--method", type=click.Choice(["bayes", "random", "grid"]), default="bayes", show_default=True)
@click.option("--trials", type=click.IntRange(1), default=50, show_default=True, help="For each learner.")
@click.option(
    "--first",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of the decision times that the search may see; the rest judges what it found.",
)
@click.option("--seed", default=0, show_default=True, help="Of what is drawn at random.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("tuned.toml"), show_default=True)
def tune(
    file: Path | None,
    files: tuple[Path, ...],
    data: str | None,
    mappings: tuple[Path, ...],
    horizon: int | None,
    every: int | None,
    active_within: int | None,
    names: str | None,
    method: Method,
    trials: int,
    first: float,
    seed: int,
    out: Path,
) -> None:
    """Search settings of learners on the first part of a recorded log; needs no broker.

    Settings are compared by progressive log loss: each decision time is forecast with the labels known by
    then. --out is a settings file as --settings takes it; the study beside it keeps every trial, so the same
    command goes on where an interrupted one ended, and more --trials go on from a finished one.
    """
    try:
        from streams.tuning import Plan, run_tune  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}: pip install '.[tune]' in a clone of churnwatch") from error
    from rich.console import Console  # noqa: PLC0415

    from streams.settings import FILE_VARIABLE  # noqa: PLC0415
    from streams.sources import SourceError  # noqa: PLC0415

    source = source_of(files, data, mappings)
    settings = backtest_settings(file, source, horizon, every, active_within)
    learners = _learners(names, settings.model.contenders)
    if not out.parent.is_dir():
        raise click.UsageError(f"--out: there is no folder {out.parent}")
    named = os.environ.get(FILE_VARIABLE)
    base = file or (Path(named) if named else None)
    plan = Plan(learners, method, trials, first, seed, out, base)
    try:
        done = run_tune(settings, source, plan, Console())
    except (SourceError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if done else INTERRUPTED)


def _learners(names: str | None, contenders: tuple[str, ...]) -> tuple[str, ...]:
    """The learners asked for, each of which must have something to search."""
    from models.contenders import CONTENDERS, space_of  # noqa: PLC0415

    able = [name for name in CONTENDERS if space_of(name)]
    asked = [name for name in contenders if name in able] if names is None else names.split(",")
    if unable := [name for name in asked if name not in able]:
        known = ", ".join(able)
        raise click.UsageError(f"--learner: nothing to tune in {', '.join(unable)}; there are {known}")
    if not asked:
        raise click.UsageError("no contender has anything to tune: name one with --learner")
    return tuple(dict.fromkeys(asked))
