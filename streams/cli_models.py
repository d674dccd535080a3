"""The commands about model versions: `churnwatch models …`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streams.cli_shared import run, settings_on_kafka, settings_option

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def models() -> None:
    """List the model versions that are kept, and say which of them speaks.

    What is said holds for all workers at once, and over restarts, until it is released. The trainer learns
    and publishes meanwhile.
    """


@models.command("list")
@settings_option
def models_list(file: Path | None) -> None:
    """Show the versions that are kept: who leads, who contends, and which is in force."""
    from rich.console import Console  # noqa: PLC0415

    from streams.model_admin import show  # noqa: PLC0415

    run(show(settings_on_kafka(file), Console()))


@models.command("promote")
@settings_option
@click.argument("name")
def models_promote(file: Path | None, name: str) -> None:
    """Let the contender NAME raise the alerts, whoever the trainer would choose."""
    from streams.model_admin import promote, sentence  # noqa: PLC0415

    click.echo(sentence(run(promote(settings_on_kafka(file), name))))


@models.command("rollback")
@settings_option
@click.argument("number", type=click.IntRange(min=1), required=False)
def models_rollback(file: Path | None, number: int | None) -> None:
    """Bring version NUMBER back, whole; by default the one before that in force."""
    from streams.model_admin import rollback, sentence  # noqa: PLC0415

    click.echo(sentence(run(rollback(settings_on_kafka(file), number))))


@models.command("go-on")
@settings_option
@click.argument("partition", type=click.IntRange(min=0))
def models_go_on(file: Path | None, partition: int) -> None:
    """Let the trainer learn without PARTITION, which has not sent its part of a decision time.

    churnwatch_trainer_waiting names the partitions that it waits for. It goes on up to the newest decision
    time that another partition has reached; of later ones it waits again. In live operation only: a replay
    waits for every partition itself, and goes no further without one.
    """
    from streams.going_on import go_on  # noqa: PLC0415

    click.echo(run(go_on(settings_on_kafka(file), partition)))


@models.command("release")
@settings_option
def models_release(file: Path | None) -> None:
    """Go back to what the trainer says."""
    from streams.model_admin import release, sentence  # noqa: PLC0415

    click.echo(sentence(run(release(settings_on_kafka(file)))))
