"""The models in force: a broken version never replaces a sound one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from models.guard import Hold
from models.overrides import OVERRIDE_KEY, Override
from models.trainer_config import TrainerConfig
from models.versions import CHAMPION_KEY, ModelSet, records, version_key
from models.words import ALARMS_KEY, Word
from streams.model_store import FrozenModels, ModelStore
from streams.patience import Patience
from streams.telemetry import Metrics
from tests.building import constant_models, day
from tests.fakes import FakeBroker, metric

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from models.words import Verdict

CONFIG = TrainerConfig(partitions=2, contenders=("logistic",))


@asynccontextmanager
async def following() -> AsyncIterator[Any]:
    """A store that follows the topic."""
    metrics = Metrics()
    store = ModelStore("models", CONFIG, {}, metrics)
    store.metrics = metrics
    task = asyncio.create_task(store.follow(Patience()))
    yield store
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
async def store(broker: FakeBroker):
    """A store that follows an empty topic."""
    async with following() as store:
        yield store


def publish(broker: FakeBroker, number: int, probability: float = 0.5) -> None:
    for key, value in records(constant_models(probability, number=number), {}):
        broker.logs["models", 0].append(key, value)


async def follow() -> None:
    await asyncio.sleep(0.01)


async def test_before_any_version_the_return_probability_speaks(store: Any):
    await asyncio.wait_for(store.loaded.wait(), 1)

    assert store.current.number == 0
    assert store.current.labels == 0


async def test_what_is_there_at_the_start_is_read_before_the_store_is_loaded(broker: FakeBroker):
    for number in (1, 2, 3):
        publish(broker, number)

    async with following() as store:
        await asyncio.wait_for(store.loaded.wait(), 1)

        assert store.current.number == 3


async def test_a_new_version_is_told_to_whoever_listens(broker: FakeBroker, store: Any):
    await store.loaded.wait()
    heard = []
    store.on_change(lambda: heard.append(store.current.number))

    publish(broker, 1)
    await follow()
    publish(broker, 2)
    await follow()

    assert heard == [1, 2]
    assert metric(store.metrics.registry, "model_version", model="logistic") == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (version_key("logistic", 2), b"{"),
        (version_key("logistic", 2), b"\xff"),
        (version_key("logistic", 2), b'{"name":"logistic"}'),
        (CHAMPION_KEY, b"{}"),
        (b"\xff", b"{}"),
    ],
)
async def test_a_broken_record_is_refused_and_the_models_in_force_stay(
    broker: FakeBroker, store: Any, key: bytes, value: bytes
):
    publish(broker, 1)
    broker.logs["models", 0].append(key, value)
    await store.loaded.wait()
    await follow()

    assert store.current.number == 1
    assert metric(store.metrics.registry, "refused_versions_total") == 1

    publish(broker, 3)
    await follow()
    assert store.current.number == 3


async def test_a_champion_whose_version_was_refused_is_refused_too(broker: FakeBroker, store: Any):
    publish(broker, 1)
    version, *champion = list(records(constant_models(0.9, number=2), {}))
    broker.logs["models", 0].append(
        version[0], version[1].replace(b'"intercept":', b'"intercept":1e999,"x":')
    )
    for record in champion:
        broker.logs["models", 0].append(*record)
    await store.loaded.wait()
    await follow()

    assert store.current.number == 1
    assert metric(store.metrics.registry, "refused_versions_total") == 2


async def test_a_version_of_an_earlier_decision_time_does_not_replace_a_later_one(
    broker: FakeBroker, store: Any
):
    publish(broker, 1)
    await store.loaded.wait()
    await follow()
    in_force = store.current

    early = constant_models(0.9, number=2)
    for key, value in records(msgspec.structs.replace(early, as_of=in_force.as_of - 1), {}):
        broker.logs["models", 0].append(key, value)
    await follow()

    assert store.current is in_force


def override(broker: FakeBroker, **said: Any) -> None:
    broker.logs["models", 0].append(OVERRIDE_KEY, msgspec.json.encode(Override(said_at=1, **said)))


def release(broker: FakeBroker) -> None:
    broker.logs["models", 0].append(OVERRIDE_KEY, None)


def aged(number: int) -> ModelSet:
    """Two contenders as of a day of their own."""
    one = constant_models(0.5, number=number)
    scorers = dict.fromkeys(("logistic", "additive"), one.scorers["logistic"])
    return msgspec.structs.replace(one, as_of=number, scorers=scorers)


def publish_aged(broker: FakeBroker, *numbers: int) -> None:
    for number in numbers:
        for record in records(aged(number), {}):
            broker.logs["models", 0].append(*record)


async def test_an_override_is_in_force_at_once_and_after_a_restart_and_until_its_release(
    broker: FakeBroker, store: Any
):
    publish_aged(broker, 1, 2)
    await store.loaded.wait()
    override(broker, number=1)
    await follow()
    assert store.current == aged(1)

    publish_aged(broker, 3)
    await follow()
    assert store.current == aged(1)
    restarted = ModelStore("models", CONFIG, {}, Metrics())
    task = asyncio.create_task(restarted.follow(Patience()))
    await asyncio.wait_for(restarted.loaded.wait(), 1)
    task.cancel()
    assert restarted.current == aged(1)

    release(broker)
    await follow()
    assert store.current == aged(3)


async def test_what_was_learned_is_told_though_an_older_version_is_in_force(broker: FakeBroker, store: Any):
    """A replay waits for what is learned; whoever waits must hear of it."""
    publish_aged(broker, 1, 2)
    override(broker, number=1)
    await store.loaded.wait()
    await follow()
    heard = []
    store.on_change(lambda: heard.append((store.current.number, store.learned)))

    publish_aged(broker, 5)
    await follow()

    assert heard == [(1, 5)]
    assert metric(store.metrics.registry, "model_as_of_timestamp_seconds") == 5 / 1000
    assert metric(store.metrics.registry, "model_version", model="logistic") == 1


async def test_the_metrics_say_who_leads_and_whether_an_operator_said_so(broker: FakeBroker, store: Any):
    registry = store.metrics.registry
    publish_aged(broker, 1)
    await store.loaded.wait()
    await follow()

    def leads() -> dict[str, float]:
        return {name: metric(registry, "champion", model=name) for name in ("logistic", "additive")}

    assert (leads(), metric(registry, "model_override")) == ({"logistic": 1, "additive": 0}, 0)
    override(broker, champion="additive")
    await follow()
    assert (leads(), metric(registry, "model_override")) == ({"logistic": 0, "additive": 1}, 1)
    release(broker)
    await follow()
    assert (leads(), metric(registry, "model_override")) == ({"logistic": 1, "additive": 0}, 0)


@pytest.mark.parametrize(("verdict", "state"), [(None, "held"), ("release", "released"), ("drop", "dropped")])
async def test_the_metrics_say_what_has_become_of_a_mass_alarm(
    broker: FakeBroker, store: Any, verdict: Verdict | None, state: str
):
    hold = Hold(since=day(1), why="crossing", value=0.5, limit=0.1)
    models = msgspec.structs.replace(constant_models(0.5), hold=hold)
    for record in records(models, {}):
        broker.logs["models", 0].append(*record)
    if verdict is not None:
        word = Word(verdict=verdict, since=hold.since, said_at=1, said_by="ada")
        broker.logs["models", 0].append(ALARMS_KEY, msgspec.json.encode(word))
    await store.loaded.wait()
    await follow()

    states = ("held", "released", "dropped")
    found = {each: metric(store.metrics.registry, "mass_alarm", state=each) for each in states}
    assert found == {each: each == state for each in states}

    publish(broker, 2)
    await follow()
    assert not any(metric(store.metrics.registry, "mass_alarm", state=each) for each in states)


async def test_an_override_that_cannot_be_followed_yields_to_the_newest_and_is_told_once(
    broker: FakeBroker, store: Any, caplog: pytest.LogCaptureFixture
):
    override(broker, number=7)
    publish_aged(broker, 8, 9)
    await store.loaded.wait()
    await follow()

    assert store.current == aged(9)
    warnings = [record for record in caplog.records if record.message == "an override is not followed"]
    assert [record.fields["why"] for record in warnings] == ["version 7 is not kept"]  # type: ignore[attr-defined]


async def test_frozen_models_follow_nothing(broker: FakeBroker):
    models = constant_models(0.7, number=9)
    store = FrozenModels(models, "models", CONFIG, Metrics())
    following = asyncio.create_task(store.follow(Patience()))
    publish(broker, 1)
    await follow()

    assert store.loaded.is_set()
    assert store.current == models
    assert not following.done()
    following.cancel()


def test_frozen_models_hold_nothing_back():
    """There is no trainer that would ever say that it is over."""
    hold = Hold(since=0, why="orders", value=0.1, limit=0.4)
    models = msgspec.structs.replace(constant_models(0.7), hold=hold)

    assert FrozenModels(models, "models", CONFIG, Metrics()).current.hold is None
