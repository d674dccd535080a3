"""The commands about alerts that the guard holds back: `churnwatch alarms …`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streams.cli_shared import run, settings_on_kafka, settings_option

if TYPE_CHECKING:
    from pathlib import Path

_by = click.option("--by", metavar="NAME", help="In whose name; default: who runs this.")


@click.group()
def alarms() -> None:
    """See which alerts are held back because a step is not believable, and release or drop them.

    A closed shop or a broken feed makes everybody silent at once. What is said holds for all workers and for
    this one hold, and stands with name and time on the `models` topic and in the workers' logs.
    """


@alarms.command("list")
@settings_option
def alarms_list(file: Path | None) -> None:
    """Show what is held back, since when and why."""
    from streams.alarm_admin import show  # noqa: PLC0415

    click.echo(run(show(settings_on_kafka(file))))


@alarms.command("release")
@settings_option
@_by
def alarms_release(file: Path | None, by: str | None) -> None:
    """The step is true: alarm those held back, with the next decision time, if they are still at risk."""
    from streams.alarm_admin import say  # noqa: PLC0415

    click.echo(run(say(settings_on_kafka(file), "release", by)))


@alarms.command("drop")
@settings_option
@_by
def alarms_drop(file: Path | None, by: str | None) -> None:
    """It is a false alarm: those held back raise none until they were below the threshold again."""
    from streams.alarm_admin import say  # noqa: PLC0415

    click.echo(run(say(settings_on_kafka(file), "drop", by)))
