"""The product's own topics: made as the catalogue wants them, and checked without making any."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.topic_admin import check, create, delete
from streams.topics import CATALOGUE, Topics

if TYPE_CHECKING:
    from tests.broker.brokers import Broker, RealKafka

pytestmark = pytest.mark.broker


def unique(**changes: Any) -> Topics:
    """Topics that nobody else has."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    return Topics(**{"prefix": f"{name}.", "group": name, "partitions": 2} | changes)


async def test_the_check_finds_nothing_wrong_with_topics_as_the_catalogue_wants_them(broker: Broker) -> None:
    topics = unique()
    async with broker.hosting(topics) as bootstrap:
        findings = await check(topics, {"bootstrap_servers": bootstrap})

    unchecked = "this broker tells no topic settings (no DescribeConfigs): policies unchecked"
    assert findings.problems == []
    assert (unchecked in findings.notes) == (not broker.is_real)


async def test_the_check_names_missing_topics_and_wrong_counts_and_makes_none(broker: Broker) -> None:
    topics = unique()
    renamed = Topics(topics.prefix, {"reviews": f"{topics.prefix}elsewhere"}, 2, topics.group)
    larger = Topics(topics.prefix, {}, 3, topics.group)
    async with broker.hosting(topics) as bootstrap:
        options = {"bootstrap_servers": bootstrap}
        missing = [await check(renamed, options) for _ in range(2)]
        counts = await check(larger, options)

    hint = "is missing, or this user may not see it: churnwatch topics create"
    assert [found.problems for found in missing] == [[f"topic {topics.prefix}elsewhere {hint}"]] * 2
    assert [problem.split(":")[0] for problem in counts.problems] == [
        f"topic {name} has 2 partitions instead of 3" for name, topic in topics if topic.per_user
    ]


@pytest.mark.kafka
async def test_topics_are_made_once_and_go_again(kafka: RealKafka) -> None:
    topics, options = unique(), {"bootstrap_servers": kafka.bootstrap}

    made, again = await create(topics, options), await create(topics, options)
    gone, nothing = await delete(topics, options), await delete(topics, options)

    assert (len(made), again) == (len(CATALOGUE), [])
    assert (set(gone), nothing) == (set(made), [])


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("cleanup.policy", "compact,delete", "has cleanup.policy=compact,delete instead of compact"),
        ("min.compaction.lag.ms", "0", "has min.compaction.lag.ms=0, less than 3600000"),
    ],
)
async def test_a_changelog_with_another_policy_is_found(
    kafka: RealKafka, setting: str, value: str, problem: str
) -> None:
    topics = unique()
    async with kafka.hosting(topics) as bootstrap:
        name = topics["customers-changelog"]
        _alter(bootstrap, name, setting, value)
        findings = await check(topics, {"bootstrap_servers": bootstrap})

    assert findings.problems == [f"topic {name} {problem}"]


def _alter(bootstrap: str, topic: str, setting: str, value: str) -> None:
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result(20)
    # The controller answers before the broker that tells the settings knows them.
    asked = ConfigResource(ResourceType.TOPIC, topic)
    while admin.describe_configs([asked])[asked].result(20)[setting].value != value:
        time.sleep(0.05)
