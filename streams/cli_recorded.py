"""What the commands that read a recorded log share: how the log is named, and what is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli_shared import Days

if TYPE_CHECKING:
    from datetime import datetime

    from streams.sections import Model
    from streams.sources import Source


known_option = click.option(
    "--data", type=click.Choice(["cdnow", "completejourney"]), help="A known log instead of FILES."
)
mapping_option = click.option(
    "--mapping",
    type=click.Path(exists=True, path_type=Path),
    help="TOML file that maps your columns to ours.",
)
files_argument = click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
horizon_option = click.option("--horizon", type=Days(), help="Churn: no purchase for so long, e.g. 60d.")
every_option = click.option("--every", type=Days(), help="Step of the decision grid, e.g. 7d.")
active_option = click.option(
    "--active-within", type=Days(), help="Who bought within so long is judged, e.g. 120d."
)


def source_of(files: tuple[Path, ...], data: str | None, mapping: Path | None) -> Source:
    """The log that a command names; one line says what is wrong."""
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


def model_of(
    configured: Model, source: Source, asked: dict[str, int | None], test_from: datetime | None
) -> dict[str, Any]:
    """What a backtest overrides: options come first, then what the settings say, then what suits the log."""
    said = {name: getattr(configured, name) for name in asked if name in configured.model_fields_set}
    days = {name: value or said.get(name) or getattr(source, name) for name, value in asked.items()}
    needed = days["horizon_days"] + days["active_within_days"] + 2 * days["every_days"]
    evict = max(configured.evict_after_days, needed)
    start = configured.evaluate_from if test_from is None else test_from.date()
    return {**days, "evict_after_days": evict, "evaluate_from": start}
