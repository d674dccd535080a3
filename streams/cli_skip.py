"""`churnwatch skip`: pass over what no worker can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streams.cli_shared import run, settings_on_kafka, settings_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@settings_option
@click.argument("topic")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
def skip(file: Path | None, topic: str, partition: int, offset: int) -> None:
    """Pass over the record batch at TOPIC PARTITION OFFSET that cannot be unpacked.

    A worker that meets such a batch (a wrong checksum, an unknown codec, broken compression) stops that
    partition, says so in its log, on /health/ready and in churnwatch_unreadable_batch_offset, and goes on
    with the others. Within seconds of this command it reads on behind the batch, whose bytes are a dead
    letter with the reason unreadable_batch. A batch that can be read is never passed over.
    """
    from streams import skips  # noqa: PLC0415

    said = run(skips.skip(settings_on_kafka(file), topic, partition, offset))
    click.echo(f"{said.topic}/{said.partition}/{said.offset} is passed over wherever it cannot be unpacked")
