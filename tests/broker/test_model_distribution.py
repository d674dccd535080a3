"""Model versions reach every worker in the order of their log; a late one reads them before it acts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from models.versions import records
from streams.model_admin import ModelsError, promote, release, rollback
from streams.model_store import ModelStore
from streams.patience import Patience
from streams.reading import read_versions
from streams.sending import Message, Sender, new_producer
from streams.telemetry import Metrics
from tests.broker.cluster import cluster
from tests.building import START, constant_models

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from models.versions import ModelSet
    from streams.settings import Settings
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

KEPT = 2


@asynccontextmanager
async def following(settings: Settings) -> AsyncIterator[ModelStore]:
    """A worker's model store, loaded."""
    options, metrics = settings.kafka.client_options(), Metrics()
    store = ModelStore(settings.kafka.topics()["models"], settings.trainer(), options, metrics)
    task = asyncio.create_task(store.follow(Patience()))
    try:
        await asyncio.wait_for(store.loaded.wait(), 20)
        yield store
    finally:
        task.cancel()
        await asyncio.wait([task])


async def publish(settings: Settings, sender: Sender, number: int) -> None:
    """A version as the trainer publishes it, tombstones of old ones included."""
    outdated = (await read_versions(settings)).reader.outdated(number, KEPT)
    found = [*records(version(number), {}), *((key, None) for key in outdated)]
    await sender.send(settings.kafka.topics()["models"], 0, [Message(*record) for record in found])


def version(number: int) -> ModelSet:
    """The version of a day: two contenders of whom the first leads."""
    one = constant_models(number / 10, number=number)
    scorers = dict.fromkeys(("logistic", "additive"), one.scorers["logistic"])
    return msgspec.structs.replace(one, as_of=START + number, scorers=scorers)


async def until(store: ModelStore, models: ModelSet) -> None:
    """Wait until these models are in force."""
    async with asyncio.timeout(20):
        while store.current != models:  # noqa: ASYNC110 - told by the listener, which wakes partitions
            await asyncio.sleep(0.01)


async def test_every_version_reaches_workers_in_order_and_a_late_one_begins_with_the_newest(
    broker: Broker, tmp_path: Path
) -> None:
    heard: list[int] = []
    async with (
        cluster(broker, tmp_path) as running,
        new_producer(running.settings.kafka.client_options()) as producer,
        following(running.settings) as early,
    ):
        before = early.current.number
        early.on_change(lambda: heard.append(early.current.number))
        for number in (1, 2, 3, 4, 5):
            await publish(running.settings, Sender(producer, 20), number)
        async with following(running.settings) as late:
            newest = late.current
        async with asyncio.timeout(20):
            while early.current.number < 5:  # noqa: ASYNC110 - told by the listener, which only notes it
                await asyncio.sleep(0.01)

    assert before == 0
    assert heard == [1, 2, 3, 4, 5]
    assert newest == version(5)
    assert early.current == newest


async def test_a_version_that_cannot_be_read_is_passed_over_by_all(broker: Broker, tmp_path: Path) -> None:
    async with (
        cluster(broker, tmp_path) as running,
        new_producer(running.settings.kafka.client_options()) as producer,
    ):
        sender = Sender(producer, 20)
        await publish(running.settings, sender, 1)
        broken = [Message(b"version/logistic/2", b"{"), Message(b"champion", b'{"number":2}')]
        await sender.send(running.settings.kafka.topics()["models"], 0, broken)
        async with following(running.settings) as store:
            found = store.current.number
        await publish(running.settings, sender, 3)
        async with following(running.settings) as store:
            after = store.current.number

    assert (found, after) == (1, 3)


async def test_what_an_operator_says_holds_for_all_workers_and_over_restarts_until_it_is_released(
    broker: Broker, tmp_path: Path
) -> None:
    """The version that is held outlives all that the trainer publishes meanwhile."""
    async with (
        cluster(broker, tmp_path) as running,
        new_producer(running.settings.kafka.client_options()) as producer,
        following(running.settings) as early,
    ):
        settings, sender = running.settings, Sender(producer, 20)
        for number in (1, 2, 3):
            await publish(settings, sender, number)

        before = await rollback(settings, None)
        await until(early, version(2))
        for number in (4, 5, 6):
            await publish(settings, sender, number)
        async with following(settings) as restarted:
            held = (restarted.current, restarted.learned)

        await promote(settings, "additive")
        await until(early, msgspec.structs.replace(version(2), champion="additive"))
        with pytest.raises(ModelsError, match="version 1 is not kept; kept are 2, 5, 6"):
            await rollback(settings, 1)

        after = await release(settings)
        await until(early, version(6))
        await publish(settings, sender, 7)
        async with following(settings) as restarted:
            newest = restarted.current
        kept = list((await read_versions(settings)).reader.kept)

    assert before.models == version(2)
    assert held == (version(2), version(6).as_of)
    assert after.models == version(6)
    assert newest == version(7)
    assert kept == [6, 7]
