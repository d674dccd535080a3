"""Replay in lock-step: events, ticks, and waiting for the workers. The workers are one line each here."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from features.hashing import partition_of
from features.layout import DAY_MS, TOPICS
from features.observing import REPLAY_HEADER
from streams.control import HEARTBEAT_SECONDS, Announcement
from streams.progress import Progress, ProgressBoard, encode
from streams.replay import Replayer, ReplayLateError
from streams.sending import Sender
from streams.session import ReplayRefusedError, ReplayStalledError, Session
from streams.settings import load
from streams.sources import SourceEvent
from tests.building import day
from tests.fakes import FakeBroker

PARTITIONS = 3


class Workers(ProgressBoard):
    """Workers that settle a decision time as soon as they have heard all its ticks, if they are `awake`.

    They answer to what is said on `control`; `stands` is where they stand, `late` what they count as late.
    """

    def __init__(self, broker: FakeBroker) -> None:
        super().__init__(PARTITIONS)
        self.broker, self.awake = broker, True
        self.settled_times: list[int] = []
        self.there = set(range(PARTITIONS))
        self.stands: dict[str, int] = {}
        self.late = 0
        self.other = ""
        #: After these words of a replayer another one asks before anybody has answered.
        self.interrupted: set[str] = set()

    @property
    def said(self) -> list[Announcement]:
        log = self.broker.logs["eu.churnwatch-control", 0]
        return [msgspec.json.decode(record.value or b"", type=Announcement) for record in log.records]

    def answers(self, session: str) -> dict[int, Progress]:
        newest = self.said[-1]
        if newest.session == session and newest.state in self.interrupted:
            self.interrupted.remove(newest.state)
            asked = msgspec.json.encode(Announcement("b" * 32, "asked"))
            self.broker.logs["eu.churnwatch-control", 0].append(b"", asked)
            newest = self.said[-1]
        if newest.session != session:
            return super().answers(session)
        opened = newest.session if newest.state == "open" else self.other
        counts = {"accepted": 3, "late": self.late} if newest.state == "ended" else {}
        for p in self.there:
            said = newest.session
            place = Progress("session", p, session=said, open=opened, stands=self.stands, replayed=counts)
            self.read(encode(place))
        return super().answers(session)

    def waiting(self, ts: int) -> list[int]:
        session = self.said[-1].session
        heard = [
            record
            for log in self.broker.logs.values()
            for record in log.records
            if json.loads(record.value or b"{}") == {"type": "tick", "ts": ts, "session": session}
        ]
        if self.awake and len(heard) == PARTITIONS * len(TOPICS) and ts not in self.settled_times:
            self.settled_times.append(ts)
            for partition in range(PARTITIONS):
                counts = {"late": self.late} if self.late else {}
                self.read(encode(Progress("swept", partition, 0, ts, session=session, replayed=counts)))
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
        sender = Sender(self.broker, 1.0)
        control = settings.kafka.topics()["control"]
        self.session = Session(sender, control, self.workers, PARTITIONS, "g", 0.05, patience)
        self.replayer = Replayer(settings, sender, self.workers, self.session, self.left)

    async def left(self) -> int:
        return self.unread.pop(0) if self.unread else 0

    @property
    def states(self) -> list[str]:
        """What was said of the session, heartbeats left out."""
        found = [each.state for each in self.workers.said if each.session == self.session.id]
        return [state for i, state in enumerate(found) if i == 0 or state != found[i - 1]]

    def records(self, kind: str | None = None) -> list[tuple[str, int, Any]]:
        return [
            (topic, partition, record)
            for (topic, partition), log in self.broker.logs.items()
            for record in log.records
            if topic != "eu.churnwatch-control"
            and (kind is None or json.loads(record.value or b"{}")["type"] == kind)
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
    assert {(tick["ts"], tick["session"]) for tick in stage.ticks()} == {
        (ts, stage.session.id) for ts in (day(1), day(2), day(2.5) + 1)
    }
    assert stage.workers.settled_times == [day(1), day(2)], "behind the log's end nobody is judged"


async def test_no_event_of_an_interval_is_sent_before_the_one_before_it_is_settled():
    stage = Stage(patience=0.02)
    stage.workers.awake = False

    with pytest.raises(ReplayStalledError, match=r"partitions \[0, 1, 2\] did not finish"):
        await stage.replayer.run(LOG)

    assert len(stage.records("purchase")) == 2


@pytest.mark.parametrize("then_live", [True, False])
async def test_a_replay_is_one_session_that_ends_when_all_is_read_right_behind_the_last_event(
    then_live: bool,
):
    stage = Stage()

    done = await stage.replayer.run(LOG, then_live=then_live)

    assert stage.states == ["asked", "open", "ended"]
    assert stage.workers.said[-1].live == then_live
    assert not stage.unread, "the session ends behind what was sent"
    assert max(tick["ts"] for tick in stage.ticks()) == day(2.5) + 1
    assert done.fates == {"accepted": 3 * PARTITIONS, "late": 0}


async def test_two_sessions_have_two_ids_that_nobody_guesses():
    first, second = Stage().session.id, Stage().session.id

    assert first != second
    assert len(first) == 32


async def test_a_session_says_again_and_again_that_it_is_open(monkeypatch: pytest.MonkeyPatch):
    stage = Stage()
    monkeypatch.setattr("streams.session.HEARTBEAT_SECONDS", 0.001)
    stage.unread = [1] * 3

    await stage.replayer.run(LOG)

    assert [each.state for each in stage.workers.said].count("open") > 2


async def test_without_a_worker_nothing_is_sent_and_the_line_says_what_to_start():
    stage = Stage()
    stage.workers.there = set()

    with pytest.raises(ReplayRefusedError, match=r"no worker of group g answers .*start `churnwatch worker`"):
        await stage.replayer.run(LOG)

    assert stage.records() == []
    assert stage.states == ["asked"]


async def test_partitions_that_nobody_has_are_waited_for_and_named():
    stage = Stage(patience=0.1)
    stage.workers.there = {0, 2}

    with pytest.raises(ReplayStalledError, match=r"partitions \[1\] did not answer"):
        await stage.replayer.run(LOG)

    assert stage.records() == []


@pytest.mark.parametrize(
    ("stands", "refused"),
    [
        ({"orders": day(0.5)}, False),
        ({"orders": day(0.5) + 1}, True),
        ({"": day(0)}, False),
        ({"": day(1)}, True),
        # Nothing of this history lies there, and profiles of today may come first.
        ({"clickstream": day(300), "customers": day(300)}, False),
    ],
)
async def test_history_that_would_come_too_late_is_refused_before_anything_is_sent(
    stands: dict[str, int], refused: bool
):
    stage = Stage()
    stage.workers.stands = stands

    if not refused:
        assert (await stage.replayer.run(LOG)).events == 3
        return
    with pytest.raises(ReplayRefusedError, match=r"group g already stands at 2022-01-.*several --mapping"):
        await stage.replayer.run(LOG)
    assert stage.records() == []
    assert stage.states == ["asked"]


async def test_one_replay_at_a_time():
    stage = Stage()
    stage.workers.other = "somebody else's"

    with pytest.raises(ReplayRefusedError, match="another replay is under way"):
        await stage.replayer.run(LOG)

    assert stage.records() == []


@pytest.mark.parametrize("word", ["asked", "open", "ended"])
async def test_another_replayer_that_asks_before_anybody_has_answered_does_no_harm(
    word: str, monkeypatch: pytest.MonkeyPatch
):
    """Partitions answer to what was said last, which was not ours: so we say it again."""
    monkeypatch.setattr("streams.session.HEARTBEAT_SECONDS", 0.01)
    stage = Stage()
    stage.workers.interrupted = {word}

    done = await stage.replayer.run(LOG, then_live=True)

    assert done.fates["accepted"] == 3 * PARTITIONS
    assert stage.states == ["asked", "open", "ended"]
    assert {each.live for each in stage.workers.said if each.state == "ended"} == {True}


async def test_of_two_that_opened_at_once_one_gives_way(monkeypatch: pytest.MonkeyPatch):
    stage = Stage()
    opening = stage.session._said

    async def overtaken(state: Any, *args: Any, **how: Any) -> Any:
        if state == "open":
            monkeypatch.setattr(stage.workers, "answers", others_open)
        return await opening(state, *args, **how)

    def others_open(session: str) -> dict[int, Progress]:
        return {p: Progress("session", p, session=session, open="b" * 32) for p in range(PARTITIONS)}

    monkeypatch.setattr(stage.session, "_said", overtaken)

    with pytest.raises(ReplayRefusedError, match="another replay is under way"):
        await stage.replayer.run(LOG)

    assert stage.records() == []
    assert stage.states == ["asked", "open", "ended"]


async def test_workers_that_do_not_answer_to_the_end_have_stalled_and_were_there():
    stage = Stage(patience=0.1)
    unread = stage.left

    async def and_then_nobody_is_there() -> int:
        stage.workers.there = set()
        stage.workers._answers.clear()
        return await unread()

    stage.replayer._unread = and_then_nobody_is_there

    with pytest.raises(ReplayStalledError, match=r"partitions \[0, 1, 2\] did not answer"):
        await stage.replayer.run(LOG)


async def test_before_each_tick_the_session_says_that_it_is_open():
    """Who was suspended for longer than workers wait would send a tick that counts nowhere."""
    stage = Stage()
    said: list[int] = []
    send = stage.replayer._tick

    async def tick(what: Any) -> None:
        said.append([each.state for each in stage.workers.said].count("open"))
        await send(what)

    stage.replayer._tick = tick  # type: ignore[method-assign]

    await stage.replayer.run(LOG)

    assert len(said) == 3
    assert said[0] > 1
    assert said == sorted(set(said))


async def test_events_that_come_too_late_stop_the_replay_with_their_number_and_end_the_session():
    stage = Stage()
    stage.workers.late = 2

    with pytest.raises(ReplayLateError, match=f"^{2 * PARTITIONS} events of history came too late"):
        await stage.replayer.run(LOG)

    assert len(stage.records("purchase")) == 2, "what follows would be late as well"
    assert stage.states == ["asked", "open", "ended"]
    assert not stage.workers.said[-1].live


async def test_a_replay_that_is_broken_off_ends_its_session():
    stage = Stage(patience=60)
    stage.workers.awake = False
    running = asyncio.create_task(stage.replayer.run(LOG, then_live=True))
    while not stage.records("tick"):  # noqa: ASYNC110 - nothing tells of a record of the fake broker
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
    assert stage.states == ["asked", "open", "ended"]
    assert not stage.workers.said[-1].live


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
    assert stage.workers.said == []


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

    nap = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await nap(0)

    monkeypatch.setattr("streams.replay.asyncio.sleep", sleep)

    await stage.replayer.run(LOG, speed=DAY_MS / 1000)  # a day in a second

    # The later intervals begin half a day and one and a half days after the first event.
    assert [each for each in slept if 0.3 < each != HEARTBEAT_SECONDS] == [
        pytest.approx(0.5, abs=0.1),
        pytest.approx(1.5, abs=0.1),
    ]
