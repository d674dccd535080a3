"""The composition root: what Faust is told, and one agent for each step."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.app import _watched, add_agents, faust_app
from streams.settings import load


class Steps:
    """The worker as the agents see it."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    async def observe(self, event: Any) -> None: ...
    async def dispatch(self, event: Any) -> None: ...
    async def learn(self, event: Any) -> None: ...

    def fail(self, error: BaseException) -> None:
        self.error = error


async def test_faust_keeps_no_tables_serves_no_pages_and_makes_no_topics():
    conf = faust_app(load()).conf

    assert not conf.web_enabled
    assert not conf.topic_allow_declare
    assert conf.topic_disable_leader
    assert conf.table_standby_replicas == 0
    assert conf.consumer_auto_offset_reset == "earliest"
    assert conf.processing_guarantee.value == "at_least_once"


async def test_faust_gets_brokers_group_and_times_from_the_settings():
    app = faust_app(
        load(
            None,
            kafka={
                "bootstrap_servers": "a:1,b:2",
                "group": "shop",
                "instance_id": "w-0",
                "session_timeout_seconds": 8,
                "fetch_wait_ms": 33,
            },
        )
    )

    assert [str(url) for url in app.conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert app.conf.id == "shop"
    assert app.conf.consumer_group_instance_id == "w-0"
    assert app.conf.broker_heartbeat_interval == 1
    assert app.conf.broker_request_timeout >= 40
    assert app.fetch_wait_ms == 33


async def test_a_worker_that_has_nothing_to_poll_stays_in_its_group():
    """By default one without partitions leaves it after 1000 s, and cannot come back: it never polls."""
    assert faust_app(load()).conf.broker_max_poll_interval > 30 * 86_400


async def test_credentials_follow_the_security_protocol():
    def credentials(protocol: str) -> Any:
        sasl = {"sasl_username": "cw", "sasl_password": "hunter2"} if protocol.startswith("SASL") else {}
        return faust_app(load(None, kafka={"security_protocol": protocol, **sasl})).conf.broker_credentials

    assert credentials("PLAINTEXT") is None
    assert credentials("SSL").protocol.value == "SSL"
    plain = credentials("SASL_PLAINTEXT")
    assert (plain.protocol.value, plain.username, plain.password) == ("SASL_PLAINTEXT", "cw", "hunter2")
    assert credentials("SASL_SSL").ssl_context is not None


@pytest.mark.parametrize(
    ("learning", "names"), [(True, {"observe", "dispatch", "learn"}), (False, {"observe", "dispatch"})]
)
async def test_one_agent_reads_all_inputs_and_only_a_learning_worker_reads_examples(
    learning: bool, names: set[str]
):
    settings = load(None, kafka={"topic_prefix": "eu."})
    app = faust_app(settings)

    add_agents(app, settings, Steps(), learning=learning)

    assert set(app.agents) == names
    topics = set(app.agents["observe"].channel.topics)
    assert topics == {f"eu.{name}" for name in ("clickstream", "orders", "reviews", "customers", "outcomes")}
    assert all(agent.concurrency == 1 for agent in app.agents.values())


async def test_an_error_beside_the_worker_stops_it_and_a_cancellation_does_not():
    async def broken() -> None:
        raise OSError("no broker")

    steps = Steps()
    await _watched(broken(), steps)
    assert isinstance(steps.error, OSError)

    steps = Steps()
    waiting = _watched(asyncio.sleep(60), steps)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert steps.error is None
