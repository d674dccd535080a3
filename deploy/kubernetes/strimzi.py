"""Topics and users as resources of Strimzi 0.49 or newer (`kafka.strimzi.io/v1`), from the catalogues.

Nothing here was tried on a cluster: tests hold the resources to the catalogues and to Kubernetes' own rules.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from streams.rights import ROLES, Right, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.topics import Topic, Topics

_API: Final = "kafka.strimzi.io/v1"
_REPLICAS: Final = 3

Resource = dict[str, Any]


def topic_resources(topics: Topics, cluster: str) -> list[Resource]:
    """A KafkaTopic for every topic of the catalogue, on the Kafka resource `cluster`."""
    counts = topics.partition_counts()
    return [_topic(name, counts[name], topic, cluster) for name, topic in topics]


def user_resources(topics: Topics, cluster: str) -> list[Resource]:
    """A KafkaUser for every role, with a password that Strimzi makes, and its rights."""
    return [_user(role, topics, cluster) for role in ROLES]


def document(resources: Iterable[Resource], head: str) -> str:
    """The resources as one YAML file that begins with `head` as a comment."""
    lines = "".join(f"# {line}\n" for line in head.splitlines())
    return lines + yaml.safe_dump_all(resources, sort_keys=False, explicit_start=True, width=110)


def _topic(name: str, partitions: int, topic: Topic, cluster: str) -> Resource:
    config = {**topic.configs(), "min.insync.replicas": str(_REPLICAS - 1)}
    spec = {"topicName": name, "partitions": partitions, "replicas": _REPLICAS, "config": config}
    return _resource("KafkaTopic", name, cluster, spec)


def _user(role: Role, topics: Topics, cluster: str) -> Resource:
    spec = {
        "authentication": {"type": "scram-sha-512"},
        "authorization": {"type": "simple", "acls": [_acl(right) for right in role.rights(topics)]},
    }
    return _resource("KafkaUser", f"{topics.group}-{role.name}", cluster, spec)


def _acl(right: Right) -> Resource:
    pattern = "prefix" if right.prefix else "literal"
    return {
        "resource": {"type": right.kind, "name": right.name, "patternType": pattern},
        "operations": list(right.operations),
    }


def _resource(kind: str, name: str, cluster: str, spec: Mapping[str, Any]) -> Resource:
    # Kubernetes is stricter about names than Kafka.
    allowed = re.sub(r"[^a-z0-9.-]", "-", name.lower()).strip(".-")
    labels = {"strimzi.io/cluster": cluster}
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {"name": allowed, "labels": labels},
        "spec": dict(spec),
    }
