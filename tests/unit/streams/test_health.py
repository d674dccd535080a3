"""Readiness and liveness, told from the broker's side."""

from __future__ import annotations

import math

import pytest

from streams.batches import BrokenBatch
from tests.fakes import metric
from tests.health import ALERTS, ORDERS, Part, World


@pytest.fixture
async def world():
    return World()


def test_a_worker_with_models_and_recovered_partitions_is_ready(world: World):
    assert world.health.not_ready() == []


def test_a_worker_without_models_or_partitions_is_not_ready(world: World):
    world.models_loaded, world.parts = False, []

    problems = ["models are not loaded yet", "the group gave this worker no partitions"]
    assert world.health.not_ready() == problems


def test_a_worker_that_has_not_joined_yet_says_so(world: World):
    world.confirmed, world.parts = -math.inf, []

    assert world.health.not_ready() == ["the group was not joined yet"]


def test_a_worker_of_which_the_group_has_not_heard_for_a_session_is_not_ready(world: World):
    world.now += 30
    assert world.health.not_ready() == []

    world.now += 1
    assert world.health.not_ready() == ["the group has not confirmed this worker for 31 s"]


def test_the_metric_of_readiness_says_what_the_page_says(world: World):
    for parts, ready in ([Part(0)], 1), ([], 0), ([Part(0, ready=False)], 0), ([Part(0)], 1):
        world.parts = parts
        world.health.measure()
        assert metric(world.metrics.registry, "ready") == ready


def test_a_worker_is_not_ready_while_partitions_recover_or_are_parked(world: World):
    world.parts = [Part(3, ready=False), Part(1), Part(2, owned=False), Part(3, ready=False)]

    assert world.health.not_ready() == ["partitions [2, 3] are recovering"]


async def test_lag_without_commits_is_death_after_a_while_and_not_before(world: World):
    world.answers[ORDERS] = (5, 9)

    assert await world.after(5) == []
    assert await world.after(120) == []
    assert await world.after(10) == ["orders/0: lag 4, nothing committed for 130 s"]
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
    await world.after(10_000)

    world.answers[ORDERS] = (7, 8)

    assert await world.after(121) == []
    assert await world.after(10) != []


async def test_partitions_that_went_do_not_count_any_more(world: World):
    world.answers[ORDERS] = (5, 9)
    await world.after(5)

    world.answers = {ALERTS: (0, 0)}

    assert await world.after(1_000) == []
    assert world.lag() == 0


async def test_a_worker_whose_every_partition_went_is_alive(world: World):
    world.answers[ORDERS] = (5, 9)
    await world.after(5)

    world.parts = []

    assert await world.after(1_000) == []


async def test_a_worker_that_recovers_for_long_is_alive(world: World):
    """Nothing of its partition is consumed meanwhile, however much there is."""
    world.answers[ORDERS] = (5, 9)
    world.parts = [Part(0, ready=False)]
    assert await world.after(1_000) == []

    world.parts[0].ready.set()

    assert await world.after(115) == []
    assert await world.after(20) != []


async def test_a_broker_that_is_down_is_no_reason_to_restart_its_workers(world: World):
    world.answers[ORDERS] = (5, 9)
    await world.after(60)

    world.down = True
    assert await world.after(1_000) == []
    assert world.lag() == 4, "what was known stays"

    world.down = False
    assert await world.after(115) == [], "the time without a broker does not count"
    assert await world.after(20) != []


async def test_the_time_that_a_worker_itself_was_paused_does_not_count(world: World):
    world.answers[ORDERS] = (5, 9)
    await world.after(60)

    world.now += 10_000

    assert await world.after(115) == []


async def test_a_worker_that_waits_for_a_broker_before_it_consumes_is_alive(world: World):
    world.has_begun, world.deaf = False, True

    assert await world.after(1_000) == []


async def test_a_consumer_whose_thread_is_deaf_is_dead_after_a_while(world: World):
    world.deaf = True

    assert await world.after(120) == []
    assert await world.after(5) == ["the consumer's thread has not answered for 125 s"]

    world.deaf = False
    await world.health.look()
    assert world.health.not_alive() == []


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


async def test_a_failed_worker_is_not_alive(world: World):
    world.error.set_exception(RuntimeError("recovery"))

    assert world.health.not_alive() == ["the worker has failed"]
    with pytest.raises(RuntimeError):
        await world.error


async def test_a_broken_batch_is_named_with_the_way_out_and_is_no_reason_to_restart(world: World):
    world.answers[ORDERS] = (5, 9)
    world.broken = {ORDERS: BrokenBatch(5, 7, "its checksum is another", b"")}

    assert [await world.after(100) for _ in range(3)] == [[], [], []]
    world.confirmed = world.now
    (problem,) = world.health.not_ready()
    assert problem.startswith("the record batch at orders/0/5 cannot be unpacked")
    assert "`churnwatch skip orders 0 5`" in problem
