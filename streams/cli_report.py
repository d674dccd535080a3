"""The command `churnwatch report`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.cli_recorded import backtest_settings, grid_options, log_options, source_of, test_from_option
from streams.cli_shared import run, settings_of, settings_of_deployment, settings_option

if TYPE_CHECKING:
    from datetime import datetime

    from features.wording import Language


@click.command()
@settings_option
@log_options
@grid_options
@test_from_option
@click.option("--live", is_flag=True, help="Report on the running system instead of a log.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("run/report"),
    show_default=True,
    help="Write report.html and a PNG for each chart into this folder.",
)
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    help="Default: the first language of the settings' reasons.",
)
def report(
    file: Path | None,
    files: tuple[Path, ...],
    data: str | None,
    mappings: tuple[Path, ...],
    horizon: int | None,
    every: int | None,
    active_within: int | None,
    test_from: datetime | None,
    out: Path,
    language: Language | None,
    *,
    live: bool,
) -> None:
    """Write a page that says who is at risk, whether warnings can be trusted, and what changed.

    From a recorded log as `backtest` reads it, or with --live from the topics examples, models and scores:
    what was learned is learned again from examples, and nothing is written to the broker. The page needs no
    network and holds no customer.
    """
    _require_drawing()
    from rich.console import Console  # noqa: PLC0415

    from streams.reporting import backtest_figures, live_figures  # noqa: PLC0415
    from streams.sources import SourceError  # noqa: PLC0415

    console = Console()
    if live:
        if files or data or mappings or horizon or every or active_within or test_from:
            raise click.UsageError(
                "--live has the log and the grid of the running system: leave the others out"
            )
        figures = run(live_figures(settings_of_deployment(file), console))
    else:
        source = source_of(files, data, mappings)
        settings = backtest_settings(file, source, horizon, every, active_within, test_from)
        try:
            figures = backtest_figures(settings, source, console)
        except (SourceError, OSError) as error:
            raise click.ClickException(str(error)) from error
    from streams.report.page import write  # noqa: PLC0415

    try:
        written = write(figures, out, language or settings_of(file).alerting.languages[0])
    except OSError as error:
        raise click.ClickException(str(error)) from error
    console.print(f"{written[0]}, and {len(written) - 1} charts as PNG beside it", highlight=False)


def _require_drawing() -> None:
    """Said before the log is read, which takes minutes."""
    if missing := [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]:
        raise click.ClickException(
            f"a report needs {' and '.join(missing)}: pip install '.[report]' in a clone of churnwatch"
        )
