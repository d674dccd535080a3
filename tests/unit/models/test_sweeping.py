"""What a decision time does: cohorts, episodes, silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
import pytest

from features.layout import DAY_MS
from models import sweeping
from models.alerts import Alert, alert_id
from models.drift import InputHistogram
from models.episodes import Thresholds
from models.rhythm import ShopRhythm
from models.versions import ModelSet, initial_models
from tests.building import (
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
    return_models,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.core import PartitionCore
    from models.sweeping import Sweep


def customer(**changes: object) -> tuple[PartitionCore, Feed]:
    target = core(config(**changes))
    feed = Feed(target)
    feed.buys("anna", 0.5)
    return target, feed


def lived(*probabilities: float, bought: tuple[float, ...] = ()) -> list[Alert]:
    """Alerts of a customer who had these probabilities on day 1, 2, …, and `bought` besides."""
    target, feed = customer(active_within_days=30, evict_after_days=90)
    for number, probability in enumerate(probabilities, start=1):
        for when in bought:
            if number - 1 <= when < number:
                feed.buys("anna", when)
        feed.decide(day(number), constant_models(probability))
    return alerts(target)


@pytest.mark.parametrize(
    ("probabilities", "bought", "expected"),
    [
        ((0.5, 0.59, 0.5), (), []),
        ((0.5, 0.65, 0.65), (), ["opened medium 2"]),
        ((0.65, 0.85, 0.95), (), ["opened medium 1", "escalated high 2", "escalated critical 3"]),
        ((0.95, 0.65, 0.95), (), ["opened critical 1"]),
        ((0.65, 0.55, 0.51, 0.65), (), ["opened medium 1"]),
        ((0.65, 0.49, 0.55, 0.65), (), ["opened medium 1", "resolved none 2", "opened medium 4"]),
        ((0.95, 0.95, 0.95), (1.5,), ["opened critical 1", "resolved critical 2", "opened critical 3"]),
        # on the decision time itself is after it
        ((0.95, 0.95, 0.95), (1.0,), ["opened critical 1", "resolved critical 2", "opened critical 3"]),
    ],
)
def test_episodes(probabilities: tuple[float, ...], bought: tuple[float, ...], expected: list[str]):
    found = lived(*probabilities, bought=bought)

    assert [f"{a.status} {a.tier} {(a.ts - START) // DAY_MS}" for a in found] == expected


def test_an_episode_keeps_its_id_and_the_next_one_has_another():
    opened, resolved, again = lived(0.7, 0.1, 0.7)

    assert opened.alert_id == resolved.alert_id == alert_id("anna", "episode", str(day(1)))
    assert again.alert_id == alert_id("anna", "episode", str(day(3)))


def test_an_alert_says_what_the_model_said_and_why():
    target, feed = customer()
    feed.buys("ben", 0.6)
    feed.decide(day(9), return_models())
    alert = alerts(target)[0]

    assert alert.horizon_days == 4
    assert alert.reasons[0].feature == "no_purchase_probability"
    assert alert.probability == pytest.approx(alert.reasons[0].value, abs=1e-6)
    assert (alert.model.name, alert.model.version) == ("logistic", 0)
    assert alert.mark == "live"


def test_reasons_are_told_in_the_languages_of_the_settings():
    target = core(config(languages=("zh", "en")))
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.decide(day(3), models_by({1.0: 0.2, 2.0: 0.9}))
    (reason,) = alerts(target)[0].reasons

    assert (reason.text, reason.texts) == ("已有 2 天没有下单", {"en": "no order for 2 days"})


def test_alerts_from_replayed_history_are_rehearsed():
    target, feed = customer()
    feed.replayed = True
    feed.decide(day(1), constant_models(0.9))

    assert [alert.mark for alert in alerts(target)] == ["rehearsal"]


def test_what_is_too_old_is_stored_and_learned_but_raises_no_alert():
    target, feed = customer()
    ((_, sweep),) = feed.decide(day(1), constant_models(0.9), act=False)

    assert (sweep.silent, alerts(target), sweep.alerts) == ("stale", [], {})
    assert members(target.cohorts[day(1)], target) == {"anna"}
    assert not target.table.rows["episode_start"].any()
    feed.decide(day(2), constant_models(0.9))
    assert [alert.status for alert in alerts(target)] == ["opened"]


def test_without_enough_labels_there_is_no_verdict():
    target, feed = customer(min_labels=100)
    ((_, cold),) = feed.decide(day(1), constant_models(0.9, labels=99))
    ((_, warm),) = feed.decide(day(2), constant_models(0.9, labels=100))

    assert (cold.silent, warm.silent) == ("warming_up", "")
    assert [alert.ts for alert in alerts(target)] == [day(2)]


def test_what_a_decision_time_did_to_a_durable_row_stays_done():
    """The row is durable with its alert, the sweep is not: it comes again."""
    target, feed = customer()
    feed.decide(day(1), constant_models(0.9))
    before = list(target.pending["anna"])
    target.swept = day(0)
    sweeping.sweep(target, day(1), constant_models(0.99))

    assert target.pending["anna"] == before


class TestInputs:
    """What a part tells of the last sweep's inputs."""

    def test_a_part_counts_the_inputs_of_the_decision_time_before(self):
        target, feed = customer()
        feed.buys("ben", 1.5)
        (first, _), (second, _) = feed.decide(day(2), constant_models(0.5))
        known = target.cohorts[day(1)]

        assert first.inputs is None
        assert second.inputs is not None
        assert second.inputs.to_json() == InputHistogram.of(known.inputs).to_json()
        assert len(second.inputs) == len(known) == 1

    def test_an_older_cohort_is_not_counted_again_where_nobody_was_active(self):
        _, feed = customer(active_within_days=3, horizon_days=9)
        sent = [part.inputs for part, _ in feed.decide(day(7), constant_models(0.5))]

        assert [each is not None for each in sent] == [False, True, True, True, False, False, False]

    def test_a_part_that_is_made_again_tells_the_same(self):
        target, feed = customer()
        feed.decide(day(3), constant_models(0.5))

        assert list(sweeping.mature(target, day(4), constant_models(0.5)).messages()) == list(
            sweeping.mature(target, day(4), constant_models(0.5)).messages()
        )


class TestCohort:
    def test_it_holds_what_was_issued_in_the_order_of_the_hash(self):
        target, feed = customer()
        for number in range(9):
            feed.buys(f"u{number}", 0.9)
        models = initial_models("hoeffding_tree", ("logistic", "hoeffding_tree"), START)
        ((_, sweep),) = feed.decide(day(1), models)
        cohort = target.cohorts[day(1)]

        assert (cohort.contenders, cohort.champion) == (models.contenders, "hoeffding_tree")
        assert cohort.hashes.tolist() == sorted(target.hash(user) for user in target.table.index)
        by_hash = dict(zip(cohort.hashes.tolist(), cohort.issued[:, 1].tolist(), strict=True))
        for slot, p in zip(sweep.slots.tolist(), sweep.probabilities.tolist(), strict=True):
            assert by_hash[target.hash(target.table.name(slot))] == round(p * 1e6)

    def test_it_tells_in_which_tier_an_alert_stood_once_the_decision_time_was_through(self):
        target, feed = customer()
        tiers = []
        for number, p in enumerate((0.3, 0.65, 0.95, 0.55, 0.1), start=1):
            feed.decide(day(number), constant_models(p))
            tiers.append(target.cohorts[day(number)].warned.tolist())

        # Hysteresis keeps the alert at 0.55.
        assert tiers == [[0], [1], [3], [3], [0]]

    def test_beyond_the_sample_customers_are_scored_but_not_learned(self):
        target, feed = customer(learn_sample=3)
        for number in range(9):
            feed.buys(f"u{number}", 0.9)
        ((_, sweep),) = feed.decide(day(1), constant_models(0.5))

        assert len(sweep.slots) == 10
        assert target.cohorts[day(1)].hashes.tolist() == sorted(map(target.hash, target.table.index))[:3]

    def test_nobody_makes_no_cohort(self):
        target = core()
        feed = Feed(target)
        feed(event("view_item", "anna", day(0.5)))
        ((part, sweep),) = feed.decide(day(1), constant_models(0.9))

        assert len(sweep.slots) == 0
        assert part.matured == ()
        assert target.cohorts == {}

    def test_it_is_learned_whole_at_the_first_decision_time_that_knows_all_labels(self):
        target, feed = customer()
        taken = feed.decide(day(12), constant_models(0.5))
        known = {
            (part.ts - START) // DAY_MS: [(m.cohort.decision_time - START) // DAY_MS for m in part.matured]
            for part, _ in taken
        }

        assert known == {n: [n - 4] if 5 <= n <= 14 else [] for n in range(1, 13)}
        assert sorted(target.cohorts) == [day(9), day(10)]


class TestPart:
    def test_it_may_be_made_again_until_its_sweep(self):
        target, feed = customer()
        feed.decide(day(5), constant_models(0.5))
        feed.until(day(6))

        assert list(sweeping.mature(target, day(6), constant_models(0.5)).messages()) == list(
            sweeping.mature(target, day(6), constant_models(0.5)).messages()
        )

    def test_the_histogram_counts_every_buyer_as_of_then(self):
        _, feed = customer(lateness_ms=9 * DAY_MS)
        feed.buys("anna", 3.5, 7.5)
        feed(event("view_item", "looker", day(0.5)))
        feed.buys("later", 5.5)
        parts = {part.ts: part.histogram for part, _ in feed.decide(day(6), constant_models(0.5))}

        assert [parts[day(n)].customers for n in (1, 5, 6)] == [1, 1, 2]
        np.testing.assert_array_equal(parts[day(5)].sums, [[1, 1, 3, 4]])


def test_the_models_of_a_sweep_are_those_it_is_given():
    target, feed = customer()
    feed.until(day(1))
    sweeping.mature(target, day(1), constant_models(0.5))
    models: ModelSet = constant_models(0.25)
    sweep = sweeping.sweep(target, day(1), models)

    assert sweep.probabilities.tolist() == [0.25]
    assert target.swept == day(1)


class TestOverdue:
    """Who is not late is not alarmed."""

    SHOP = ShopRhythm(customers=9, usual_gap=30.0, beyond_horizon=0.2, suggested_horizon=42)
    COMPLAINTS: ClassVar[dict[str, dict[str, Any]]] = {
        "review": {"rating": 1},
        "cancel": {},
        "complained": {},
    }

    def judged(
        self, *bought: float, at: int, signals: Sequence[tuple[str, float]] = (), **changes: object
    ) -> tuple[list[Alert], Sweep]:
        """Alerts about one who bought on these days, at the sweep `at` days after START; all are at 0.9.

        `signals` are complaints in the order in which they are read: types, and days.
        """
        target = core(config(active_within_days=400, evict_after_days=800, **changes))
        feed = Feed(target)
        feed.buys("anna", *bought)
        for name, when in signals:
            feed(event(name, "anna", day(when), **self.COMPLAINTS[name]))
        models = msgspec.structs.replace(constant_models(0.9), rhythm=self.SHOP)
        target.swept = day(at - 1)
        ((_, sweep),) = feed.decide(day(at), models)
        return alerts(target), sweep

    def test_a_customer_six_days_after_an_order_with_a_usual_gap_of_144_opens_no_episode(self):
        raised, sweep = self.judged(0.5, 144.5, at=150)

        assert raised == []
        assert (sweep.alerts, sweep.withheld) == ({}, {"not_overdue": 1})

    def test_one_who_is_late_does_and_is_told_so(self):
        raised, sweep = self.judged(0.5, 20.5, 40.5, at=90)

        assert [alert.reasons[0].text for alert in raised] == [
            "no order for 50 days; usually one every 20 days"
        ]
        assert sweep.withheld == {}

    def test_after_one_order_the_shop_s_rhythm_decides(self):
        assert self.judged(0.5, at=20)[0] == []
        assert len(self.judged(0.5, at=40)[0]) == 1

    def test_one_who_showed_dissatisfaction_since_the_last_order_need_not_be_late(self):
        (alert,), _ = self.judged(0.5, 144.5, at=150, signals=[("review", 146)])

        assert alert.reasons[0].text.startswith("showed dissatisfaction 4 days ago")
        assert self.judged(0.5, 144.5, at=150, signals=[("review", 140)])[0] == []

    @pytest.mark.parametrize("name", COMPLAINTS)
    def test_a_trigger_event_behind_the_decision_time_is_not_known_yet(self, name: str):
        assert self.judged(0.5, 144.5, at=150, signals=[(name, 150.5)])[0] == []

    @pytest.mark.parametrize("later", COMPLAINTS)
    @pytest.mark.parametrize("name", COMPLAINTS)
    def test_what_is_known_by_then_does_not_hang_on_what_was_read_meanwhile(self, name: str, later: str):
        """A worker that is behind reads on before it sweeps, one topic further than another."""
        before, behind = (name, 146), [(later, 150.5), (later, 151.5)]
        for order in ([before, *behind], [*behind, before]):
            (alert,), _ = self.judged(0.5, 144.5, at=150, signals=order, lateness_ms=9 * DAY_MS)

            assert alert.reasons[0].text.startswith("showed dissatisfaction 4 days ago")

    def test_a_trigger_that_waits_for_the_sweep_counts_in_it(self):
        """Else a sweep that is repeated after a crash, upon rows in which it is answered, would open more."""
        target = core(config(active_within_days=400, evict_after_days=800))
        feed = Feed(target)
        feed.buys("anna", 0.5, 144.5)
        feed.replayed = True
        feed(event("review", "anna", day(149.5), rating=1))
        target.swept = day(149)
        feed.decide(day(150), msgspec.structs.replace(constant_models(0.9), rhythm=self.SHOP))

        assert [(alert.kind, alert.status) for alert in alerts(target)] == [
            ("trigger", "opened"),
            ("episode", "opened"),
        ]

    def test_it_can_be_switched_off(self):
        (alert,), sweep = self.judged(0.5, 144.5, at=150, only_overdue=False)

        assert alert.status == "opened"
        assert alert.reasons[0].text.startswith("of customers whom the model judges alike, 90%")
        assert sweep.withheld == {}

    def test_what_was_opened_escalates_and_ends_as_ever(self):
        target, feed = customer(active_within_days=30, evict_after_days=90)
        for number, probability in enumerate((0.65, 0.95, 0.2), start=1):
            feed.decide(day(number), constant_models(probability))

        assert [(a.status, a.reasons[0].text) for a in alerts(target)] == [
            ("opened", "no order for less than a day"),
            ("escalated", "no order for 2 days"),
            ("resolved", "the forecast has fallen from 95% to 20%"),
        ]

    @pytest.mark.parametrize(
        ("probabilities", "medium", "text"),
        [
            ((0.9, 0.7), (0.6, 0.8), "the forecast has fallen from 90% to 70%"),
            ((0.9, 0.9), (0.6, 0.95), "alerts now begin at a higher risk, above this customer's 90%"),
            ((0.9, 0.93), (0.6, 0.95), "alerts now begin at a higher risk, above this customer's 93%"),
            # Both moved: the threshold alone would have done it, or else the fall did.
            ((0.9, 0.85), (0.6, 0.95), "alerts now begin at a higher risk, above this customer's 85%"),
            ((0.9, 0.7), (0.6, 0.85), "the forecast has fallen from 90% to 70%"),
            ((0.9998, 0.9996), (0.6, 0.9997), "the forecast, >99%, is below the level at which alerts begin"),
        ],
    )
    def test_an_end_without_an_order_says_which_has_moved_forecast_or_threshold(
        self, probabilities: tuple[float, float], medium: tuple[float, float], text: str
    ):
        target, feed = customer(thresholds=None)
        for number, (probability, level) in enumerate(zip(probabilities, medium, strict=True), start=1):
            tiers = {"logistic": Thresholds(level, max(level, 0.99), 1.0, 0.0)}
            feed.decide(day(number), msgspec.structs.replace(constant_models(probability), tiers=tiers))

        assert [alert.status for alert in alerts(target)] == ["opened", "resolved"]
        assert alerts(target)[1].reasons[0].text == text

    def test_who_is_not_in_the_sample_ends_without_a_word_about_what_moved(self):
        target, feed = customer(learn_sample=1)
        feed.buys("bert", 0.5)
        for number, probability in enumerate((0.9, 0.2), start=1):
            feed.decide(day(number), constant_models(probability))

        assert sorted(a.reasons[0].text for a in alerts(target) if a.status == "resolved") == [
            "the forecast has fallen from 90% to 20%",
            "the forecast, 20%, is below the level at which alerts begin",
        ]

    def test_an_order_ends_an_episode_and_is_the_reason(self):
        opened, resolved, *_ = lived(0.9, 0.9, bought=(1.4,))

        assert opened.status == "opened"
        assert resolved.reasons[0].text == "ordered again 1 day ago"
