"""What a sweep does while the guard holds back: nobody is alarmed, and what ends, ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from models.guard import Hold
from models.panel import draw
from tests.building import Feed, alerts, constant_models, core, day

if TYPE_CHECKING:
    from models.versions import ModelSet

HOLD = Hold(since=day(2), why="crossing", value=0.6, limit=0.1)


def risky(probability: float = 0.95, hold: Hold | None = None) -> ModelSet:
    return msgspec.structs.replace(constant_models(probability), hold=hold)


def statuses(feed: Feed) -> list[tuple[str, str, str]]:
    """What was raised since the last look."""
    found = [(each.user_id, each.status, each.tier) for each in alerts(feed.core)]
    feed.core.pending.clear()
    return found


@pytest.fixture
def feed() -> Feed:
    """Two customers; ada stands in an alert since day 1, and bob came later."""
    feed = Feed(core())
    feed.buys("ada", 0.5)
    feed.decide(day(1), risky(0.7))
    feed.buys("bob", 1.5)
    assert statuses(feed) == [("ada", "opened", "medium")]
    return feed


def test_nobody_is_alarmed_anew_or_more_strongly(feed: Feed):
    ((_, sweep),) = feed.decide(day(2), risky(hold=HOLD))

    assert statuses(feed) == []
    assert sweep.held == 2
    assert sweep.alerts.total() == 0
    assert sweep.silent == ""


def test_who_bought_or_is_at_risk_no_more_is_resolved_as_ever(feed: Feed):
    feed.decide(day(2), risky(0.1, HOLD))

    assert statuses(feed) == [("ada", "resolved", "none")]


def test_those_held_back_are_alarmed_with_the_next_decision_time_if_they_are_still_at_risk(feed: Feed):
    feed.decide(day(2), risky(hold=HOLD))
    feed.decide(day(3), risky())

    assert statuses(feed) == [("ada", "escalated", "critical"), ("bob", "opened", "critical")]


def test_those_who_are_not_at_risk_any_more_never_hear_of_it(feed: Feed):
    feed.decide(day(2), risky(hold=HOLD))
    feed.decide(day(3), risky(0.1))

    assert statuses(feed) == [("ada", "resolved", "none")]


def test_whom_an_operator_dropped_is_not_alarmed_while_this_stay_lasts(feed: Feed):
    dropped = msgspec.structs.replace(HOLD, dropped=True)
    feed.decide(day(2), risky(0.85, dropped))
    assert draw(feed.core, day(3), risky()).inside.all()
    feed.decide(day(3), risky())
    assert statuses(feed) == [("ada", "escalated", "critical")]

    # The stay ends without a word, and the next one is another.
    feed.decide(day(4), risky(0.1))
    assert statuses(feed) == [("ada", "resolved", "none")]
    feed.decide(day(5), risky())
    assert [name for name, status, _ in statuses(feed) if status == "opened"] == ["ada", "bob"]


def test_a_sweep_that_is_repeated_drops_nobody_twice(feed: Feed):
    dropped = msgspec.structs.replace(HOLD, dropped=True)
    feed.decide(day(2), risky(0.85, dropped))
    rows, slot = feed.core.table.rows, feed.core.table.index["bob"]
    before = rows[slot].copy()
    feed.core.swept = day(1)
    feed.decide(day(2), risky(0.85, dropped))

    assert rows[slot]["episode_start"] == before["episode_start"] == day(2)
    assert statuses(feed) == []


def test_a_rehearsal_is_never_held(feed: Feed):
    feed.replayed = True
    ((_, sweep),) = feed.decide(day(2), risky(hold=HOLD))

    assert sweep.held == 0
    assert [status for _, status, _ in statuses(feed)] == ["opened", "opened"]


def test_a_handover_to_live_operation_waits_for_the_end_of_the_hold():
    feed = Feed(core(), replayed=True)
    feed.buys("ada", 0.5)
    feed.decide(day(1), risky())
    statuses(feed)
    feed.replayed = False

    feed.decide(day(2), risky(hold=HOLD))
    assert draw(feed.core, day(3), risky()).inside.all()
    feed.decide(day(3), risky())
    assert statuses(feed) == [("ada", "opened", "critical")]


def test_a_rehearsed_episode_that_is_over_during_a_hold_ends_without_a_word():
    feed = Feed(core(), replayed=True)
    feed.buys("ada", 0.5)
    feed.decide(day(1), risky())
    statuses(feed)
    feed.replayed = False

    feed.decide(day(2), risky(0.2, HOLD))

    assert statuses(feed) == []
    assert feed.core.table.rows["episode_start"][feed.core.table.index["ada"]] == 0
