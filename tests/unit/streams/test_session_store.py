"""What a worker makes of `control`: which session is open, whose ticks count, and when silence ends one."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import session_store
from streams.control import Announcement, Sessions, State, encode, ticks_of
from streams.session_store import SessionStore, Standing
from streams.telemetry import Metrics
from tests.building import SESSION, START, event, record, tick
from tests.examples import examples
from tests.fakes import metric

SECOND = 1_000


class Desk:
    """A store, what is said on `control`, and a clock."""

    def __init__(self, *, now: int = START) -> None:
        self.seconds = 0.0
        self.metrics = Metrics()
        self.store = SessionStore("control", {}, self.metrics, lambda: now, lambda: self.seconds)
        self.heard: list[Standing] = []
        self.store.on_change(lambda: self.heard.append(self.store.standing))

    def say(self, state: State, session: str = "a", *, at: int = START, live: bool = False) -> None:
        self.store.take(encode(Announcement(session, state, live)), at)

    def wait(self, seconds: float, *, at_end: bool = True) -> None:
        """So many seconds in which the worker looks at `control` once a second."""
        for _ in range(int(seconds)):
            self.seconds += 1
            self.store.look(at_end=at_end)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.store.load()
    return desk


def test_a_session_that_is_only_asked_about_changes_nothing(desk: Desk):
    desk.say("asked")

    assert desk.store.standing == Standing("a", "")
    assert desk.store.history == ""
    assert desk.store.wall_clock_speaks
    assert not desk.store.follows("a", START)


def test_an_open_session_says_that_what_is_read_is_history_until_it_ends(desk: Desk):
    desk.say("asked")
    desk.say("open")
    during = desk.store.history
    desk.say("ended")

    assert (during, desk.store.history) == ("a", "")
    assert desk.heard == [Standing("a", ""), Standing("a", "a"), Standing("a", "")]
    assert metric(desk.metrics.registry, "replaying") == 0


def test_a_heartbeat_is_no_news(desk: Desk):
    for _ in range(5):
        desk.say("open")

    assert desk.heard == [Standing("a", "a")]
    assert metric(desk.metrics.registry, "replaying") == 1


def test_a_session_that_falls_silent_is_over_and_is_open_again_if_it_is_heard_after_all(desk: Desk):
    desk.say("open")
    desk.wait(20)
    waiting = desk.store.history
    desk.wait(2)
    over = desk.store.history
    desk.say("open")

    assert (waiting, over, desk.store.history) == ("a", "", "a")


def test_nobody_is_silent_while_the_broker_is_away_or_more_is_still_to_be_read(desk: Desk):
    desk.say("open")
    desk.wait(15)
    desk.wait(300, at_end=False)
    desk.wait(15)

    assert desk.store.history == "a"


def test_a_worker_that_was_stopped_itself_takes_nobody_for_silent(desk: Desk):
    desk.say("open")
    desk.seconds += 3_600
    desk.store.look(at_end=True)

    assert desk.store.history == "a"


@pytest.mark.parametrize(("hours", "open_"), [(0.05, "a"), (1, "")])
def test_a_worker_that_starts_finds_a_session_open_unless_it_was_cut_off_long_ago(hours: float, open_: str):
    desk = Desk(now=START + int(hours * 3_600 * SECOND))
    desk.say("open")
    desk.store.load()

    assert desk.store.standing.open == open_


def test_ticks_count_that_were_sent_while_their_session_was_open(desk: Desk):
    desk.say("open", at=START)
    desk.say("open", at=START + 60 * SECOND)
    desk.say("ended", at=START + 70 * SECOND)
    desk.say("open", "b", at=START + 900 * SECOND)

    assert desk.store.follows("a", START + 70 * SECOND)
    assert not desk.store.follows("a", START + 900 * SECOND)
    assert desk.store.follows("b", START + 901 * SECOND)
    assert not desk.store.follows("", START)
    assert not desk.store.follows("c", START)


def test_a_session_of_the_present_has_ticks_and_no_history(desk: Desk):
    desk.say("open", live=True)

    assert desk.store.follows("a", START)
    assert desk.store.history == ""
    assert desk.store.wall_clock_speaks


def test_behind_a_replay_the_wall_clock_speaks_once_it_was_handed_over_or_the_shop_is_heard(desk: Desk):
    desk.say("open")
    desk.store.present()
    during = desk.store.wall_clock_speaks
    desk.say("ended")
    alone = desk.store.wall_clock_speaks
    desk.store.present()
    heard = desk.store.wall_clock_speaks
    desk.say("open", "b")
    desk.say("ended", "b", live=True)

    assert (during, alone, heard, desk.store.wall_clock_speaks) == (False, False, True, True)


def test_what_is_no_announcement_is_counted_and_changes_nothing(desk: Desk):
    desk.say("open")
    for value in (None, b"", b"{", b'{"session":"x","state":"maybe"}', b'{"state":"open"}', b"\xff"):
        desk.store.take(value, START)

    assert desk.store.history == "a"
    assert metric(desk.metrics.registry, "refused_announcements_total") == 6


async def test_ticks_that_are_known_wait_for_nothing_and_others_for_all_that_may_tell_of_them(desk: Desk):
    desk.say("open")
    await asyncio.wait_for(desk.store.settle([("a", START)]), 1)
    waiting = asyncio.create_task(desk.store.settle([("a", START), ("b", START)]))
    await asyncio.sleep(0)
    assert not waiting.done()

    for read in desk.store._asking:
        read.set_result(None)
    await asyncio.wait_for(waiting, 1)


async def test_nobody_waits_for_ever_for_what_is_not_said(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session_store, "_SETTLE_SECONDS", 0.01)

    await asyncio.wait_for(desk.store.settle([("b", START)]), 1)


def test_ticks_are_found_among_records_and_nothing_else_is_taken_for_one():
    one = record(1, tick(START))
    others = [
        record(2, event("login", "ada", START)),
        record(3, tick(START, "")),
        one._replace(value=None),
        one._replace(value=b"{"),
        one._replace(value=b"\xff"),
        one._replace(value=b'{"type":"login","session":"x"}'),
        one._replace(value=b'{"type":"tick","session":7}'),
    ]

    assert ticks_of([one, *others]) == [(SESSION, START)]


said = st.tuples(st.sampled_from(["open", "ended"]), st.sampled_from("abc"), st.integers(0, 5))


@given(st.lists(said, min_size=1, max_size=20), st.integers(0, 20))
@examples(60)
def test_what_a_tick_counts_for_does_not_depend_on_what_compaction_has_left(
    log: list[tuple[State, str, int]], kept: int
):
    """Whoever begins to read later finds the newest record of each session, and all from `kept` on."""
    time, whole, compacted = 0, Sessions(), Sessions()
    newest = {session: i for i, (_, session, _) in enumerate(log)}
    for i, (state, session, passed) in enumerate(log):
        time += passed * 10 * SECOND
        value = encode(Announcement(session, state))
        whole.read(value, time)
        if i >= kept or newest[session] == i:
            compacted.read(value, time)

    for session in newest:
        for at in range(0, time + 60 * SECOND, 10 * SECOND):
            assert whole.follows(session, at) == compacted.follows(session, at)
