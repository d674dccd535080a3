"""One Apache Kafka broker on loopback, from the Java archives that Maven fetches: no Docker, no installation.

KRaft mode, broker and controller in one process, data in a folder of its own that is thrown away with it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KAFKA_VERSION = "4.2.0"
LOG4J_VERSION = "2.25.3"
CACHE = Path.home() / ".cache" / "churnwatch" / "kafka" / KAFKA_VERSION
START_TIMEOUT_S = 60.0

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>churnwatch</groupId><artifactId>kafka-broker</artifactId><version>1</version>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
# Event times of a benchmark lie anywhere; nothing may be deleted for its age.
log.retention.ms=-1
"""


def is_available() -> bool:
    """Whether this machine can run the broker: it takes a Java runtime, and Maven or an earlier download."""
    return shutil.which("java") is not None and (_is_cached() or shutil.which("mvn") is not None)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """A broker with its data and log in `folder` (which must be empty); yields the bootstrap address.

    Raises RuntimeError with the end of the broker's log if it does not answer within `START_TIMEOUT_S`, and
    `subprocess.CalledProcessError` if Maven or the formatting of the storage fails.
    """
    _fetch()
    folder.mkdir(parents=True, exist_ok=True)
    broker, controller = _free_ports(2)
    properties = folder / "server.properties"
    properties.write_text(_PROPERTIES.format(broker=broker, controller=controller, data=folder / "data"))
    java = ["java", "-Xms512m", "-Xmx1g", "-cp", f"{CACHE}/*"]
    cluster = uuid.uuid4().hex[:22]
    format_storage = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
    subprocess.run(format_storage, check=True, capture_output=True, text=True)
    log = folder / "broker.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=sink, stderr=sink)
    try:
        bootstrap = f"127.0.0.1:{broker}"
        _wait_until_up(bootstrap, process, log)
        yield bootstrap
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def create_topics(bootstrap: str, names: Iterable[str], partitions: int) -> None:
    """Create topics, each with `partitions`; raises `KafkaException` if one exists or is refused."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    new = [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in names]
    for created in admin.create_topics(new).values():
        created.result(30)


def delete_topics(bootstrap: str, marker: str) -> None:
    """Delete every topic that has `marker` in its name."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    names = [name for name in admin.list_topics(timeout=10).topics if marker in name]
    for deleted in admin.delete_topics(names).values() if names else ():
        deleted.result(30)


def _is_cached() -> bool:
    return any(CACHE.glob("kafka_*.jar"))


def _fetch() -> None:
    if _is_cached():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    pom = CACHE / "pom.xml"
    wanted = [
        ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        ("org.apache.logging.log4j", "log4j-core", LOG4J_VERSION),
        ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
    ]
    pom.write_text(_POM.format("".join(_DEPENDENCY.format(*artifact) for artifact in wanted)))
    fetch = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={CACHE}"]
    subprocess.run(fetch, check=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


def _wait_until_up(bootstrap: str, process: subprocess.Popen[bytes], log: Path) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            admin.list_topics(timeout=1)
        except KafkaException:
            continue
        return
    raise RuntimeError(f"the Kafka broker did not start: {log.read_text()[-2000:]}")
