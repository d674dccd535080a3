"""`churnwatch inspect` asks the worker that owns the customer; one line says why it cannot."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from features.hashing import partition_of
from interventions.customer_report import CustomerReport
from streams.querying.asking import NoAnswerError, QueryError, ask
from streams.querying.messages import CustomerQuery
from tests.broker.brokers import KAFKA_IN_PROOF
from tests.broker.cluster import cluster
from tests.broker.secured import churnwatch
from tests.broker.shop import purchase

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings
    from tests.broker.brokers import Broker
    from tests.broker.cluster import Cluster

pytestmark = pytest.mark.broker

#: They are in both partitions.
USERS = ("ada", "bob", "cem", "dora")


async def sell(settings: Settings, ts: int) -> None:
    """One purchase of every user."""
    kafka = settings.kafka
    async with AIOKafkaProducer(**kafka.client_options()) as producer:
        for user in USERS:
            key = user.encode()
            place = partition_of(key, kafka.partitions)
            await producer.send_and_wait(kafka.topics()["orders"], purchase(user, ts), key, place)


async def asked(settings: Settings, user: str, orders: int) -> CustomerReport:
    """What is said of a user as soon as so many orders are known."""
    async with asyncio.timeout(30):
        while True:
            try:
                found = await ask(settings.kafka, "customer", CustomerQuery(user_id=user), CustomerReport, 10)
            except QueryError as error:
                if error.code not in {"unknown_customer", "recovering"}:
                    raise
            else:
                if found.features["orders"] == orders:
                    return found


def with_partitions(running: Cluster, partitions: int) -> Settings:
    kafka = running.settings.kafka.model_copy(update={"partitions": partitions})
    return running.settings.model_copy(update={"kafka": kafka})


async def test_a_first_order_is_shown_as_soon_as_it_was_read(broker: Broker, tmp_path: Path) -> None:
    """The first thing that an engineer tries: one event of the contract, and a look at its customer."""
    ts = int(time.time() * 1000)
    async with cluster(broker, tmp_path) as running:
        worker = await running.start_worker()
        await worker.ready()
        await sell(running.settings, ts)
        reports = [await asked(running.settings, user, 1) for user in USERS]
        shown = await churnwatch(running.settings, "inspect", "ada")
        mistaken = await churnwatch(with_partitions(running, 24), "inspect", "ada")
        stranger = await churnwatch(running.settings, "inspect", "nobody")
        await running.stop()

    assert {report.partition for report in reports} == {0, 1}
    assert all(report.last_event == ts and report.as_of > ts for report in reports)
    assert shown.code == 0
    assert "last event seen" in shown.out
    assert "1 order so far" in shown.out
    assert mistaken.out == shown.out, "the worker knows its partitions; the asker need not"
    assert stranger.code == 1
    assert "nothing is known of customer 'nobody'" in stranger.last_line


async def test_without_a_worker_there_is_one_line_in_time(broker: Broker, tmp_path: Path) -> None:
    async with cluster(broker, tmp_path) as running:
        with pytest.raises(NoAnswerError, match=r"no worker of group .* answered within 0\.5 s"):
            await ask(running.settings.kafka, "customer", CustomerQuery(user_id="ada"), CustomerReport, 0.5)
        said = await churnwatch(running.settings, "inspect", "ada", "--timeout", "0.5")

    assert said.code == 1
    assert "is `churnwatch worker` running" in said.last_line
    assert "--offline" in said.last_line


@KAFKA_IN_PROOF
@pytest.mark.parametrize(
    "command", [("inspect", "ada", "--offline"), ("features", "--out", "f.parquet"), ("report", "--live")]
)
async def test_reading_the_state_of_other_partitions_than_there_are_is_refused_at_once(
    broker: Broker, tmp_path: Path, command: tuple[str, ...]
) -> None:
    async with cluster(broker, tmp_path) as running:
        said = await churnwatch(with_partitions(running, 5), *command)

    assert said.code == 1
    assert "has 2 partitions instead of 5" in said.last_line
    assert "set kafka.partitions to 2" in said.last_line


@KAFKA_IN_PROOF
async def test_what_is_shown_of_a_worker_is_what_its_changelog_says(broker: Broker, tmp_path: Path) -> None:
    ts = int(time.time() * 1000)
    async with cluster(broker, tmp_path) as running:
        worker = await running.start_worker()
        await worker.ready()
        await sell(running.settings, ts)
        await asked(running.settings, "ada", 1)
        await running.consumed()
        online = await churnwatch(running.settings, "inspect", "ada")
        await running.stop()
        offline = await churnwatch(running.settings, "inspect", "ada", "--offline")

    assert (online.code, offline.code) == (0, 0), (online.said, offline.said)
    assert offline.out == online.out
