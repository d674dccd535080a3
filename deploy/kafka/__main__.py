"""`python -m deploy.kafka`: run Kafka until Ctrl-C, or while a command runs."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from deploy.kafka import ADMIN, HOST, KAFKA_VERSION, Authority, KafkaCluster, Security

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where churnwatch looks for its broker.
VARIABLE: Final = "CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS"

Environment = dict[str, str]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--brokers", default=1, type=click.IntRange(1, 9), help="Three survive the loss of any one.")
@click.option("--port", default=9092, help="Port of the first; the others follow. 0 takes any that are free.")
@click.option(
    "--bootstrap-file", type=click.Path(path_type=Path), help="Write the address here once all are up."
)
@click.option("--secure", is_flag=True, help="TLS, passwords (SASL/SCRAM) and access control.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(
    *, brokers: int, port: int, bootstrap_file: Path | None, secure: bool, command: tuple[str, ...]
) -> None:
    """Run Apache Kafka on this machine, with data that go when it stops.

    Runs until Ctrl-C or SIGTERM. With a COMMAND, which stands behind `--`, it runs until that ends and
    ends with its exit code; its environment holds the address, and what else it takes to come in.
    """
    # As Ctrl-C does: Java processes must not outlive this one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Several nodes share what one may have.
    heap_mb = 1024 if brokers == 1 else 512
    code = 0
    try:
        with tempfile.TemporaryDirectory(prefix="churnwatch-kafka-", ignore_cleanup_errors=True) as folder:
            security = Security(Authority(Path(folder) / "tls"), HOST) if secure else None
            cluster = KafkaCluster(Path(folder), brokers, port=port, heap_mb=heap_mb, security=security)
            variables = {VARIABLE: cluster.bootstrap, **_access(security)}
            with cluster, _announced(cluster.bootstrap, bootstrap_file):
                if command:
                    code = _run(command, variables)
                else:
                    _say(cluster, variables)
                    _until_one_ends(cluster)
    except KeyboardInterrupt:
        return
    except (RuntimeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(code)


def _access(security: Security | None) -> Environment:
    """What churnwatch must be told to come in as the super user."""
    if security is None:
        return {}
    return {
        "CHURNWATCH_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "CHURNWATCH_KAFKA__SASL_USERNAME": ADMIN,
        "CHURNWATCH_KAFKA__SASL_PASSWORD": security.users[ADMIN],
        "CHURNWATCH_KAFKA__SSL_CA_FILE": str(security.authority.ca_file),
    }


def _run(command: tuple[str, ...], variables: Environment) -> int:
    """Run a command to its end; the exit code. Whatever stops us stops it first, with all that it started."""
    # In a session of its own: Ctrl-C would else reach it twice, and a shell would not pass SIGTERM on.
    child = subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True)
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()


def _say(cluster: KafkaCluster, variables: Environment) -> None:
    many = "a broker" if len(cluster.nodes) == 1 else f"{len(cluster.nodes)} brokers"
    click.echo(f"Apache Kafka {KAFKA_VERSION}, {many}: {cluster.bootstrap}")
    for name, value in variables.items():
        click.echo(f"  export {name}={value}")
    click.echo("  churnwatch topics create && churnwatch worker")
    click.echo("Ctrl-C stops it and throws its data away.")


def _until_one_ends(cluster: KafkaCluster) -> None:
    while all(node.running for node in cluster.nodes):
        time.sleep(0.5)
    ended = next(node for node in cluster.nodes if not node.running)
    raise RuntimeError(f"Kafka node {ended.number} ended: {ended.log.read_text()[-2000:]}")


@contextmanager
def _announced(bootstrap: str, file: Path | None) -> Iterator[None]:
    """The address in `file` meanwhile: whole or not at all."""
    if file is None:
        yield
        return
    partial = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    partial.write_text(bootstrap)
    partial.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
