"""The catalogue of rights: complete, no wider than it must be, under the names of the deployment."""

from __future__ import annotations

import pytest

from streams.authorisation import sentence
from streams.rights import BY_NAME, ROLES, WORKER, Right, Role
from streams.topics import CATALOGUE, INPUTS, Topics

NAMED = Topics(prefix="eu.", overrides={"orders": "shop.sales"}, group="blue")


def may(role: Role, operation: str) -> set[str]:
    return {topic for topic, operations in role.topics.items() if operation in operations}


def test_every_topic_is_written_by_one_kind_of_user_besides_the_replayer_and_who_overrules_the_trainer():
    writers = {
        topic: [role.name for role in ROLES if role.name != "replayer" and topic in may(role, "Write")]
        for topic in CATALOGUE
    }

    assert writers.pop("models") == ["worker", "operator"]
    assert writers.pop("examples") == ["worker", "operator"]
    assert writers.pop("control") == [], "who may open a session may make the present history"
    assert "control" in may(BY_NAME["replayer"], "Write")
    assert {len(found) for found in writers.values()} == {1}
    assert writers["outcomes"] == ["marketing"]
    assert writers["orders"] == ["shop"]


def test_the_worker_reads_the_inputs_and_writes_none_of_them():
    assert set(INPUTS) <= may(WORKER, "Read")
    assert not may(WORKER, "Write") & set(INPUTS)
    assert may(WORKER, "Read") | may(WORKER, "Write") == set(CATALOGUE)


@pytest.mark.parametrize("operation", ["Create", "Alter", "AlterConfigs", "Delete"])
def test_only_the_operator_changes_topics(operation: str):
    assert [role.name for role in ROLES if may(role, operation)] == ["operator"]


def test_nobody_outside_reads_state_or_what_a_worker_tells_itself():
    internal = {name for name, topic in CATALOGUE.items() if topic.role == "internal"}

    apart = {"progress", "queries", "answers"}

    readers = {role.name for role in ROLES if may(role, "Read") & (internal - apart)}

    assert readers == {"worker", "operator"}
    assert may(BY_NAME["shop"], "Read") == set()


def test_only_an_inspector_asks_about_customers_and_hears_the_answers():
    def who(operation: str, topic: str) -> list[str]:
        return [role.name for role in ROLES if topic in may(role, operation)]

    assert (who("Write", "queries"), who("Read", "queries")) == (["inspector"], ["worker"])
    assert (who("Write", "answers"), who("Read", "answers")) == (["worker"], ["inspector"])


def test_rights_carry_the_names_of_the_deployment():
    rights = list(WORKER.rights(NAMED))

    assert Right("topic", "shop.sales", ("Read", "DescribeConfigs")) in rights
    assert Right("topic", "eu.blue-customers-changelog", ("Read", "Write", "DescribeConfigs")) in rights
    assert rights[-1] == Right("group", "blue", ("Read",))
    assert list(BY_NAME["marketing"].rights(NAMED))[-1] == Right(
        "group", "eu.marketing", ("Read",), prefix=True
    )


def test_missing_rights_are_one_line():
    said = sentence([Right("topic", "orders", ("Read",)), Right("topic", "models", ("Read", "Write"))])

    assert said == (
        "this user lacks the right Read on topic orders; Read and Write on topic models: "
        "docs/rights.md says who needs what"
    )
