"""Kafka without Docker: what is missing is said in one line, and nothing is left when it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.kafka import (
    HOST,
    Authority,
    KafkaCluster,
    KafkaUnavailableError,
    Security,
    distribution,
    missing,
)

ROOT = Path(__file__).parents[2]
needs_java = pytest.mark.skipif(missing() is not None, reason=missing() or "")
VARIABLE = "CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with whatever programs a test puts there, the only one on the path; and an empty cache."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(distribution, "CACHE", tmp_path / "cache" / "4.2.0")
    return programs


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_without_java_one_line_says_what_to_install(path: Path):
    assert missing() == "Java 17 or newer is missing: apt-get install openjdk-17-jre-headless"


@pytest.mark.parametrize(("said", "version"), [("11.0.2", 11), ("1.8.0_292", 8), ("9", 9)])
def test_an_old_java_is_named_with_its_version(path: Path, said: str, version: int):
    program(path, "java", f"echo 'openjdk version \"{said}\"' >&2")

    assert f"Java {version} is too old" in (missing() or "")


@pytest.mark.parametrize("said", ["17.0.15", "21", "25-ea"])
def test_a_new_java_without_maven_is_asked_for_maven_unless_kafka_was_fetched_before(path: Path, said: str):
    program(path, "java", f"echo 'openjdk version \"{said}\" 2025-04-15' >&2")

    assert "apt-get install maven" in (missing() or "")

    distribution.CACHE.mkdir(parents=True)
    assert missing() is None


def test_a_fetch_that_fails_says_why_and_leaves_nothing_that_could_be_taken_for_kafka(path: Path):
    program(path, "java", "echo 'openjdk version \"17\"' >&2")
    program(path, "mvn", "echo '[ERROR] no route to host'; echo more; exit 1")

    with pytest.raises(
        KafkaUnavailableError, match=r"could not fetch Kafka 4\.2\.0: \[ERROR\] no route to host$"
    ):
        distribution.classpath()

    assert list(distribution.CACHE.parent.iterdir()) == []


def test_what_was_fetched_is_kept_whole(path: Path):
    program(path, "java", "echo 'openjdk version \"17\"' >&2")
    program(path, "mvn", 'for last; do :; done; echo jar >"${last#-DoutputDirectory=}/kafka_2.13.jar"')

    found = distribution.classpath()

    assert found == f"{distribution.CACHE}/*"
    assert (distribution.CACHE / "kafka_2.13.jar").exists()
    assert "kafka_2.13" in (distribution.CACHE / "pom.xml").read_text()


def test_the_command_says_what_is_missing_in_one_line(tmp_path: Path):
    done = run(env={"PATH": str(tmp_path)})

    assert done.returncode == 1
    assert done.stderr == "Error: Java 17 or newer is missing: apt-get install openjdk-17-jre-headless\n"


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.kafka", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)


@needs_java
@pytest.mark.kafka
def test_a_command_runs_while_kafka_does_and_gives_its_exit_code():
    program = f"import os; print(os.environ['{VARIABLE}']); raise SystemExit(7)"

    done = run("--port", "0", "--", sys.executable, "-c", program)

    assert done.returncode == 7, done.stderr
    assert not is_up(done.stdout.strip())


@needs_java
@pytest.mark.kafka
def test_kafka_says_its_address_stops_on_a_signal_and_leaves_nothing(tmp_path: Path):
    file, temporary = tmp_path / "bootstrap", tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "deploy.kafka", "--port", "0", "--bootstrap-file", str(file)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    while not file.exists():
        assert running.poll() is None
        time.sleep(0.05)
    address = file.read_text()

    assert is_up(address)

    taken = run("--port", address.rpartition(":")[2])
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=30)

    assert taken.stderr.endswith("is not free: choose another, or 0 for any\n")
    assert running.returncode == 0
    assert f"export {VARIABLE}={address}" in said
    assert not is_up(address)
    assert not file.exists()
    assert list(temporary.glob("churnwatch-kafka-*")) == []


def is_up(address: str) -> bool:
    try:
        return bool(
            AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=2).brokers
        )
    except KafkaException:
        return False


@needs_java
@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize("loss", ["kill", "stop", "pause"])
def test_three_brokers_go_on_without_any_one_of_them_which_comes_back(tmp_path: Path, loss: str):
    with KafkaCluster(tmp_path, 3, heap_mb=512) as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        admin.create_topics([NewTopic("t", num_partitions=6)])["t"].result(30)
        node = cluster.nodes[1]
        write(cluster, "before")
        getattr(node, loss)()
        write(cluster, "without it")
        node.resume() if loss == "pause" else node.start()
        cluster.wait_until_up()
        write(cluster, "after")
        partitions = admin.list_topics("t").topics["t"].partitions.values()

    assert all(len(partition.replicas) == 3 for partition in partitions)
    assert not any(each.running for each in cluster.nodes)


def write(cluster: KafkaCluster, what: str) -> None:
    """One record to each partition, confirmed by all replicas in sync."""
    failed: list[Any] = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "log_level": 0})
    for partition in range(6):
        producer.produce("t", what, partition=partition, on_delivery=lambda error, _: failed.append(error))
    assert producer.flush(60) == 0
    assert failed == [None] * 6


@needs_java
@pytest.mark.kafka
@pytest.mark.slow
def test_a_secured_kafka_gives_a_command_all_it_takes_to_come_in_and_nobody_else():
    inside = run("--secure", "--port", "0", "--", sys.executable, "-m", "streams.cli", "topics", "create")
    drop = "import os; os.environ.pop('CHURNWATCH_KAFKA__SASL_PASSWORD')"
    cli = "import sys; sys.argv = ['churnwatch', 'topics', 'check']; from streams.cli import main; main()"
    outside = run("--secure", "--port", "0", "--", sys.executable, "-c", f"{drop}; {cli}")

    assert inside.returncode == 0, inside.stderr
    assert "created clickstream" in inside.stdout
    assert outside.returncode == 1
    assert outside.stderr == "Error: user admin has no password: set CHURNWATCH_KAFKA__SASL_PASSWORD\n"


@needs_java
@pytest.mark.kafka
@pytest.mark.slow
def test_three_secured_brokers_replicate_and_no_file_of_passwords_is_open_to_others(tmp_path: Path):
    security = Security(Authority(tmp_path / "tls"), HOST)
    with KafkaCluster(tmp_path / "kafka", 3, heap_mb=512, security=security) as cluster:
        admin = cluster.admin(cluster.bootstrap)
        admin.create_topics([NewTopic("t", num_partitions=3)])["t"].result(30)
        in_sync = [0]
        while min(in_sync, default=0) < 3:
            partitions = admin.list_topics("t", timeout=30).topics["t"].partitions.values()
            in_sync = [len(partition.isrs) for partition in partitions]

    secrets = [*(tmp_path / "kafka").glob("*/server.properties"), *(tmp_path / "tls").glob("*.key.pem")]
    assert len(secrets) == 4
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
