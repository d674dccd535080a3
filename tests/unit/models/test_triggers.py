from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from features.layout import DAY_MS
from models.alerts import alert_id
from models.answering import answer, release
from models.marks import PUBLISHED_AS
from models.storage import Storage
from models.triggers import Trigger
from tests.building import Feed, alerts, config, constant_models, core, day, event, models_by

if TYPE_CHECKING:
    from models.core import PartitionCore
    from models.marks import Mark, Mode, Operation

SURE = constant_models(0.95)
LONG_AGO = 0


def customer(**changes: object) -> tuple[PartitionCore, Feed]:
    target = core(config(trigger_cooldown_ms=3 * DAY_MS, **changes))
    feed = Feed(target)
    feed.buys("anna", 0.5)
    return target, feed


@pytest.mark.parametrize(
    ("name", "fields", "speaks"),
    [
        ("refund", {}, True),
        ("cancel", {}, True),
        ("complained", {}, True),
        ("unsubscribed", {}, True),
        ("review", {"rating": 2.0}, True),
        ("review", {"rating": 2.1}, False),
        ("review", {}, False),
        ("survey", {"score": 3.0}, True),
        ("survey", {"score": 3.1}, False),
        ("purchase", {}, False),
        ("delivered", {}, False),
        ("opened", {}, False),
        ("view_item", {}, False),
    ],
)
def test_some_events_speak_for_themselves(name: str, fields: dict[str, float], speaks: bool):
    _, feed = customer()
    observed = feed(event(name, "anna", day(1), **fields))

    assert [trigger.user for trigger in observed.triggered] == ["anna"] * speaks


def test_a_trigger_is_answered_at_once_by_an_alert_of_its_own():
    target, feed = customer()
    observed = feed(refund := event("refund", "anna", day(1)))
    counts = answer(target, observed.triggered, SURE, LONG_AGO)

    (alert,) = alerts(target)
    assert counts == {"alert": 1}
    assert (alert.kind, alert.status, alert.tier) == ("trigger", "opened", "critical")
    assert alert.ts == day(1)
    assert alert.alert_id == alert_id("anna", "trigger", refund["event_id"])
    assert alert.probability == 0.95
    assert (alert.model.name, alert.model.version) == ("logistic", 1)


def test_its_reasons_are_told_in_the_languages_of_the_settings():
    target, feed = customer(languages=("zh", "en"))
    observed = feed(event("refund", "anna", day(2.9)))
    answer(target, observed.triggered, models_by({1.0: 0.2, 2.0: 0.9}), LONG_AGO)
    (reason,) = alerts(target)[0].reasons

    assert (reason.text, reason.texts) == ("已有 2 天没有下单", {"en": "no order for 2 days"})


def test_it_neither_opens_nor_closes_an_episode():
    target, feed = customer()
    answer(target, feed(event("refund", "anna", day(0.6))).triggered, SURE, LONG_AGO)
    before = target.table.rows["episode_start"].any()
    feed.decide(day(1), SURE)
    opened = target.table.rows["episode_start"][0]
    answer(target, feed(event("cancel", "anna", day(5))).triggered, constant_models(0.01), LONG_AGO)

    assert not before
    assert opened == target.table.rows["episode_start"][0] == day(1)


def test_the_event_itself_is_seen_by_the_model():
    """Scored a moment after the newest event: the silence is over, the refund is in the features."""
    target, feed = customer()
    observed = feed(event("refund", "anna", day(3)))
    answer(target, observed.triggered, models_by({0.1: 0.7, 2.5: 0.9}), LONG_AGO)

    (alert,) = alerts(target)
    assert alert.probability == pytest.approx(0.9, abs=1e-5)


def test_one_alert_per_cool_down():
    target, feed = customer()
    fates = []
    for when in (1, 2, 3.999, 4, 6):
        fates += answer(target, feed(event("cancel", "anna", day(when))).triggered, SURE, LONG_AGO)

    assert fates == ["alert", "cooling_down", "cooling_down", "alert", "cooling_down"]


@pytest.mark.parametrize("before", ["rehearsal", "shadow", "off", "live"])
@pytest.mark.parametrize("then", ["rehearsal", "shadow", "off", "live"])
def test_a_trigger_is_silenced_by_those_of_its_own_mark_alone(before: Operation, then: Operation):
    """What was rehearsed or raised in shadow reached nobody."""
    target, feed = customer()
    fates = []
    for when, now in ((1, before), (2, then), (2.5, before)):
        feed.replayed = now == "rehearsal"
        target.config = replace(target.config, mode="live" if now == "rehearsal" else now)
        observed = feed(event("cancel", "anna", day(when)))
        target.held.clear()
        fates += answer(target, [Trigger("anna", "e", day(when), feed.replayed)], SURE, LONG_AGO)
        assert len(observed.triggered) == (not feed.replayed)

    same = PUBLISHED_AS[before] == PUBLISHED_AS[then]
    assert fates == ["alert", "cooling_down" if same else "alert", "cooling_down"]


def test_two_triggers_in_one_poll_are_one_alert():
    target, feed = customer()
    observed = feed(event("cancel", "anna", day(1)), event("refund", "anna", day(1)))

    assert answer(target, observed.triggered, SURE, LONG_AGO) == {"alert": 1, "cooling_down": 1}


def test_an_older_trigger_that_arrives_later_is_cooling_down_too():
    target, feed = customer(lateness_ms=9 * DAY_MS)
    answer(target, feed(event("cancel", "anna", day(9))).triggered, SURE, LONG_AGO)

    assert answer(target, feed(event("cancel", "anna", day(1))).triggered, SURE, LONG_AGO) == {
        "cooling_down": 1
    }


def test_a_calm_customer_is_left_in_peace():
    target, feed = customer()
    counts = answer(target, feed(event("cancel", "anna", day(1))).triggered, constant_models(0.59), LONG_AGO)

    assert counts == {"below_threshold": 1}
    assert alerts(target) == []


def test_without_enough_labels_there_is_no_verdict():
    target, feed = customer(min_labels=100)
    found = feed(event("cancel", "anna", day(1))).triggered

    assert answer(target, found, constant_models(0.95, labels=99), LONG_AGO) == {"warming_up": 1}


def test_an_old_trigger_is_stale():
    target, feed = customer()

    assert answer(target, feed(event("cancel", "anna", day(1))).triggered, SURE, day(2)) == {"stale": 1}
    assert alerts(target) == []


class TestReplayed:
    """A replayed trigger waits for the next sweep, so that polling cannot change what a replay says."""

    def test_it_is_answered_by_the_next_sweep_as_a_rehearsal_of_any_age(self):
        target, feed = customer()
        feed.replayed = True
        observed = feed(event("cancel", "anna", day(1)))
        (*_, (_, sweep)) = feed.decide(day(2), SURE)

        (alert,) = [alert for alert in alerts(target) if alert.kind == "trigger"]
        assert observed.triggered == []
        assert sweep.triggers == {"alert": 1}
        assert (alert.ts, alert.mark) == (day(1), "rehearsal")

    def test_it_does_not_see_what_came_at_or_after_the_decision_time(self):
        alone, feed_alone = customer()
        busy, feed_busy = customer()
        for feed in (feed_alone, feed_busy):
            feed.replayed = True
            feed(event("cancel", "anna", day(1)))
        feed_busy.buys("anna", 2.5)
        for feed in (feed_alone, feed_busy):
            feed.decide(day(2), models_by({1.0: 0.99, 3.0: 0.85}))

        (one,), (other,) = (
            [(a.probability, a.tier, a.reasons) for a in alerts(each) if a.kind == "trigger"]
            for each in (alone, busy)
        )
        assert one == other

    def test_one_of_the_next_interval_waits_for_the_next_sweep(self):
        target, feed = customer()
        feed.replayed = True
        feed(event("cancel", "anna", day(2.5)))
        feed.decide(day(2), SURE)
        held = dict(target.held)
        feed.decide(day(4), SURE)

        assert list(held) == ["anna"]
        assert target.held == {}

    def test_it_survives_a_crash_in_its_customers_row(self):
        target, feed = customer()
        feed.replayed = True
        feed(event("cancel", "anna", day(1)))
        successor = core(target.config)
        restored = Storage(successor)
        restored.restore(Storage(target).take())
        restored.finish()

        assert successor.held == target.held != {}

    def test_an_erasure_takes_it_away(self):
        target, feed = customer()
        feed.replayed = True
        feed(event("cancel", "anna", day(1)))
        feed(event("erasure", "anna", day(1.5)))

        assert target.held == {}


class TestHeldBack:
    """A live trigger waits while it is not known what the customer consents to."""

    def test_no_sweep_answers_it(self):
        target, feed = customer()
        (trigger,) = feed(event("cancel", "anna", day(1))).triggered
        target.hold(trigger)
        (*_, (_, sweep)) = feed.decide(day(2), SURE)

        assert sweep.triggers == {}
        assert list(target.held) == ["anna"]

    def test_it_is_given_back_once_as_it_was_also_after_a_crash(self):
        target, feed = customer()
        (trigger,) = feed(event("cancel", "anna", day(1))).triggered
        target.hold(trigger)
        successor = core(target.config)
        restored = Storage(successor)
        restored.restore(Storage(target).take())
        restored.finish()

        assert release(target) == [trigger]
        assert release(successor) == [trigger]
        assert release(successor) == []
        assert successor.dirty == {"anna"}

    def test_replayed_ones_are_none_of_them(self):
        target, feed = customer()
        feed.replayed = True
        feed(event("cancel", "anna", day(1)))

        assert release(target) == []
        assert list(target.held) == ["anna"]

    def test_who_is_gone_is_not_waited_for(self):
        target, feed = customer()
        (trigger,) = feed(event("cancel", "anna", day(1))).triggered
        feed(event("erasure", "anna", day(1.5)))
        target.hold(trigger)

        assert target.held == {}


@pytest.mark.parametrize(("mode", "mark"), [("live", "live"), ("shadow", "shadow"), ("off", "shadow")])
def test_a_trigger_of_the_present_is_marked_by_the_mode(mode: Mode, mark: Mark):
    target, feed = customer(mode=mode)
    cancel = event("cancel", "anna", day(1))
    answer(target, feed(cancel).triggered, SURE, LONG_AGO)

    (alert,) = alerts(target)
    assert alert.mark == mark
    assert alert.alert_id == alert_id("anna", "trigger", cancel["event_id"], mark)


def test_a_retried_trigger_is_none():
    _, feed = customer()
    first = event("unsubscribed", "anna", day(1))
    refund = event("refund", "anna", day(1))
    feed(first)
    feed(refund)

    assert feed(refund).triggered == []


def test_who_was_erased_meanwhile_is_unknown():
    target, feed = customer()
    observed = feed(event("cancel", "anna", day(1)))
    feed(event("erasure", "anna", day(1)))

    assert answer(target, observed.triggered, SURE, LONG_AGO) == {"unknown": 1}


def test_unsubscribing_and_complaining_count_however_late_and_change_consent():
    target, feed = customer()
    feed(event("opened", "anna", day(30)))
    observed = feed(event("unsubscribed", "anna", day(1), channel="email"))

    assert len(observed.triggered) == 1
    assert observed.counts["late"] == 1
    assert target.table.profiles[target.table.index["anna"]].consent("email") is False


def test_somebody_without_any_purchase_can_speak_too():
    target, feed = customer()
    observed = feed(event("unsubscribed", "stranger", day(1)))

    assert answer(target, observed.triggered, SURE, LONG_AGO) == {"alert": 1}
    assert alerts(target)[0].user_id == "stranger"
