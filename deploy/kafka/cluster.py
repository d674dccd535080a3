"""A Kafka cluster of one node or several, each broker and controller at once (KRaft, combined mode).

Three nodes are a quorum of three that survives the loss of any one: with a controller of its own beside three
brokers, a fourth Java process, the controller's loss would stop all.
"""

from __future__ import annotations

import random
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.kafka.distribution import classpath
from deploy.kafka.node import Node

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.kafka.security import Security

HOST: Final = "127.0.0.1"
#: A node that ends is noticed at once; this is for one that hangs, and for a machine with other things to do.
START_SECONDS: Final = 180.0
_REPLICAS: Final = 3
#: Below what Linux gives to outgoing connections (32768 and up): there a client that knocks at the port of a
#: broker that is down can come to be connected with itself, and the broker does not get its port back.
_PORTS: Final = range(20_000, 32_000)


class KafkaCluster:
    """Kafka with its data and logs under `folder`, which must be empty and is left to the caller.

    The nodes listen on `port` and the ones after it, on any free ports if it is 0. `properties` are server
    properties besides or instead of ours; with `security` the cluster is a secured one, which can be reached
    in several ways (`at`). Use it as a context manager, or `start` and `stop` it; its `nodes`
    can be started, stopped, killed and paused one by one.

    Raises KafkaUnavailableError when this machine cannot run Kafka, RuntimeError when a port is taken or a
    node does not come up.
    """

    def __init__(
        self,
        folder: Path,
        brokers: int = 1,
        *,
        port: int = 0,
        heap_mb: int = 1024,
        properties: Mapping[str, str] | None = None,
        security: Security | None = None,
    ) -> None:
        if brokers < 1:
            raise ValueError(f"a cluster has at least one broker, not {brokers}")
        ports = [port + i for i in range(brokers)] if port else free_ports(brokers)
        if taken := [str(each) for each in ports if not _is_free(each)]:
            raise RuntimeError(f"port {', '.join(taken)} of {HOST} is not free: choose another, or 0 for any")
        self._security = security
        first, *others = ("PLAINTEXT", "CONTROLLER") if security is None else security.listeners
        free = iter(free_ports(brokers * len(others), besides=ports))
        #: Ports of all nodes, by the name of the listener.
        self._ports = {first: ports, **{name: [next(free) for _ in ports] for name in others}}
        common = {
            **_common(self._ports["CONTROLLER"]),
            **({} if security is None else security.properties()),
            **(properties or {}),
        }
        java = ["java", "-Xms256m", f"-Xmx{heap_mb}m", "-cp", classpath()]
        self.nodes = [self._node(i, folder / f"node-{i + 1}", common, java) for i in range(brokers)]

    def _node(self, index: int, home: Path, common: Mapping[str, str], java: list[str]) -> Node:
        home.mkdir(parents=True)
        settings = {
            "node.id": str(index + 1),
            "listeners": ",".join(f"{name}://{HOST}:{found[index]}" for name, found in self._ports.items()),
            "log.dirs": str(home / "data"),
            **common,
        }
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        file = home / "server.properties"
        # It may hold passwords.
        file.touch(mode=0o600)
        file.write_text(lines)
        return Node(index + 1, f"{HOST}:{next(iter(self._ports.values()))[index]}", home, java)

    @property
    def bootstrap(self) -> str:
        """Addresses of all brokers, as clients take them."""
        return ",".join(node.address for node in self.nodes)

    def at(self, listener: str) -> str:
        """Addresses of all brokers at one of their listeners, which `deploy.kafka.security` names."""
        return ",".join(f"{HOST}:{port}" for port in self._ports[listener])

    def admin(self, bootstrap: str) -> AdminClient:
        """A librdkafka client at `bootstrap`, with the rights of the super user."""
        access = {} if self._security is None else self._security.admin
        return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, **access})

    def start(self) -> None:
        """Format and start all nodes and wait until they are up."""
        cluster_id = uuid.uuid4().hex[:22]
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            options = [] if self._security is None else self._security.format_options
            for formatted in [threads.submit(node.format, cluster_id, options) for node in self.nodes]:
                formatted.result()
        for node in self.nodes:
            node.start()
        self.wait_until_up()

    def wait_until_up(self, seconds: float = START_SECONDS) -> None:
        """Wait until every node that runs serves clients.

        Raises RuntimeError with the end of a node's log if one ends meanwhile or time is up.
        """
        deadline = time.monotonic() + seconds
        for node in [node for node in self.nodes if node.running]:
            # Each is asked itself: the others take a node that was killed for alive until its session ends.
            admin = self.admin(node.address)
            while not _answers(admin):
                if not node.running or time.monotonic() > deadline:
                    end = node.log.read_text()[-2000:]
                    raise RuntimeError(f"Kafka node {node.number} did not come up: {end}")
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop all nodes: gracefully while they are a quorum, without which none can leave in order."""
        for node in self.nodes:
            if 2 * sum(each.running for each in self.nodes) > len(self.nodes):
                node.stop()
            else:
                node.kill()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.callback(self.stop)
            self.start()
            started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_ports(count: int, besides: list[int] | None = None) -> list[int]:
    """Ports of the loopback interface on which nobody listens, other than `besides`."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            break
        if port not in (besides or []) and _is_free(port):
            found.append(port)
    return found


def _common(controllers: list[int]) -> dict[str, str]:
    """Server properties that all nodes share. Kafka's own topics are replicated as the shop's are."""
    replicas = min(_REPLICAS, len(controllers))
    in_sync = max(replicas - 1, 1)
    voters = ",".join(f"{number}@{HOST}:{port}" for number, port in enumerate(controllers, start=1))
    own_topics = {
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        # Fifty each by default, for clusters of many groups: they are made when the first group comes.
        "offsets.topic.num.partitions": 6,
        "transaction.state.log.num.partitions": 6,
    }
    return {
        "process.roles": "broker,controller",
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(in_sync),
        **{name: str(value) for name, value in own_topics.items()},
        # A mistyped topic must be an error, and partition counts are ours to choose.
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        # Tests kill workers and wait for their sessions; the default is six seconds.
        "group.min.session.timeout.ms": "500",
        # Event times of a replay lie anywhere; nothing may be deleted for its age.
        "log.retention.ms": "-1",
    }


def _answers(admin: AdminClient) -> bool:
    try:
        return bool(admin.list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Java does: a port whose last connections are only waiting to be forgotten is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
