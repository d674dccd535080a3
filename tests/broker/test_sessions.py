"""A worker, and replays that go wrong: who is heard, who is refused, and that live operation goes on."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer

from features.layout import DAY_MS, TOPICS
from streams.processes import environment, read_metrics
from tests.broker.cluster import Cluster, cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from streams.settings import Settings
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

_PATIENCE_S = 120.0


def shop(days: int, since: int) -> list[dict[str, Any]]:
    """A purchase and a login of each of five customers a day, from `since` (epoch ms) on."""
    found: list[dict[str, Any]] = []
    for number in range(days):
        for user in "abcde":
            ts, name = since + number * DAY_MS + 43_200_000, f"{user}-{number}"
            envelope = {"user_id": user, "ts": ts}
            order = {"transaction_id": name, "value": 5.0, "currency": "EUR"}
            found.append({"type": "purchase", "event_id": f"p{name}", **envelope, **order})
            found.append({"type": "login", "event_id": f"l{name}", **envelope})
    return found


def write(path: Path, events: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, events)))
    return path


def send(settings: Settings, topic: str, *messages: tuple[str | None, Mapping[str, Any]]) -> None:
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "partitioner": "murmur2_random"}
    )
    for key, message in messages:
        producer.produce(settings.kafka.topics()[topic], key=key, value=json.dumps(message).encode())
    assert producer.flush(20) == 0


def logins(number: int) -> list[tuple[str, dict[str, Any]]]:
    """Logins of the last minute."""
    now = int(time.time() * 1000)
    return [
        ("a", {"type": "login", "event_id": f"now-{now}-{i}", "user_id": "a", "ts": now - 60_000 + i})
        for i in range(number)
    ]


async def replay(settings: Settings, *arguments: object) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "streams.cli", "replay", *map(str, arguments)]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command, env=environment(settings), stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, said.decode()


class Page:
    """The metrics of the one worker."""

    def __init__(self, running: Cluster) -> None:
        self.address = running.workers[0].page()

    def __getitem__(self, name: str) -> float:
        assert self.address is not None
        return read_metrics(self.address).get(f"churnwatch_{name}", 0.0)

    def fates(self, fate: str) -> float:
        return sum(self[f"events_total{{fate={fate},topic={topic}}}"] for topic in TOPICS)

    async def until(self, name: str, value: float) -> None:
        end = time.monotonic() + _PATIENCE_S
        while await asyncio.to_thread(self.__getitem__, name) != value:
            assert time.monotonic() < end, f"{name} is {self[name]}"
            await asyncio.sleep(0.1)


@pytest.fixture
async def running(broker: Broker, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(broker, tmp_path, 1, model={"allowed_lateness_hours": 24}) as found:
        await (await found.start_worker()).ready()
        yield found


def days_ago(days: int) -> int:
    return (int(time.time() * 1000) // DAY_MS - days) * DAY_MS


async def test_history_is_counted_by_those_who_read_it_and_the_shop_is_live_behind_it(
    running: Cluster, tmp_path: Path
) -> None:
    typo = {"type": "login", "event_id": "typo", "user_id": "a", "ts": days_ago(-30)}
    history = write(tmp_path / "history.jsonl", [*shop(20, days_ago(22)), typo])

    code, said = await ended(await replay(running.settings, history, "--then-live"))
    send(running.settings, "clickstream", *logins(20))
    page = Page(running)
    await page.until("events_total{fate=accepted,topic=clickstream}", 100 + 20)

    assert code == 0, said
    assert "left out: 1 row dated ahead of now" in said
    assert "as the workers saw them: 200 accepted, 0 duplicate, 0 late, 0 refused" in said
    assert page.fates("late") == 0
    assert page["replaying{}"] == 0


async def test_a_second_history_and_one_behind_todays_events_are_refused_and_cost_nothing(
    running: Cluster, tmp_path: Path
) -> None:
    history = write(tmp_path / "history.jsonl", shop(10, days_ago(22)))
    send(running.settings, "clickstream", *logins(3))
    page = Page(running)
    await page.until("events_total{fate=accepted,topic=clickstream}", 3)

    code, said = await ended(await replay(running.settings, history, "--then-live"))

    assert code == 1
    assert "already stands at" in said
    assert "handed over" not in said
    assert (page.fates("accepted"), page.fates("late")) == (3, 0)
    assert page["replaying{}"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_replay_that_is_broken_off_leaves_the_shop_live(
    running: Cluster, tmp_path: Path, number: signal.Signals
) -> None:
    history = write(tmp_path / "history.jsonl", shop(20, days_ago(22)))
    process = await replay(running.settings, history, "--speed", 86_400)  # a day in a second
    page = Page(running)
    await page.until("replaying{}", 1)
    await asyncio.sleep(2)
    process.send_signal(number)
    code, said = await ended(process)

    await page.until("replaying{}", 0)
    await running.consumed()
    read = page["events_total{fate=accepted,topic=clickstream}"]
    send(running.settings, "clickstream", *logins(20))
    await page.until("events_total{fate=accepted,topic=clickstream}", read + 20)

    assert code != 0, said
    assert page.fates("late") == 0


async def test_ticks_of_strangers_are_dead_letters(running: Cluster) -> None:
    now = int(time.time() * 1000)
    strangers: list[tuple[None, dict[str, Any]]] = [
        (None, {"type": "tick", "ts": now, "replay": True}),
        (None, {"type": "tick", "ts": now, "session": "f" * 32}),
    ]
    send(running.settings, "clickstream", *logins(4))
    send(running.settings, "clickstream", *strangers)
    send(running.settings, "clickstream", *logins(20))
    page = Page(running)

    await page.until("events_total{fate=accepted,topic=clickstream}", 24)

    assert page["dead_letters_total{reason=stray_tick,topic=clickstream}"] == 2
    assert page.fates("late") == 0
    assert page["replaying{}"] == 0


async def test_without_a_worker_a_replay_does_not_begin(broker: Broker, tmp_path: Path) -> None:
    history = write(tmp_path / "history.jsonl", shop(10, days_ago(22)))
    async with cluster(broker, tmp_path, 1) as empty:
        began = time.monotonic()
        code, said = await ended(await replay(empty.settings, history))

    assert code == 1
    assert "no worker of group" in said
    assert time.monotonic() - began < _PATIENCE_S
