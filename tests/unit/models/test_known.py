"""As of when a customer is known: every number of one time, and none of two."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_logs import LATENESS, payloads, settings

from features.catalogue import NAMES, raw_features
from features.returns import PRIOR
from features.view import View
from models import known
from models.known import NotKeptError
from tests.building import Feed, constant_models, core, day, event, record, tick

if TYPE_CHECKING:
    from models.core import PartitionCore


def values(target: PartitionCore, slot: int, ts: int) -> np.ndarray:
    """Raw features of the record at `slot` as of `ts`."""
    return raw_features(View(target.table.rows, ts, 4, PRIOR, slots=np.array([slot])))[0]


def test_a_new_customer_s_first_event_counts_as_soon_as_it_was_read():
    target = core()
    Feed(target).buys("anna", 0.5)
    slot = target.table.slot("anna")

    (ts,) = known.now(target, np.array([slot]))

    assert ts == day(0.5) + 1
    assert values(target, slot, ts)[NAMES.index("orders")] == 1


def test_now_is_the_same_for_everybody_up_to_which_events_were_read():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.buys("bert", 2.5)

    assert known.now(target, target.table.live_slots()).tolist() == [day(2.5) + 1] * 2


def test_a_clock_that_runs_ahead_moves_nobody_s_present_but_its_own():
    target = core()
    ahead = record(0, event("purchase", "anna", day(0.9)))._replace(timestamp=day(0.5))
    target.observe("orders", [ahead, record(1, event("purchase", "bert", day(0.5)))])

    anna, bert = known.now(target, target.table.live_slots()).tolist()

    assert (anna, bert) == (day(0.9) + 1, day(0.5) + 1)


def test_time_passes_where_nothing_happens():
    """Nobody bought since day 0.5; the decision time of day 3 is over, so three days are."""
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.decide(day(3), constant_models(0.5))

    assert known.reached(target) == day(3)


def test_a_customer_of_whom_only_a_profile_is_known_is_known_as_of_it():
    target = core()
    Feed(target)(event("profile", "anna", day(1), tier="gold"))

    assert known.now(target, target.table.live_slots()).tolist() == [day(1) + 1]


def test_the_record_of_the_last_decision_is_kept_until_the_next_event_is_durable_beyond_it():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.decide(day(1), constant_models(0.5))
    slot = target.table.slot("anna")
    assert known.record_as_of(target, slot, day(1)) == slot

    feed.buys("anna", 1.5)
    fork = known.record_as_of(target, slot, day(1))
    assert fork != slot
    assert values(target, fork, day(1))[NAMES.index("orders")] == 1

    target.swept_durably(day(1))
    with pytest.raises(NotKeptError, match="the record of then is not kept"):
        known.record_as_of(target, slot, day(1))


def test_what_was_not_read_yet_is_not_told():
    target = core()
    Feed(target).buys("anna", 0.5)

    with pytest.raises(NotKeptError, match="ahead of what was read"):
        known.record_as_of(target, target.table.slot("anna"), day(9))


def test_before_the_first_decision_there_is_none_and_nothing_was_issued():
    target = core()
    Feed(target).buys("anna", 0.5)

    assert known.decided(target) is None
    assert known.issued(target, 0) is None


def test_what_was_issued_is_what_the_decision_time_said():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.decide(day(1), constant_models(0.7))
    feed.buys("bert", 1.5)

    assert known.issued(target, target.table.slot("anna")) == (day(1), 0.7)
    assert known.issued(target, target.table.slot("bert")) is None


def test_only_who_bought_within_the_configured_days_is_judged():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed(event("view_item", "bert", day(0.5)))
    slots = target.table.live_slots()

    active = [known.active(target, slots, np.full(2, day(when))).tolist() for when in (10.4, 10.6)]

    assert active == [[True, False], [False, False]]


def test_the_time_that_was_come_to_survives_a_tick_ahead_of_the_events():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.poll("orders", tick(day(3)))

    assert known.reached(target) == day(3)


@given(st.integers(0, 10_000), st.data())
def test_a_record_as_of_a_time_is_that_of_a_core_that_read_nothing_from_then_on(
    seed: int, data: st.DataObject
):
    """In a log out of order, whatever was swept: the record of a time is exact, or it is not kept."""
    rng = random.Random(seed)
    bought = [p for p in payloads(rng, abrupt=False, n=60) if p["type"] == "purchase"]
    bought.sort(key=lambda p: p["ts"] + rng.uniform(0, LATENESS - 1))
    target = core(settings())
    feed = Feed(target)
    accepted = []
    for place, payload in enumerate(bought):
        accepted += [payload] * (not feed(payload).counts["late"])
        if place % 7 == 3:
            feed.decide(target.watermark(["orders"]), constant_models(0.5))
    user = data.draw(st.sampled_from(sorted(target.table.index)))
    times = {p["ts"] + d for p in accepted if p["user_id"] == user for d in (0, 1)}
    times |= {day(number) for number in range(20)}
    ts = data.draw(st.sampled_from([ts for ts in sorted(times) if ts <= known.reached(target)]))
    try:
        record = known.record_as_of(target, target.table.index[user], ts)
    except NotKeptError:
        return
    reader = core(settings(lateness_ms=99 * LATENESS))
    again = Feed(reader)
    for payload in accepted:
        if payload["user_id"] == user and payload["ts"] < ts:
            again(payload)

    slot = reader.table.slot(user)
    found = values(target, record, ts)
    if slot is None:
        assert found[NAMES.index("orders")] == 0
    else:
        np.testing.assert_array_equal(found, values(reader, slot, ts))
