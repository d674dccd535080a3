"""Real Kafka for tests: one that is there, a container, or the Java distribution; the first to be had."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.kafka import KAFKA_VERSION, KafkaCluster, free_ports, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE: Final = "CHURNWATCH_TEST_KAFKA"
IMAGE: Final = f"apache/kafka:{KAFKA_VERSION}"
#: Much less than a broker in earnest: the tests of this suite are small, and so may the machine be.
HEAP_MB: Final = 512
_UP_SECONDS: Final = 90


class Given:
    """The broker whose address is in the environment."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.name = f"the broker at {address} ({VARIABLE})"

    @contextmanager
    def running(self, _: Path) -> Iterator[str]:
        """Its address."""
        yield self._address


class Container:
    """Apache Kafka's own image, through testcontainers."""

    name = f"{IMAGE} in a container (testcontainers)"

    @contextmanager
    def running(self, _: Path) -> Iterator[str]:
        """A container for as long as the block lasts; its address."""
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.waiting_utils import wait_for_logs

        (port,) = free_ports(1)
        container = DockerContainer(IMAGE).with_bind_ports(port, port)
        # The image knows its settings by these names, and has none of its own as soon as one is given.
        host = container.get_docker_client().host()
        settings = {
            "NODE_ID": "1",
            "PROCESS_ROLES": "broker,controller",
            "CONTROLLER_QUORUM_VOTERS": "1@localhost:29093",
            "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:29093",
            "ADVERTISED_LISTENERS": f"PLAINTEXT://{host}:{port}",
            "LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "AUTO_CREATE_TOPICS_ENABLE": "false",
            "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "GROUP_MIN_SESSION_TIMEOUT_MS": "500",
            "LOG_RETENTION_MS": "-1",
        }
        for name, value in settings.items():
            container.with_env(f"KAFKA_{name}", value)
        with container:
            wait_for_logs(container, "Kafka Server started", timeout=_UP_SECONDS)
            yield f"{host}:{port}"


class Java:
    """The Java distribution, through Maven."""

    name = f"Apache Kafka {KAFKA_VERSION} on this machine's Java"

    @contextmanager
    def running(self, folder: Path) -> Iterator[str]:
        """A node for as long as the block lasts; its address. Raises KafkaUnavailableError."""
        with KafkaCluster(folder, heap_mb=HEAP_MB) as cluster:
            yield cluster.bootstrap


@cache
def found() -> Given | Container | Java | str:
    """Where real Kafka can be had from, or why it cannot. Nothing is started."""
    if address := os.environ.get(VARIABLE):
        return Given(address)
    if _docker_answers():
        return Container()
    return missing() or Java()


def _docker_answers() -> bool:
    if "DOCKER_HOST" not in os.environ and not _is_socket(Path("/var/run/docker.sock")):
        return False  # asked first, because importing the client takes longer than a unit test may
    import docker

    try:
        return bool(docker.from_env(timeout=2).ping())
    except (docker.errors.DockerException, OSError):
        return False


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
