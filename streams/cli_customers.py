"""`churnwatch inspect` and `churnwatch features`: one customer on the screen, everybody in a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.cli_shared import run, settings_of_deployment, settings_on_kafka, settings_option

if TYPE_CHECKING:
    from features.wording import Language
    from interventions.customer_report import AsOf


class Moment(click.ParamType):
    """A time: `2026-03-02`, or RFC 3339; UTC where no zone is said."""

    name = "TIME"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Epoch milliseconds; fails with one line otherwise."""
        try:
            time = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time like 2026-03-02 or 2026-03-02T08:30:00+01:00", param, ctx)
        return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


@click.command()
@settings_option
@click.argument("user")
@click.option(
    "--language",
    type=click.Choice(["en", "zh"]),
    help="Tell the features in this language; default: the first of alerting.languages.",
)
@click.option(
    "--shares", is_flag=True, help="What each feature adds to the log-odds, also against common sense."
)
@click.option("--as-of", type=Moment(), help="The record as of this time, if kept; default: now.")
@click.option("--as-of-decision", is_flag=True, help="The record as of the last decision time, if kept.")
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(min=0.1, max=60),
    default=5.0,
    show_default=True,
    help="Seconds to wait for an answer.",
)
@click.option("--offline", is_flag=True, help="Without a worker: recover the partition from its changelog.")
def inspect(
    file: Path | None,
    user: str,
    language: Language | None,
    as_of: int | None,
    *,
    shares: bool,
    as_of_decision: bool,
    seconds: float,
    offline: bool,
) -> None:
    """Show one customer: profile, features, risk, newest decisions.

    Asks the worker that has the customer in memory. Features and risk are those of now, with every event that
    was read. An earlier record is kept only as long as a decision time needs it, or until the next event.
    """
    from rich.console import Console  # noqa: PLC0415

    from streams.inspecting import inspect as show  # noqa: PLC0415

    if as_of is not None and as_of_decision:
        raise click.UsageError("--as-of and --as-of-decision are two ways to say as of when")
    when: AsOf = "decision" if as_of_decision else as_of
    settings = settings_of_deployment(file) if offline else settings_on_kafka(file)
    shown = show(
        settings, user, Console(), language, as_of=when, offline=offline, shares=shares, seconds=seconds
    )
    run(shown)


@click.command()
@settings_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Parquet file to write.")
def features(file: Path | None, out: Path) -> None:
    """Write the features and risk of every customer to a Parquet file.

    Each row says as of when it is, which is behind every event of that customer. Reads the changelogs, so it
    takes as long as a recovery of all partitions.
    """
    from rich.console import Console  # noqa: PLC0415

    from streams.exporting import write_features  # noqa: PLC0415

    run(write_features(settings_of_deployment(file), out, Console()))
