"""Replay in lock-step: events, ticks, and waiting for the workers. The workers are one line each here."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from features.hashing import partition_of
from features.layout import DAY_MS, TOPICS
from features.observing import REPLAY_HEADER
from streams.progress import Progress, ProgressBoard, encode
from streams.replay import Replayer, ReplayStalledError
from streams.sending import Sender
from streams.settings import load
from streams.sources import SourceEvent
from tests.building import day
from tests.fakes import FakeBroker

PARTITIONS = 3


class Workers(ProgressBoard):
    """Workers that settle a decision time as soon as they have heard all its ticks, if they are `awake`."""

    def __init__(self, broker: FakeBroker) -> None:
        super().__init__(PARTITIONS)
        self.broker, self.awake = broker, True
        self.settled_times: list[int] = []

    def waiting(self, ts: int) -> list[int]:
        heard = [
            record
            for log in self.broker.logs.values()
            for record in log.records
            if json.loads(record.value or b"{}") == {"type": "tick", "ts": ts, "replay": True}
        ]
        if self.awake and len(heard) == PARTITIONS * len(TOPICS) and ts not in self.settled_times:
            self.settled_times.append(ts)
            for partition in range(PARTITIONS):
                self.read(encode(Progress("swept", partition, 0, ts)))
        return super().waiting(ts)


class Stage:
    """A replayer, the broker it writes to, and workers that keep step."""

    def __init__(self, patience: float = 1.0) -> None:
        self.broker = FakeBroker()
        self.workers = Workers(self.broker)
        settings = load(
            None,
            kafka={"partitions": PARTITIONS, "topic_prefix": "eu."},
            model={"every_days": 1, "grid_anchor": "2022-01-08"},
        )
        #: What the workers have not read, each time they are asked.
        self.unread = [2, 1]
        self.replayer = Replayer(settings, Sender(self.broker, 1.0), self.workers, patience, self.left)

    async def left(self) -> int:
        return self.unread.pop(0) if self.unread else 0

    def records(self, kind: str | None = None) -> list[tuple[str, int, Any]]:
        return [
            (topic, partition, record)
            for (topic, partition), log in self.broker.logs.items()
            for record in log.records
            if kind is None or json.loads(record.value or b"{}")["type"] == kind
        ]

    def ticks(self) -> list[dict[str, Any]]:
        return [json.loads(record.value) for _, _, record in self.records("tick")]


def purchase(user: str, when: float) -> SourceEvent:
    value = json.dumps({"type": "purchase", "user_id": user, "ts": day(when)}).encode()
    return SourceEvent("orders", user, day(when), value)


LOG = [purchase("ada", 0.5), purchase("bob", 0.6), purchase("ada", 2.5)]


async def test_events_go_to_the_partition_of_their_customer_marked_as_replayed():
    stage = Stage()

    done = await stage.replayer.run(LOG)

    assert (done.events, done.intervals, done.ts) == (3, 3, day(2.5) + 1)
    found = stage.records("purchase")
    assert {topic for topic, _, _ in found} == {"eu.orders"}
    for _, partition, record in found:
        assert partition == partition_of(record.key, PARTITIONS)
        assert record.headers == ((REPLAY_HEADER, b"1"),)


async def test_after_each_interval_every_partition_of_every_topic_hears_a_tick():
    stage = Stage()

    await stage.replayer.run(LOG)

    places = Counter((topic, partition) for topic, partition, _ in stage.records("tick"))
    assert places == {(f"eu.{topic}", p): 3 for topic in TOPICS for p in range(PARTITIONS)}
    assert {(tick["ts"], tick["replay"], tick.get("live", False)) for tick in stage.ticks()} == {
        (ts, True, False) for ts in (day(1), day(2), day(2.5) + 1)
    }
    assert stage.workers.settled_times == [day(1), day(2)], "behind the log's end nobody is judged"


async def test_no_event_of_an_interval_is_sent_before_the_one_before_it_is_settled():
    stage = Stage(patience=0.02)
    stage.workers.awake = False

    with pytest.raises(ReplayStalledError, match=r"partitions \[0, 1, 2\] did not finish"):
        await stage.replayer.run(LOG)

    assert len(stage.records("purchase")) == 2


async def test_handing_over_to_live_ends_right_behind_the_last_event_and_waits_for_nobody():
    stage = Stage()

    await stage.replayer.run(LOG, then_live=True)

    last = [tick for tick in stage.ticks() if tick["ts"] == day(2.5) + 1]
    assert len(last) == PARTITIONS * len(TOPICS)
    assert all(tick["live"] for tick in last)
    assert stage.unread, "nobody was asked"


async def test_a_replay_ends_when_everything_is_acknowledged():
    stage = Stage()

    await stage.replayer.run(LOG)

    assert not stage.unread


async def test_a_worker_that_reads_nothing_of_the_last_interval_stalls_the_replay():
    stage = Stage(patience=0.3)
    stage.unread = [7] * 1_000

    with pytest.raises(ReplayStalledError, match="7 records were not read"):
        await stage.replayer.run(LOG)


async def test_an_empty_log_sends_nothing():
    stage = Stage()

    done = await stage.replayer.run([])

    assert (done.events, done.intervals) == (0, 0)
    assert stage.records() == []


async def test_progress_and_tally_are_called_after_every_interval():
    stage = Stage()
    seen, read = [], []

    async def tally() -> None:
        read.append(len(stage.workers.settled_times))

    await stage.replayer.run(LOG, progress=lambda done: seen.append(done.events), after_interval=tally)

    assert seen == [2, 2, 3]
    assert read == [1, 2, 2]


async def test_with_a_speed_the_wall_clock_is_kept(monkeypatch: pytest.MonkeyPatch):
    stage = Stage()
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("streams.replay.asyncio.sleep", sleep)

    await stage.replayer.run(LOG, speed=DAY_MS / 1000)  # a day in a second

    # The later intervals begin half a day and one and a half days after the first event.
    assert [each for each in slept if each > 0.3] == [
        pytest.approx(0.5, abs=0.1),
        pytest.approx(1.5, abs=0.1),
    ]
