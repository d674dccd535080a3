"""Rights: each role can do its work with those of the catalogue, and whoever lacks one is told which."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError

from features.layout import DAY_MS
from streams.authorisation import RightsError, require
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


def told(right: Right) -> str:
    (operation,) = right.operations
    return (
        f"this user lacks the right {operation} on {right.kind} {right.name}: "
        "grant it (docs/operations.md, Rights)"
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
    assert len(each) == len(list(topics)) + len(("churn-alerts", "examples", "models", "two changelogs", 1)) + 1


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
    assert started.err == f"Error: {told(right)}\n"


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
        ("Read", ""),
    ],
)
async def test_a_worker_that_loses_a_right_stops_with_one_line_that_names_it(
    secured: SecuredKafka, tmp_path: Path, operation: str, topic: str
) -> None:
    settings, topics = await deployment(secured, tmp_path)
    secured.grant("replayer", BY_NAME["replayer"].rights(topics))
    history = tmp_path / "history.jsonl"
    events = [event for event in shop_log(40, 12)]
    history.write_bytes(b"".join(event.value + b"\n" for event in events))
    replayer = settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(
                update={"sasl_username": "replayer", "sasl_password": BY_NAME and _secret("replayer")}
            )
        }
    )
    right = Right(*(("topic", topics[topic]) if topic else ("group", topics.group)), (operation,))  # type: ignore[arg-type]
    worker = WorkerProcess(settings, tmp_path)
    await worker.start()
    await worker.ready(90)
    replaying = asyncio.create_task(churnwatch(replayer, "replay", str(history)))
    await asyncio.sleep(2)

    secured.revoke("worker", right)
    try:
        code = await worker.ended(90)
    finally:
        replaying.cancel()
        if worker.child.returncode is None:
            await worker.kill()

    assert code == 1, worker.said()
    assert worker.said().splitlines()[-1] == f"Error: {told(right)}"
