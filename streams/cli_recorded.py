"""What the commands that read a recorded log share: how the log is named, and what is asked of it."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from streams.cli_shared import Days, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from streams.sections import Model
    from streams.settings import Settings
    from streams.sources import Source

#: The mapping of a file that needs none.
_NONE: Final = Path("-")

_LOG: Final = (
    click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path)),
    click.option(
        "--data", type=click.Choice(["cdnow", "completejourney"]), help="A known log instead of FILES."
    ),
    click.option(
        "--mapping",
        "mappings",
        multiple=True,
        type=click.Path(exists=True, allow_dash=True, path_type=Path),
        help="TOML file that maps your columns to ours. Several: one for each of FILES, in their order, "
        "and - for one that needs none.",
    ),
)
_GRID: Final = (
    click.option("--horizon", type=Days(), help="Churn: no purchase for so long, e.g. 60d."),
    click.option("--every", type=Days(), help="Step of the decision grid, e.g. 7d."),
    click.option("--active-within", type=Days(), help="Who bought within so long is judged, e.g. 120d."),
)
test_from_option = click.option(
    "--test-from", type=click.DateTime(["%Y-%m-%d"]), help="Report decision times from here on, too."
)


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `files`, `data` and `mappings`, from which `source_of` makes a log."""
    return reduce(lambda made, option: option(made), reversed(_LOG), command)


def grid_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `horizon`, `every` and `active_within`, for `backtest_settings`."""
    return reduce(lambda made, option: option(made), reversed(_GRID), command)


def source_of(files: tuple[Path, ...], data: str | None, mappings: tuple[Path, ...]) -> Source:
    """The log that a command names; one line says what is wrong."""
    from streams.sources import SourceError  # noqa: PLC0415
    from streams.sources.cdnow import Cdnow  # noqa: PLC0415
    from streams.sources.completejourney import CompleteJourney  # noqa: PLC0415

    if bool(files) == (data is not None):
        raise click.UsageError("name FILES, or one of the known logs with --data")
    if mappings and not files:
        raise click.UsageError("--mapping is for FILES")
    if len(mappings) > 1 and len(mappings) != len(files):
        raise click.UsageError(
            f"{len(mappings)} mappings for {len(files)} FILES: say one for all of them, or one for each"
        )
    try:
        if data is not None:
            return Cdnow() if data == "cdnow" else CompleteJourney()
        return _files(files, mappings)
    except SourceError as error:
        raise click.ClickException(str(error)) from error


def _files(files: tuple[Path, ...], mappings: tuple[Path, ...]) -> Source:
    from streams.sources.files import FileSource, SeveralFiles, load_mapping  # noqa: PLC0415

    loaded = [None if path == _NONE else load_mapping(path) for path in mappings]
    if len(loaded) < 2:
        return FileSource(files, loaded[0] if loaded else None)
    return SeveralFiles(
        tuple(FileSource((file,), mapping) for file, mapping in zip(files, loaded, strict=True))
    )


def backtest_settings(
    file: Path | None,
    source: Source,
    horizon: int | None,
    every: int | None,
    active_within: int | None,
    test_from: datetime | None = None,
) -> Settings:
    """The settings for judging `source`."""
    asked = {"horizon_days": horizon, "every_days": every, "active_within_days": active_within}
    return settings_of(file, model=_model_of(settings_of(file).model, source, asked, test_from))


def _model_of(
    configured: Model, source: Source, asked: dict[str, int | None], test_from: datetime | None
) -> dict[str, Any]:
    """What a backtest overrides: options come first, then what the settings say, then what suits the log."""
    said = {name: getattr(configured, name) for name in asked if name in configured.model_fields_set}
    days = {name: value or said.get(name) or getattr(source, name) for name, value in asked.items()}
    needed = days["horizon_days"] + days["active_within_days"] + 2 * days["every_days"]
    evict = max(configured.evict_after_days, needed)
    start = configured.evaluate_from if test_from is None else test_from.date()
    return {**days, "evict_after_days": evict, "evaluate_from": start}
