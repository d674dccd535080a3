"""What all commands share: exit codes, where settings come from, errors as one clear line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from streams.settings import Settings

#: Exit code when a check found problems; click's own are 1 for a failure and 2 for wrong usage or settings.
PROBLEMS: Final = 3


class Days(click.ParamType):
    """A number of days: `60d` or `60`."""

    name = "DAYS"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Whole days; fails with one line otherwise."""
        text = str(value).removesuffix("d")
        if not text.isdigit() or int(text) < 1:
            self.fail(f"{value!r} is not a number of days like 60d", param, ctx)
        return int(text)


settings_option = click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    help="TOML file; CHURNWATCH_* variables override it.",
)


def settings_of(file: Path | None, **overrides: Any) -> Settings:
    """The settings of a command; what is wrong with them is wrong usage."""
    from streams.settings import SettingsError, load  # noqa: PLC0415 - `--help` should be quick

    try:
        return load(file, **overrides)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def settings_on_kafka(file: Path | None) -> Settings:
    """The settings of a command that works on Kafka; see `require_kafka`."""
    settings = settings_of(file)
    require_kafka(settings)
    return settings


def require_kafka(settings: Settings, *, waiting: bool = False) -> None:
    """Greet the broker: what keeps a command out is one line. With `waiting` it need not be there yet."""

    async def greeted() -> bool:
        from streams.greeting import greet  # noqa: PLC0415

        return await greet(settings.kafka.client_options())

    if not run(greeted()) and not waiting:
        raise click.ClickException(
            f"no broker answers at {settings.kafka.bootstrap_servers}: start it, or say where it is "
            "(CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS)"
        )


def settings_of_deployment(file: Path | None) -> Settings:
    """The settings of a command that reads the state of a deployment, whose topics must be as they say."""
    settings = settings_on_kafka(file)

    async def checked() -> None:
        from streams.topic_admin import require_partitions  # noqa: PLC0415

        await require_partitions(settings.kafka.topics(), settings.kafka.client_options())

    run(checked())
    return settings


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine; errors that a user can understand become one line."""
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    try:
        return asyncio.run(main)
    except (KafkaError, OSError, RuntimeError, ValueError) as error:
        raise click.ClickException(f"{error}" or repr(error)) from error
