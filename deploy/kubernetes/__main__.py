"""`python -m deploy.kubernetes`: write topics.yaml and users.yaml for the names in your settings."""

from __future__ import annotations

from pathlib import Path

import click

from deploy.kubernetes.strimzi import document, topic_resources, user_resources
from streams.cli_shared import settings_of, settings_option

HEAD = "Written by `python -m deploy.kubernetes`: change the catalogues or the settings, not this file."


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@settings_option
@click.option("--cluster", default="kafka", help="Name of the Kafka resource that these belong to.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent)
def main(file: Path | None, cluster: str, out: Path) -> None:
    """Write the topics and users of churnwatch as Strimzi resources."""
    topics = settings_of(file).kafka.topics()
    for name, resources in (
        ("topics.yaml", topic_resources(topics, cluster)),
        ("users.yaml", user_resources(topics, cluster)),
    ):
        (out / name).write_text(document(resources, HEAD))
        click.echo(f"written: {out / name}")


if __name__ == "__main__":
    main()
