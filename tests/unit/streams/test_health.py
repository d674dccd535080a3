"""Readiness and liveness, told from the broker's side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types.tuples import TP

from streams import health as module
from streams.health import Health
from streams.settings import load
from streams.telemetry import Metrics
from tests.fakes import metric

ORDERS = TP("orders", 0)
ALERTS = TP("churn-alerts", 0)


class Part:
    """As much of a partition as readiness looks at."""

    def __init__(self, number: int, *, ready: bool = True, owned: bool = True) -> None:
        self.number, self.owned, self.ready = number, owned, asyncio.Event()
        if ready:
            self.ready.set()


class World:
    """A worker, its consumer, a broker's answers and a clock, all of them what a test says."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.parts = [Part(0)]
        self.models_loaded = True
        self.waiting: list[str] = []
        self.error: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.consumer = self
        self.answers: dict[TP, tuple[int, int]] = {ORDERS: (0, 0)}
        self.asked = 0
        self.down = False
        self.frozen = asyncio.Event()
        self.frozen.set()
        self.metrics = Metrics()
        settings = load(None, worker={"stalled_seconds": 120})
        self.health = Health(settings, self.metrics, self, self, lambda: self.now)

    def partitions(self) -> list[Any]:
        return self.parts

    def assignment(self) -> set[TP]:
        return {*self.answers, TP("examples", 0)}

    async def places(self, tps: list[TP]) -> dict[TP, tuple[int, int]]:
        self.asked += 1
        await self.frozen.wait()
        if self.down:
            raise KafkaConnectionError("no broker")
        return {tp: self.answers[tp] for tp in tps}

    async def after(self, seconds: float, **_: Any) -> list[str]:
        self.now += seconds
        await self.health.measure_lag()
        return self.health.not_alive()

    def lag(self) -> float:
        return metric(self.metrics.registry, "consumer_lag_records", topic="orders", partition="0")


@pytest.fixture
async def world():
    return World()


def test_a_worker_with_models_and_recovered_partitions_is_ready(world: World):
    assert world.health.not_ready() == []


def test_a_worker_without_models_or_partitions_is_not_ready(world: World):
    world.models_loaded, world.parts = False, []

    assert world.health.not_ready() == ["models are not loaded yet", "no partitions are assigned"]


def test_a_worker_is_not_ready_while_partitions_recover_or_are_parked(world: World):
    world.parts = [Part(3, ready=False), Part(1), Part(2, owned=False), Part(3, ready=False)]

    assert world.health.not_ready() == ["partitions [2, 3] are recovering"]


async def test_lag_without_commits_is_death_after_a_while_and_not_before(world: World):
    world.answers[ORDERS] = (5, 9)

    assert await world.after(0) == []
    assert await world.after(120) == []
    (problem,) = await world.after(10)
    assert problem == "orders/0: lag 4, nothing committed for 130 s"
    assert world.lag() == 4


async def test_commits_that_move_are_life_however_large_the_lag(world: World):
    for committed in range(10):
        world.answers[ORDERS] = (committed, 10**9)
        assert await world.after(100) == []


async def test_an_idle_topic_is_alive_for_ever(world: World):
    for _ in range(5):
        world.answers[ORDERS] = (7, 7)
        assert await world.after(1_000) == []


async def test_the_first_event_after_a_long_silence_is_no_death(world: World):
    world.answers[ORDERS] = (7, 7)
    await world.after(0)

    world.answers[ORDERS] = (7, 8)

    assert await world.after(100_000) == [], "nobody looked for a day, and then an event came"
    assert await world.after(121) != []


async def test_partitions_that_went_do_not_count_any_more(world: World):
    world.answers[ORDERS] = (5, 9)
    await world.after(0)

    world.answers = {ALERTS: (0, 0)}

    assert await world.after(1_000) == []
    assert world.lag() == 0


async def test_a_worker_whose_every_partition_went_is_alive(world: World):
    world.answers[ORDERS] = (5, 9)
    await world.after(0)

    world.parts = []

    assert await world.after(1_000) == []


async def test_before_anything_is_assigned_the_broker_is_not_asked(world: World):
    world.parts = []

    assert await world.after(10) == []
    assert world.asked == 0


async def test_the_broker_is_asked_seldom_however_often_the_page_is(world: World):
    for _ in range(10):
        await world.after(0.1)

    assert world.asked == 1


async def test_a_broker_that_is_down_is_no_reason_to_restart_its_workers(world: World):
    world.answers[ORDERS] = (5, 9)
    await world.after(0)

    world.down = True

    assert await world.after(1_000) == []
    assert world.lag() == 4, "what was known stays"


async def test_the_time_without_a_broker_is_no_time_without_commits(world: World):
    world.answers[ORDERS] = (5, 9)
    await world.after(0)
    world.down = True
    await world.after(1_000)

    world.down = False

    assert await world.after(10) == []
    assert await world.after(130) == ["orders/0: lag 4, nothing committed for 130 s"]


async def test_a_broker_that_does_not_answer_makes_the_worker_unready_until_it_does(world: World):
    world.down = True
    await world.after(10)
    assert world.health.not_ready() == ["the broker does not answer"]

    world.down = False
    await world.after(10)
    assert world.health.not_ready() == []


async def test_whoever_waits_for_the_broker_makes_the_worker_unready(world: World):
    world.waiting = ["connection"]

    assert world.health.not_ready() == ["the broker does not answer"]


async def test_a_page_does_not_wait_for_a_broker_that_takes_its_time(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """Neither does it ask again meanwhile, and what takes too long is an absence."""
    monkeypatch.setattr(module, "_PAGE_SECONDS", 0.01)
    world.frozen.clear()

    assert await world.after(10) == []
    assert world.health.not_ready() == []
    assert await world.after(10) == []
    assert world.health.not_ready() == ["the broker does not answer"]
    assert world.asked == 1

    world.frozen.set()
    await world.after(0)
    assert world.health.not_ready() == []


async def test_a_failed_worker_is_not_alive(world: World):
    world.error.set_exception(RuntimeError("recovery"))

    assert world.health.not_alive() == ["the worker has failed"]
    with pytest.raises(RuntimeError):
        await world.error
