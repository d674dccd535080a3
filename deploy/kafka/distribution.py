"""The Java archives of Apache Kafka, fetched once through Maven into the user's cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.2.0"
LOG4J_VERSION: Final = "2.25.3"
OLDEST_JAVA: Final = 17
CACHE: Final = Path.home() / ".cache" / "churnwatch" / "kafka" / KAFKA_VERSION

_POM: Final = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>churnwatch</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY: Final = (
    "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
)
_ARTIFACTS: Final = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-core", LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
)


class KafkaUnavailableError(RuntimeError):
    """Apache Kafka cannot run on this machine; the message says in one line why and what to install."""


def missing() -> str | None:
    """What this machine lacks to run Kafka, in one line that says what to install; None if nothing."""
    java = _java_version()
    if java is None:
        return f"Java {OLDEST_JAVA} or newer is missing: apt-get install openjdk-17-jre-headless"
    if java < OLDEST_JAVA:
        return f"Java {java} is too old for Kafka {KAFKA_VERSION}: apt-get install openjdk-17-jre-headless"
    if not CACHE.is_dir() and shutil.which("mvn") is None:
        return f"Maven is missing, which fetches Kafka {KAFKA_VERSION}: apt-get install maven"
    return None


def classpath() -> str:
    """What Java needs to run Kafka, fetched if it was not yet (some 45 MB).

    Raises KafkaUnavailableError when something is missing or the archives cannot be fetched.
    """
    if (lack := missing()) is not None:
        raise KafkaUnavailableError(lack)
    if not CACHE.is_dir():
        _fetch()
    return f"{CACHE}/*"


def _java_version() -> int | None:
    """Major version of the Java on the path; None if there is none that runs."""
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return None
    # Up to Java 8 the major version came second: 1.8.0.
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def _fetch() -> None:
    # Elsewhere first: what is in the cache is complete, however a fetch ended.
    partial = CACHE.with_name(f"{KAFKA_VERSION}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pom = partial / "pom.xml"
    pom.write_text(_POM.format("".join(_DEPENDENCY.format(*artifact) for artifact in _ARTIFACTS)))
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    fetch = ["mvn", "-q", "-B", "-f", str(pom), *goal]
    done = subprocess.run(fetch, capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
            raise KafkaUnavailableError(f"Maven could not fetch Kafka {KAFKA_VERSION}: {lines[0]}")
        if not CACHE.is_dir():  # nobody was faster
            partial.rename(CACHE)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
