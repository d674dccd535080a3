"""Rights: each role can do its work with those of the catalogue, and whoever lacks one is told which."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError
from pydantic import SecretStr

from streams.rights import BY_NAME, ROLES, WORKER, Right
from streams.topic_admin import check
from tests.broker.cluster import WorkerProcess
from tests.broker.secured import PASSWORDS, SecuredKafka, churnwatch, eventually
from tests.broker.shop import shop_log

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings
    from streams.topics import Topics

pytestmark = [pytest.mark.broker, pytest.mark.kafka, pytest.mark.slow]


async def deployment(secured: SecuredKafka, folder: Path, user: str = "worker") -> tuple[Settings, Topics]:
    """Topics and a user that has the rights of the role of the same name."""
    settings = secured.settings(folder, secured.access("SASL_SSL", user))
    topics = await secured.topics_of(settings)
    secured.grant(user, BY_NAME[user].rights(topics))
    return settings, topics


def as_user(settings: Settings, user: str) -> Settings:
    """The same deployment for another user."""
    mine = {"sasl_username": user, "sasl_password": SecretStr(PASSWORDS[user])}
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update=mine)})


def told(right: Right) -> str:
    (operation,) = right.operations
    return (
        f"this user lacks the right {operation} on {right.kind} {right.name}: "
        "docs/rights.md says who needs what"
    )


async def test_the_check_names_each_right_of_a_worker_that_is_taken_away(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    settings, topics = await deployment(secured, tmp_path)
    options = settings.kafka.client_options()
    each = [
        replace(right, operations=(operation,))
        for right in WORKER.rights(topics)
        for operation in right.operations
        if operation != "DescribeConfigs"
    ]

    async def problems() -> list[str]:
        return (await check(topics, options, WORKER)).problems

    await eventually(problems, [])
    for right in each:
        secured.revoke("worker", right)
        await eventually(problems, [told(right)])
        secured.grant("worker", [right])
        await eventually(problems, [])
    assert len(each) > 30, "it was about something"


async def test_a_group_that_may_be_seen_and_not_used_is_told_apart(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    settings, topics = await deployment(secured, tmp_path)
    secured.grant("worker", [Right("group", topics.group, ("Describe",))])
    secured.revoke("worker", right := Right("group", topics.group, ("Read",)))

    async def problems() -> list[str]:
        return (await check(topics, settings.kafka.client_options(), WORKER)).problems

    await eventually(problems, [told(right)])


async def test_each_role_can_do_its_work_with_its_rights_and_not_the_work_of_others(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    worker = secured.settings(tmp_path, secured.access("SASL_SSL", "worker"))
    topics = worker.kafka.topics()
    for role in ROLES:
        secured.grant(role.name, role.rights(topics))
    history = tmp_path / "history.jsonl"
    events = shop_log(60, 12)
    history.write_bytes(b"".join(event.value + b"\n" for event in events))

    made = await churnwatch(as_user(worker, "operator"), "topics", "create")
    process = WorkerProcess(worker, tmp_path)
    await process.start()
    try:
        await process.ready(90)
        replayed = await churnwatch(as_user(worker, "replayer"), "replay", str(history))
        inspected = await churnwatch(as_user(worker, "inspector"), "inspect", events[0].user_id)
        recovered = await churnwatch(as_user(worker, "operator"), "inspect", events[0].user_id, "--offline")
        exported = await churnwatch(
            as_user(worker, "operator"), "features", "--out", str(tmp_path / "out.parquet")
        )
        not_mine = await churnwatch(as_user(worker, "shop"), "inspect", events[0].user_id)
    finally:
        stopped = await process.stop()

    did = (made, replayed, inspected, recovered, exported)
    assert [each.code for each in did] == [0] * 5, [each.said for each in did]
    assert stopped == 0
    assert not_mine.code == 1
    assert f"lacks the right Write on topic {topics['queries']}" in not_mine.said
    await writes(as_user(worker, "shop"), topics["orders"])
    await writes(as_user(worker, "marketing"), topics["outcomes"])
    assert await reads(
        as_user(worker, "marketing"), topics["churn-alerts"], f"{topics.prefix}marketing-mails"
    )
    for user, topic in (
        ("shop", "churn-alerts"),
        ("marketing", "orders"),
        ("replayer", "customers-changelog"),
        # Who may open a session may make a shop's present its history.
        ("shop", "control"),
        ("worker", "control"),
    ):
        with pytest.raises(TopicAuthorizationFailedError):
            await writes(as_user(worker, user), topics[topic])
    with pytest.raises(TopicAuthorizationFailedError):
        await reads(as_user(worker, "monitoring"), topics["churn-alerts"], None)


async def writes(settings: Settings, topic: str) -> None:
    async with AIOKafkaProducer(**settings.kafka.client_options(), enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, b"{}", partition=0)


async def reads(settings: Settings, topic: str, group: str | None) -> Any:
    """The first record of a topic."""
    options = {**settings.kafka.client_options(), "group_id": group, "auto_offset_reset": "earliest"}
    async with AIOKafkaConsumer(topic, **options) as consumer:
        return await asyncio.wait_for(consumer.getone(), 120)


@pytest.mark.parametrize(
    ("operation", "topic"), [("Read", "orders"), ("Write", "commands.sms"), ("Write", "ledger-changelog")]
)
async def test_a_worker_with_one_right_too_few_says_which_and_does_not_start(
    secured: SecuredKafka, tmp_path: Path, operation: str, topic: str
) -> None:
    settings, topics = await deployment(secured, tmp_path)
    secured.revoke("worker", right := Right("topic", topics[topic], (operation,)))  # type: ignore[arg-type]

    checked, started = await asyncio.gather(
        churnwatch(settings, "worker", "--check"), churnwatch(settings, "worker")
    )

    assert checked.code == 3
    assert checked.out.splitlines()[-1] == f"problem: {told(right)}"
    assert started.code == 1
    assert started.last_line == f"Error: {told(right)}"


async def test_without_the_right_to_see_settings_the_check_has_notes_and_no_problem(
    secured: SecuredKafka, tmp_path: Path
) -> None:
    settings, topics = await deployment(secured, tmp_path)
    secured.revoke("worker", Right("topic", topics["scores"], ("DescribeConfigs",)))

    checked = await churnwatch(settings, "worker", "--check")

    assert checked.code == 0
    note = f"note: the settings of topic {topics['scores']} are unchecked: TopicAuthorizationFailedError"
    assert note in checked.out


@pytest.mark.parametrize(
    ("operation", "topic"),
    [
        ("Write", "customers-changelog"),
        ("Write", "scores"),
        ("Read", "clickstream"),
        ("Read", "churn-alerts"),
        ("Read", "models"),
        ("Read", "control"),
        ("Read", ""),
    ],
)
async def test_a_worker_that_loses_a_right_stops_with_one_line_that_names_it(
    secured: SecuredKafka, tmp_path: Path, operation: str, topic: str
) -> None:
    settings, topics = await deployment(secured, tmp_path)
    secured.grant("replayer", BY_NAME["replayer"].rights(topics))
    history = tmp_path / "history.jsonl"
    history.write_bytes(b"".join(event.value + b"\n" for event in shop_log(100, 30)))
    right = Right(*(("topic", topics[topic]) if topic else ("group", topics.group)), (operation,))  # type: ignore[arg-type]
    worker = WorkerProcess(settings, tmp_path)
    await worker.start()
    await worker.ready(90)
    replaying = asyncio.create_task(churnwatch(as_user(settings, "replayer"), "replay", str(history)))
    await asyncio.sleep(2)

    secured.revoke("worker", right)
    try:
        code = await worker.ended(90)
    finally:
        replaying.cancel()
        await asyncio.wait([replaying])
        if worker.child.returncode is None:
            await worker.kill()

    assert code == 1, worker.said()
    assert worker.said().splitlines()[-1] == f"Error: {told(right)}"
    assert "recovering after a failed write" not in worker.said()
