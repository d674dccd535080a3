"""The pure core: order, as-of-t, silence, erasure, eviction."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_logs import DAYS, logs, payloads
from random_logs import settings as log_settings

from features.grid import DecisionGrid
from features.hashing import partition_of
from features.layout import DAY_MS, TOPICS
from models import sweeping
from models.core import ReplayCount
from tests.building import (
    SESSION,
    START,
    Feed,
    alerts,
    config,
    constant_models,
    core,
    day,
    event,
    members,
    models_by,
    record,
    tick,
)
from tests.examples import examples

if TYPE_CHECKING:
    from features.observing import Record
    from models.cohorts import Cohort
    from models.config import CoreConfig
    from models.core import PartitionCore
    from models.parts import Part

MODELS = constant_models(0.7)


class TestOrder:
    """State depends on the set of events that are not late, not on how they arrived."""

    @examples(3)
    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    def test_cohorts_equal_those_of_the_ordered_log_however_topics_are_interleaved_and_polls_cut(
        self, world: int, way: int
    ):
        found = payloads(random.Random(world), abrupt=False, n=90)
        ordered = {
            topic: [replace_offset(r, i) for i, r in enumerate(log)]
            for topic, log in logs(Calm(), found, late=0).items()
        }
        shuffled = logs(random.Random(way), found, late=0)
        kept = log_settings(evict_after_days=400)

        expected = Life(kept).through(random.Random(0), ordered, most=10**6)
        actual = Life(kept).through(random.Random(way), shuffled)

        same_life(actual, expected)
        assert actual.counts["late"] == expected.counts["late"] == 0

    @examples(3)
    @given(st.integers(0, 10**6))
    def test_late_events_change_counters_only(self, world: int):
        rng = random.Random(world)
        found = payloads(rng, abrupt=False, n=60)
        log = logs(rng, found, late=10)
        kept = log_settings(evict_after_days=400)
        with_late = Life(kept).through(random.Random(1), log)
        on_time = {topic: _without_late(records) for topic, records in log.items()}
        without = Life(kept).through(random.Random(2), on_time)

        same_life(with_late, without)
        assert with_late.counts["late"] == 20
        assert without.counts["late"] == 0
        assert with_late.counts["accepted"] == without.counts["accepted"]

    def test_where_the_grid_begins_does_not_depend_on_which_topic_is_read_first(self):
        begun = []
        for order in (TOPICS, TOPICS[::-1]):
            target = core(config(lateness_ms=DAY_MS))
            feed = Feed(target)
            for topic in order:
                if topic == "orders":
                    feed.buys("anna", 3.5)
                if topic == "reviews":
                    feed(event("review", "anna", day(9.1)))
                feed.poll(topic, tick(day(12)))
            begun.append((target.swept, [sweep.ts for _, sweep in feed.decide(day(12), MODELS)]))

        assert begun[0] == begun[1] == (day(3), [day(n) for n in range(4, 13)])

    def test_the_grid_begins_before_the_earliest_event_of_a_poll_not_the_first(self):
        target = core(config(lateness_ms=2 * DAY_MS))
        Feed(target).buys("anna", 4.5, 3.5, 5.5)

        assert target.swept == day(3)

    def test_a_late_event_does_not_move_the_beginning(self):
        target = core(config(lateness_ms=DAY_MS))
        observed = Feed(target).buys("anna", 4.5, 3.4)

        assert (observed.counts["late"], target.swept) == (1, day(4))

    @pytest.mark.parametrize("years", [1, 30])
    @pytest.mark.parametrize("first", [True, False])
    def test_one_date_of_decades_ago_does_not_begin_the_grid_there(self, years: int, first: bool):
        """A grid that began there would cost a sweep for every day since."""
        target = core(config(lateness_ms=DAY_MS, active_within_days=10, horizon_days=4))
        wrong = record(0, event("purchase", "anna", day(100.5 - 365 * years)))._replace(timestamp=day(100.5))
        honest = record(1, event("purchase", "bert", day(100.4)))
        found = [wrong, honest] if first else [honest._replace(offset=0), wrong._replace(offset=1)]
        for each in found if first else found[:1]:
            target.observe("orders", [each])
        before = target.swept
        if not first:
            target.observe("orders", found[1:])

        assert target.swept == (day(100.5 - 15 - 0.5) if first else before)
        assert target.due(day(101)) is not None

    def test_a_replay_may_begin_as_far_back_as_it_likes(self):
        target = core(config(lateness_ms=DAY_MS))
        old = record(0, event("purchase", "anna", day(-5_000.5)), replayed=True)
        target.observe("orders", [old._replace(timestamp=day(100))])

        assert target.swept == day(-5_001)

    def test_an_event_that_moves_the_beginning_back_is_seen_by_every_sweep_from_there(self):
        target = core(config(lateness_ms=20 * DAY_MS, active_within_days=20, evict_after_days=60))
        feed = Feed(target)
        feed.buys("anna", 9.5)
        feed(event("view_item", "anna", day(9.7)))
        feed.buys("anna", 2.5)
        seen = {
            sweep.ts: members(target.cohorts[sweep.ts], target) for _, sweep in feed.decide(day(6), MODELS)
        }

        assert seen == {day(n): {"anna"} for n in range(3, 7)}
        assert [int(d) for d in target.cohorts[day(6)].recency] == [3]


class Calm(random.Random):
    """Shuffles nothing."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


def replace_offset(found: Record, offset: int) -> Record:
    return found._replace(offset=offset)


def _without_late(records: list[Record]) -> list[Record]:
    bound, kept = -(2**62), []
    for each in records:
        message = msgspec.json.decode(each.value)
        if message["ts"] >= bound:
            kept.append(each)
        bound = max(bound, message["ts"] - (0 if message["type"] == "tick" else DAY_MS))
    return kept


class Life:
    """One core through its logs, and every cohort and part on the way."""

    def __init__(self, settings: CoreConfig) -> None:
        self.core = core(settings)
        self.cohorts: dict[int, Cohort] = {}
        self.parts: dict[int, Part] = {}
        self.counts: dict[str, int] = {"late": 0, "accepted": 0}

    def through(self, rng: random.Random, log: dict[str, list[Record]], *, most: int = 15) -> Life:
        places = dict.fromkeys(log, 0)
        while left := [topic for topic in log if places[topic] < len(log[topic])]:
            topic = rng.choice(left)
            start = places[topic]
            places[topic] += rng.randint(1, most)
            observed = self.core.observe(topic, log[topic][start : places[topic]])
            for name in self.counts:
                self.counts[name] += observed.counts[name]
            if rng.random() < 0.5:
                self._decide()
        self._decide()
        return self

    def _decide(self) -> None:
        while (ts := self.core.due(self.core.watermark())) is not None:
            self.parts[ts] = sweeping.mature(self.core, ts, MODELS)
            sweeping.sweep(self.core, ts, MODELS)
            if ts in self.core.cohorts:
                self.cohorts[ts] = self.core.cohorts[ts]
            if ts % (4 * DAY_MS):
                self.core.swept_durably(ts)


def same_life(one: Life, other: Life) -> None:
    assert one.cohorts.keys() == other.cohorts.keys()
    for ts, cohort in one.cohorts.items():
        same_cohort(cohort, other.cohorts[ts])
    assert one.parts.keys() == other.parts.keys()
    for ts, part in one.parts.items():
        assert part.histogram.to_json() == other.parts[ts].histogram.to_json()
        for mine, theirs in zip(part.matured, other.parts[ts].matured, strict=True):
            same_cohort(mine.cohort, theirs.cohort)
            np.testing.assert_array_equal(mine.churned, theirs.churned)


def same_cohort(one: Cohort, other: Cohort) -> None:
    np.testing.assert_array_equal(one.hashes, other.hashes)
    np.testing.assert_array_equal(one.recency, other.recency)
    # The order of additions shows in the last bit of a decayed sum.
    np.testing.assert_allclose(one.inputs, other.inputs, rtol=1e-6, atol=1e-6)


class TestSilence:
    def test_a_customer_who_stops_buying_gets_an_alert_without_any_further_event(self):
        target = core()
        feed = Feed(target)
        feed.buys("anna", 0.5)
        feed.decide(day(1), models := models_by({0.5: 0.2, 6.5: 0.85}))
        before = alerts(target)
        # From here on the clock is moved by the others alone.
        for topic in TOPICS:
            feed.poll(topic, tick(day(9)))
        feed.decide(day(9), models)

        alert, *_ = alerts(target)
        assert before == []
        assert (alert.user_id, alert.status, alert.kind) == ("anna", "opened", "episode")
        assert day(1) < alert.ts < day(9)

    def test_nobody_outside_the_active_base_is_judged(self):
        """Active at t: last purchase in [t - 10 days, t)."""
        target = core()
        feed = Feed(target)
        feed.buys("anna", 0.0, 1.0)
        feed(event("view_item", "looker", day(1.5)))
        judged = {
            (sweep.ts - START) // DAY_MS: [target.table.name(s) for s in sweep.slots]
            for _, sweep in feed.decide(day(13), MODELS)
        }

        assert judged == {n: ["anna"] if 1 <= n <= 11 else [] for n in range(1, 14)}


class TestAsOf:
    def test_events_of_the_label_are_never_in_the_features(self):
        """Everything arrives before any sweep; nothing of it may be seen before its time."""
        target = core(config(lateness_ms=30 * DAY_MS))
        feed = Feed(target)
        feed.buys("anna", *(n + 0.5 for n in range(8)))
        feed.decide(day(9), MODELS)

        assert [int(target.cohorts[day(n)].recency[0]) for n in range(6, 10)] == [0, 0, 0, 1]
        part = sweeping.mature(target, day(10), MODELS)
        assert [bool(m.churned[0]) for m in part.matured] == [False]

    def test_a_sweep_that_is_not_durable_can_be_repeated_upon_rows_that_are(self):
        """Between the sweep and its confirmation a row goes on; its record as of the sweep must stay."""
        target = core()
        feed = Feed(target)
        feed.buys("anna", 0.5)
        feed.decide(day(2), MODELS)
        feed.buys("anna", 3.5)

        slot = target.table.index["anna"]
        as_of = target.table.as_of(np.array([slot]), day(2))
        assert int(target.table.rows["orders"][as_of][0]) == 1
        target.swept_durably(day(2))
        assert target.table.rows["boundary"][target.table.forks(slot)].tolist() == [day(3)]

    def test_a_redelivered_poll_changes_nothing(self):
        target = core()
        records = [record(n, event("purchase", "anna", day(n + 0.5))) for n in range(3)]
        target.observe("orders", records)
        before = target.table.rows.copy()
        observed = target.observe("orders", records)

        assert observed.counts["skipped"] == 3
        assert observed.counts["accepted"] == 0
        np.testing.assert_array_equal(target.table.rows, before)


class TestErasure:
    @staticmethod
    def erased(*before: dict[str, Any], at: float = 3.5) -> tuple[PartitionCore, Feed]:
        target = core(config(lateness_ms=2 * DAY_MS))
        feed = Feed(target)
        for payload in before:
            feed(payload)
        feed(event("erasure", "anna", day(at)))
        return target, feed

    def test_it_removes_rows_forks_cohorts_and_what_waits_to_be_published(self):
        target = core()
        feed = Feed(target)
        feed.buys("anna", 0.5, 1.5)
        feed.buys("ben", 1.6)
        feed.decide(day(4), constant_models(0.9))
        assert {alert.user_id for alert in alerts(target)} == {"anna", "ben"}
        feed.buys("anna", 5.5)
        observed = feed(event("erasure", "anna", day(6)))

        assert observed.erased == [("anna", day(6))]
        assert "anna" not in target.table.index
        assert target.table.fork_count == len(target.table.forks(target.table.index["ben"]))
        assert {alert.user_id for alert in alerts(target)} == {"ben"}
        code = np.uint64(target.hash("anna"))
        assert not any(code in cohort.hashes for cohort in target.cohorts.values())
        assert all(len(cohort) == 1 for start, cohort in target.cohorts.items() if start >= day(2))

    def test_events_up_to_then_do_not_bring_the_customer_back_and_later_ones_start_anew(self):
        target, feed = self.erased(event("purchase", "anna", day(1)), event("view_item", "anna", day(2)))
        early = feed(event("purchase", "anna", day(3)), event("purchase", "anna", day(3.5)))
        again = "anna" in target.table.index
        feed(event("purchase", "anna", day(4)))

        assert early.counts["erased"] == 2
        assert not again
        assert int(target.table.rows["orders"][target.table.index["anna"]]) == 1

    def test_what_follows_an_erasure_in_the_same_poll_starts_anew(self):
        target, feed = self.erased(event("profile", "anna", day(1), consent={"email": True}))
        feed(
            event("profile", "ben", day(1), tier="gold"),
            event("erasure", "ben", day(4)),
            event("profile", "ben", day(3), consent={"sms": True}),
            event("profile", "ben", day(5), consent={"email": True}),
        )

        profile = target.table.profiles[target.table.index["ben"]]
        assert (profile.tier, profile.consent("sms"), profile.consent("email")) == (None, None, True)
        assert "anna" not in target.table.index

    def test_the_same_erasure_sent_twice_spares_who_came_back(self):
        target, feed = self.erased(event("purchase", "anna", day(1)))
        feed(event("purchase", "anna", day(4)))
        feed(event("erasure", "anna", day(3.5)))

        assert "anna" in target.table.index

    def test_it_applies_however_late_it_comes(self):
        target = core()
        feed = Feed(target)
        feed(event("profile", "ben", day(20)))
        feed.buys("anna", 1.0)
        feed(event("erasure", "anna", day(2)))

        assert "anna" not in target.table.index

    def test_a_stranger_may_be_erased(self):
        target, _ = self.erased()

        assert target.erased.keys() == {target.hash("anna")}
        assert len(target.table) == 0

    def test_labels_leave_the_erased_out(self):
        target = core()
        feed = Feed(target)
        feed.buys("anna", 0.5)
        feed.buys("ben", 0.6)
        feed.decide(day(3), MODELS)
        feed(event("erasure", "anna", day(4)))
        parts = [part for part, _ in feed.decide(day(5), MODELS)]

        assert [len(m.churned) for part in parts for m in part.matured] == [1]


class TestEviction:
    def test_who_gave_no_sign_for_long_enough_is_forgotten_and_nobody_else(self):
        target = core(config(evict_after_days=20))
        feed = Feed(target)
        feed.buys("gone", 0.5)
        feed(event("profile", "registered", day(0.5), tier="gold"))
        feed.buys("recent", 3.5)
        feed.decide(day(20), MODELS, act=False)
        known = set(target.table.index)
        ((_, sweep),) = feed.decide(day(21), MODELS, act=False)

        assert sweep.evicted == 1
        assert known == {"gone", "registered", "recent"}
        assert set(target.table.index) == {"registered", "recent"}
        assert target.gone == {"gone"}

    def test_an_alert_that_waits_keeps_its_customer(self):
        target = core(config(evict_after_days=20))
        feed = Feed(target)
        feed.buys("anna", 0.5)
        feed.decide(day(20), MODELS, act=False)
        target.add_pending("anna", b"{}", 0.9)
        feed.decide(day(22), MODELS, act=False)
        kept = "anna" in target.table.index
        target.pending.clear()
        feed.decide(day(23), MODELS, act=False)

        assert kept
        assert "anna" not in target.table.index

    def test_nobody_is_evicted_whom_a_pending_cohort_may_hold(self):
        with pytest.raises(ValueError, match="eviction must wait"):
            config(evict_after_days=15)


class TestPersonal:
    def test_a_command_that_was_delivered_inside_the_horizon_marks_the_label_as_treated(self):
        target = core()
        feed = Feed(target)
        feed.buys("anna", 0.5)
        feed.decide(day(1), MODELS)
        feed(event("delivered", "anna", day(3)))
        parts = [part for part, _ in feed.decide(day(8), MODELS)]
        treated = {
            (m.cohort.decision_time - START) // DAY_MS: bool(m.treated[0]) for p in parts for m in p.matured
        }

        assert treated == {1: True, 2: True, 3: True, 4: False}

    def test_an_outcome_leaves_no_empty_profile_behind(self):
        target = core()
        Feed(target)(event("opened", "anna", day(1)))

        assert target.table.profiles == {}

    def test_a_profile_as_old_as_the_shop_does_not_move_the_grid(self):
        target = core()
        feed = Feed(target)
        feed(event("profile", "anna", day(-3000), tier="gold"))
        feed.buys("anna", 1.5)

        assert target.swept == day(1)

    def test_a_misrouted_customer_is_refused(self):
        target = core(config(partitions=5), partition=partition_of(b"anna", 5))
        stranger = next(u for u in map(str, range(99)) if partition_of(u.encode(), 5) != target.partition)
        observed = Feed(target)(event("purchase", "anna", day(1)), event("purchase", stranger, day(1)))

        assert [rejection.reason for _, rejection in observed.rejected] == ["misrouted"]
        assert set(target.table.index) == {"anna"}

    def test_what_became_of_a_replay_is_counted_for_it_alone(self):
        target = core()
        Feed(target).buys("anna", 1)
        feed = Feed(target, replayed=True)
        feed._offsets = defaultdict(lambda: count(100))
        feed(twice := event("purchase", "anna", day(2)), twice)
        feed.until(day(3))
        feed(event("purchase", "ben", day(2.5)), event("purchase", "ben", day(4)))
        feed.poll("orders", {"type": "purchase", "user_id": "ben", "ts": day(4)})
        first = target.replayed
        target.attend("another")

        assert first == ReplayCount(SESSION, {"accepted": 2, "duplicate": 1, "late": 1, "refused": 1})
        assert target.replayed == ReplayCount("another")

    def test_a_partition_is_live_again_as_soon_as_no_session_is_open(self):
        target = core()
        target.attend(SESSION)
        replaying = target.replaying
        target.attend("")

        assert replaying
        assert not target.replaying

    def test_it_tells_before_which_times_events_would_come_too_late(self):
        target = core()
        feed = Feed(target)
        before = target.stands
        feed.buys("anna", 1.5)
        feed.decide(day(2), constant_models(0.5))

        assert before == {}
        assert target.stands == dict.fromkeys(TOPICS, day(2)) | {"": day(2)}


class TestConfig:
    @pytest.mark.parametrize("name", ["horizon_days", "active_within_days", "partitions", "learn_sample"])
    def test_sizes_start_at_one(self, name: str):
        with pytest.raises(ValueError, match="at least 1"):
            config(**{name: 0})

    @pytest.mark.parametrize(("horizon", "every", "lateness"), [(4, 1, 0), (60, 7, 3 * DAY_MS), (180, 30, 1)])
    def test_purchase_days_reach_back_over_every_label(self, horizon: int, every: int, lateness: int):
        found = replace(
            config(evict_after_days=999), horizon_days=horizon, grid=DecisionGrid(every), lateness_ms=lateness
        )

        assert found.layout.label_days >= horizon + every + lateness / DAY_MS


def test_the_logs_of_these_tests_hold_what_they_are_meant_to():
    """Some events at decision times, several sweeps, erasures and triggers when asked for."""
    found = payloads(random.Random(0), abrupt=True)
    names = {payload["type"] for payload in found}

    assert {"erasure", "refund", "delivered", "purchase"} <= names
    assert sum(payload["ts"] % DAY_MS == 0 for payload in found) > 10
    assert 3 * log_settings().horizon_days < DAYS


def test_a_partition_without_any_event_begins_where_it_is_told_and_takes_part():
    empty = core()

    empty.begin(day(10.5))

    assert empty.due(day(10.6)) is None
    following = empty.due(day(40))
    assert following is not None
    assert sweeping.mature(empty, following, MODELS).histogram.customers == 0


def test_beginning_again_moves_nothing():
    begun = core()
    begun.begin(day(10))
    swept = begun.swept

    begun.begin(day(30))

    assert begun.swept == swept
