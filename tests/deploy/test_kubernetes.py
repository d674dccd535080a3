"""The Strimzi resources say what the catalogues say and keep Kubernetes' rules. No cluster tried them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from deploy.kubernetes.__main__ import main
from deploy.kubernetes.strimzi import topic_resources, user_resources
from streams.rights import ROLES
from streams.topics import CATALOGUE, Topics

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
FILES = ["topics.yaml", "users.yaml"]
#: Names that Kafka allows and Kubernetes does not.
AWKWARD = Topics(prefix="EU_shop.", overrides={"orders": "_sales_"}, partitions=3, group="early_warning")


def read(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("name", FILES)
def test_the_committed_resources_are_those_of_the_catalogues(tmp_path: Path, name: str):
    CliRunner().invoke(main, ["--out", str(tmp_path)], catch_exceptions=False)

    assert (tmp_path / name).read_text() == (FOLDER / name).read_text(), "run `make contracts`"


@pytest.mark.parametrize("topics", [Topics(), AWKWARD], ids=["default", "awkward"])
def test_resources_have_names_that_kubernetes_takes_each_once(topics: Topics):
    found = topic_resources(topics, "kafka") + user_resources(topics, "kafka")
    names = [(each["kind"], each["metadata"]["name"]) for each in found]

    assert len(set(names)) == len(names) == len(CATALOGUE) + len(ROLES)
    for _, name in names:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name)
    assert {each["metadata"]["labels"]["strimzi.io/cluster"] for each in found} == {"kafka"}
    assert {each["apiVersion"] for each in found} == {"kafka.strimzi.io/v1"}


def test_topics_have_the_names_partitions_and_settings_that_the_worker_looks_for():
    found = {each["spec"]["topicName"]: each["spec"] for each in topic_resources(AWKWARD, "kafka")}

    assert {name: spec["partitions"] for name, spec in found.items()} == AWKWARD.partition_counts()
    for name, topic in AWKWARD:
        assert topic.configs().items() <= found[name]["config"].items()


def test_users_have_the_rights_of_their_role_under_the_names_of_the_deployment():
    users = {each["metadata"]["name"]: each["spec"] for each in user_resources(AWKWARD, "kafka")}

    assert users.keys() == {f"early-warning-{role.name}" for role in ROLES}
    for role in ROLES:
        spec = users[f"early-warning-{role.name}"]
        acls = [(acl["resource"], acl["operations"]) for acl in spec["authorization"]["acls"]]
        assert acls == [
            (
                {
                    "type": right.kind,
                    "name": right.name,
                    "patternType": "prefix" if right.prefix else "literal",
                },
                list(right.operations),
            )
            for right in role.rights(AWKWARD)
        ]
    named = yaml.safe_dump(users)
    assert "EU_shop.early_warning-customers-changelog" in named
    assert "_sales_" in named


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_yaml_that_reads_back(name: str):
    kind = {"topics.yaml": "KafkaTopic", "users.yaml": "KafkaUser"}[name]

    assert {each["kind"] for each in read(FOLDER / name)} == {kind}
