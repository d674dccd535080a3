"""The topic catalogue: names, settings, and what the check says about them. No broker here."""

from __future__ import annotations

import pytest

from features.inputs import EVENT_TYPES
from streams.topic_admin import Findings, _compare_configs, _compare_counts
from streams.topics import CATALOGUE, INPUTS, Topics

_HOUR_MS = 3_600_000


def _kafka_says(topics: Topics) -> dict[str, dict[str, str] | str]:
    """What a Kafka would answer on which `create` was run."""
    defaults = {"min.compaction.lag.ms": "0"}
    return {name: defaults | topic.configs() for name, topic in topics}


def test_the_inputs_are_the_topics_that_events_are_decoded_from():
    assert set(INPUTS) == set(EVENT_TYPES)


def test_names_carry_the_prefix_and_overrides_replace_them_whole():
    topics = Topics(prefix="eu.", overrides={"orders": "shop.sales"})

    assert topics["commands.email"] == "eu.commands.email"
    assert topics["orders"] == "shop.sales"


def test_what_belongs_to_a_group_carries_its_name_so_that_two_groups_share_no_changelog():
    one, other = Topics(group="churnwatch"), Topics(group="trial")

    assert one["customers-changelog"] == "churnwatch-customers-changelog"
    assert one["ledger-changelog"] == "churnwatch-ledger-changelog"
    assert {name for name, topic in one if topic.role == "internal"}.isdisjoint(dict(other))


def test_every_name_leads_back_to_its_topic():
    topics = Topics(prefix="eu.", overrides={"orders": "shop.sales"})

    assert [topics.logical(name) for name, _ in topics] == list(CATALOGUE)


def test_a_foreign_name_is_none_of_ours():
    with pytest.raises(KeyError):
        Topics(prefix="eu.").logical("orders")


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [({"order": "x"}, "no such topic to rename: order"), ({"orders": "reviews"}, "several topics: reviews")],
)
def test_overrides_that_cannot_be_meant_are_refused(overrides: dict[str, str], fault: str):
    with pytest.raises(ValueError, match=fault):
        Topics(overrides=overrides)


def test_per_user_topics_are_partitioned_alike_and_the_others_not_at_all():
    counts = Topics(partitions=6).partition_counts()

    assert {name for name, partitions in counts.items() if partitions == 1} == {
        "examples",
        "models",
        "audit",
        "churnwatch-progress",
        "churnwatch-queries",
        "churnwatch-answers",
        "churnwatch-control",
        "churnwatch-skips",
    }
    assert set(counts.values()) == {1, 6}


def test_questions_and_answers_about_customers_are_gone_within_hours_also_from_a_busy_topic():
    """The segment that is written to is never deleted, so that it must not be written to for a week."""
    for name in ("queries", "answers"):
        assert CATALOGUE[name].configs() == {
            "cleanup.policy": "delete",
            "retention.ms": "3600000",
            "segment.ms": "3600000",
        }


def test_changelogs_are_only_compacted_and_not_within_the_hour():
    for name in ("customers-changelog", "ledger-changelog"):
        assert CATALOGUE[name].configs() == {
            "cleanup.policy": "compact",
            "min.compaction.lag.ms": str(_HOUR_MS),
        }


def test_records_of_the_inputs_bear_the_brokers_clock():
    assert {CATALOGUE[name].configs().get("message.timestamp.type") for name in INPUTS} == {"LogAppendTime"}


def test_an_input_that_keeps_its_producers_timestamps_is_a_note_that_says_what_follows():
    topics, findings = Topics(), Findings([], [])
    configs = _kafka_says(topics)
    configs["orders"] = {**dict(configs["orders"]), "message.timestamp.type": "CreateTime"}  # type: ignore[arg-type]
    _compare_configs(dict(topics), configs, findings)

    (note,) = findings.notes
    assert not findings.problems
    assert "topic orders has message.timestamp.type=CreateTime instead of LogAppendTime" in note
    assert "more than ten minutes ahead are refused" in note


def test_every_topic_names_its_one_writer():
    assert all(topic.writer for topic in CATALOGUE.values())


def test_topics_as_created_pass_the_check():
    topics, findings = Topics(), Findings([], [])
    _compare_counts(topics, topics.partition_counts(), findings)
    _compare_configs(dict(topics), _kafka_says(topics), findings)

    assert findings == Findings([], [])


@pytest.mark.parametrize(
    ("topic", "setting", "value"),
    [
        ("churnwatch-customers-changelog", "cleanup.policy", "compact,delete"),
        ("churnwatch-customers-changelog", "min.compaction.lag.ms", "0"),
        # Valid commands would go before a gateway has read them.
        ("commands.coupon", "retention.ms", "1209600000"),
        # Per-field profile changes would be lost.
        ("customers", "cleanup.policy", "compact"),
    ],
)
def test_a_setting_that_loses_data_is_a_problem_named_with_topic_and_value(
    topic: str, setting: str, value: str
):
    topics, findings = Topics(), Findings([], [])
    configs = _kafka_says(topics)
    configs[topic] = {**dict(configs[topic]), setting: value}  # type: ignore[arg-type]
    _compare_configs(dict(topics), configs, findings)

    (problem,) = findings.problems
    assert f"topic {topic} has {setting}={value}" in problem


def test_settings_that_may_not_be_read_are_a_note():
    topics, findings = Topics(), Findings([], [])
    configs = _kafka_says(topics) | {"orders": "TopicAuthorizationFailedError"}
    _compare_configs(dict(topics), configs, findings)

    assert findings.problems == []
    assert findings.notes == ["the settings of topic orders are unchecked: TopicAuthorizationFailedError"]


def test_a_topic_that_may_not_be_described_is_a_problem():
    topics, findings = Topics(), Findings([], [])
    counts: dict[str, int | str] = {**topics.partition_counts(), "orders": "TopicAuthorizationFailedError"}
    _compare_counts(topics, counts, findings)

    assert findings.problems == ["topic orders cannot be described: TopicAuthorizationFailedError"]
