"""Why an alert was raised: by theme, in the direction of common sense, and never without a reason."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit

from features.catalogue import BY_NAME, CATALOGUE, NAMES, OFFSET
from features.speaking import facts
from features.wording import LANGUAGES
from models.judging import judge
from models.reasons import REASONS, Customer, End, customers, why, why_ended
from models.rhythm import ShopRhythm
from tests.building import Feed, core, day, event, models_by, return_models
from tests.examples import examples

if TYPE_CHECKING:
    from models.alerts import Reason
    from models.versions import ModelSet

#: One who orders every 20 days and looks around in between, and has done neither for long.
LATE = {
    "no_purchase_probability": 0.8,
    "days_since_purchase": 50.0,
    "gap_mean": 20.0,
    "orders": 12.0,
    "order_frequency": 1.5,
    "orders_30d": 0.2,
    "orders_trend": math.log(0.2),
    "activity_90d": 30.0,
    "activity_30d": 1.0,
    "orders_90d": 2.0,
    "days_since_activity": 30.0,
    "late_delivery_share": 0.5,
    "mean_rating": 2.0,
}


def customer(shares: dict[str, float], *, shop_gap: float = math.nan, **raw: float) -> Customer:
    """A customer like LATE, but for `raw`, with these shares in the log-odds."""
    extra = {"p_churn": 0.9, "horizon_days": 60, "signal_days": math.nan}
    values = dict.fromkeys(NAMES, math.nan) | LATE | raw
    known = facts({name: values[name] for name in NAMES}, shop_gap)
    added = {name: values[name] for name in extra if name in values}
    return Customer({**known, **extra, **added}, [shares.get(name, 0.0) for name in NAMES])


def told(*args: object, **raw: float) -> list[tuple[str, float]]:
    """Feature and contribution of each reason."""
    return [(each.feature, each.contribution) for each in why(customer(*args, **raw))]  # type: ignore[arg-type]


class TestThemes:
    def test_there_is_one_reason_of_each_theme_the_strongest_first(self):
        shares = {"days_since_purchase": 0.5, "late_delivery_share": 0.3, "mean_rating": 0.9}

        assert told(shares) == [
            ("mean_rating", 0.9),
            ("days_since_purchase", 0.5),
            ("late_delivery_share", 0.3),
        ]
        assert [each.theme for each in why(customer(shares))] == ["satisfaction", "rhythm", "service"]

    def test_columns_that_say_the_same_are_added_up(self):
        taken_back = {"days_since_purchase": 2.0, "orders_30d": -1.5, "mean_rating": 0.7}

        assert told(taken_back) == [("mean_rating", 0.7), ("days_since_purchase", 0.5)]

    def test_a_theme_that_lowers_the_risk_in_all_is_no_reason(self):
        assert told({"days_since_purchase": 2.0, "orders_30d": -2.5, "mean_rating": 0.7}) == [
            ("mean_rating", 0.7)
        ]

    def test_a_theme_is_told_by_the_strongest_feature_that_speaks_for_leaving(self):
        """The model goes by a high rate of orders most; no person would."""
        shares = {"orders_trend": 2.0, "gap_mean": 1.0, "days_since_purchase": 0.5}

        assert told(shares, orders_trend=math.log(5.5)) == [("days_since_purchase", 3.5)]

    def test_activity_counts_as_rhythm_where_nothing_but_orders_is_recorded(self):
        shares = {"orders_90d": -1.0, "activity_90d": 1.2, "mean_rating": 0.1, "days_since_purchase": 0.1}
        recorded = told(shares)
        silent = told(shares, activity_90d=2.0, orders_90d=2.0, days_since_activity=50.0)

        assert recorded == [("mean_rating", 0.1)]
        assert silent == [("days_since_purchase", pytest.approx(0.3)), ("mean_rating", 0.1)]

    def test_there_are_at_most_three(self):
        strong = {
            "days_since_purchase": 1.0,
            "spend_trend": 1.0,
            "activity_30d": 1.0,
            "late_delivery_share": 1.0,
            "mean_rating": 1.0,
        }

        assert len(told(strong, spend_trend=-5.0)) == REASONS == 3

    def test_a_share_that_rounds_to_nothing_is_no_reason(self):
        assert told({"mean_rating": 1e-8, "days_since_purchase": 0.2}) == [("days_since_purchase", 0.2)]


class TestFallback:
    def test_a_late_customer_is_late_whatever_the_model_goes_by(self):
        (reason,) = why(customer({"gap_mean": 1.0, "orders_trend": -0.4}))

        assert (reason.feature, reason.contribution) == ("days_since_purchase", 0.6)
        assert reason.text == "no order for 50 days; usually one every 20 days"

    def test_who_is_late_by_the_shop_s_rhythm_is_told_so(self):
        (reason,) = why(customer({}, shop_gap=30.0, gap_mean=math.nan))

        assert reason.text == "no order for 50 days; customers of this shop usually order every 30 days"

    def test_who_is_not_late_but_showed_dissatisfaction_is_told_that(self):
        (reason,) = why(customer({"gap_mean": 1.0}, days_since_purchase=3.0, signal_days=2.0))

        assert (reason.feature, reason.value, reason.contribution, reason.theme) == (
            "trigger",
            2.0,
            0.0,
            None,
        )
        assert reason.text.startswith("showed dissatisfaction 2 days ago")

    def test_for_anybody_else_the_forecast_is_said_in_words(self):
        (reason,) = why(customer({"gap_mean": 1.0}, days_since_purchase=3.0), ("zh", "en"))

        assert (reason.feature, reason.value) == ("forecast", 0.9)
        assert reason.text == LANGUAGES["zh"].occasion("forecast", {"p_churn": 0.9, "horizon_days": 60})
        assert reason.texts == {
            "en": "of customers whom the model judges alike, 90% do not order within 60 days"
        }


def test_an_episode_ends_with_an_order_or_with_a_lower_forecast():
    calm = customer({"days_since_purchase": -0.7}, days_since_purchase=2.0, p_churn=0.31)
    (bought,), (fell,) = (why_ended(calm, ("en",), End(bought, 0.8, 0.7)) for bought in (True, False))

    assert (bought.feature, bought.text, bought.contribution) == (
        "days_since_purchase",
        "ordered again 2 days ago",
        -0.7,
    )
    assert (fell.feature, fell.value, fell.text) == (
        "forecast",
        0.31,
        "the forecast has fallen from 80% to 31%",
    )


@given(
    hnp.arrays(float, len(NAMES), elements=st.floats(-2, 2).map(lambda x: round(x, 3))),
    st.dictionaries(st.sampled_from(NAMES), st.floats(-5, 400) | st.just(math.nan)),
    st.floats(1, 200) | st.just(math.nan),
)
@examples(300)
def test_every_reason_obeys_the_direction_and_the_numbers_of_its_feature(
    shares: np.ndarray, raw: dict[str, float], shop_gap: float
):
    judged = customer(dict(zip(NAMES, shares.tolist(), strict=True)), shop_gap=shop_gap, **raw)
    found = why(judged)

    assert 1 <= len(found) <= REASONS
    assert len({each.theme for each in found}) == len(found)
    for reason in found:
        if reason.feature not in BY_NAME:
            assert len(found) == 1
            continue
        feature = BY_NAME[reason.feature]
        assert feature.direction != "either"
        assert feature.speaks is not None
        assert feature.speaks(judged.known)
        assert reason.contribution > 0 or len(found) == 1
    assert [each.contribution for each in found] == sorted((e.contribution for e in found), reverse=True)


@given(hnp.arrays(float, len(NAMES), elements=st.floats(-2, 2)), st.booleans())
@examples(50)
def test_shares_of_themes_add_up_to_those_of_features(shares: np.ndarray, browses: bool):
    judged = customer(dict(zip(NAMES, shares.tolist(), strict=True)))
    judged = judged._replace(known={**judged.known, "browses": float(browses)})

    assert sum(judged.by_theme().values()) == pytest.approx(float(shares.sum()))


class TestOfRecords:
    """From records and models to reasons."""

    def told(self, at: float, models: ModelSet, *days: float, signal: int = 0) -> tuple[Reason, ...]:
        target = core()
        Feed(target).buys("u", *days)
        signals = np.array([signal], np.int64)
        (found,) = customers(target.table.rows, np.arange(1), day(at), 4, models, signals)
        return why(found)

    def test_shares_are_the_champion_s_own(self):
        target = core()
        Feed(target).buys("u", 0.5)
        models = models_by({1.0: 0.2, 9.0: 0.9})
        (found,) = customers(target.table.rows, np.arange(1), day(9), 4, models)
        inputs = judge(target.table.rows, np.arange(1), day(9), 4, models).inputs
        expected = models.scorers["logistic"].contributions(inputs)[0, : len(NAMES)]

        np.testing.assert_allclose(found.shares, expected, atol=1e-6)
        (reason,) = why(found)
        assert (reason.feature, reason.text) == ("days_since_purchase", "no order for 8 days")
        assert reason.value == pytest.approx(8.5)

    def test_they_compare_with_the_habit_of_the_customer(self):
        (reason,) = self.told(9.6, models_by({1.0: 0.2, 9.0: 0.9}), 1.5, 3.5, 5.5)

        assert reason.text == "no order for 4 days; usually one every 2 days"

    def test_they_compare_with_the_shop_where_there_is_no_habit(self):
        shop = ShopRhythm(customers=9, usual_gap=6.2, beyond_horizon=0.5, suggested_horizon=14)
        models = msgspec.structs.replace(models_by({1.0: 0.2, 9.0: 0.9}), rhythm=shop)
        (reason,) = self.told(9, models, 0.5)

        assert reason.text == "no order for 8 days; customers of this shop usually order every 6 days"

    def test_without_labels_the_buying_rhythm_is_the_reason(self):
        (reason,) = self.told(900, return_models(), 0.5)

        assert reason.feature == OFFSET == NAMES[0]
        assert expit(reason.contribution) == pytest.approx(reason.value, abs=1e-5)

    def test_a_trigger_event_is_as_long_ago_as_it_is(self):
        (reason,) = self.told(4, models_by({1.0: 0.2, 9.0: 0.9}), 0.5, 2.9, signal=day(1))

        assert (reason.feature, reason.value) == ("trigger", 3.0)

    def test_what_is_seen_besides_orders_counts_as_browsing(self):
        target = core()
        feed = Feed(target)
        feed.buys("u", 0.5)
        feed(event("view_item", "u", day(3.5)))
        (found,) = customers(target.table.rows, np.arange(1), day(9), 4, models_by({1.0: 0.2, 9.0: 0.9}))

        assert found.known["browses"]


def test_every_feature_has_a_theme_of_the_five():
    assert {feature.theme for feature in CATALOGUE} == {
        "rhythm",
        "spend",
        "browsing",
        "service",
        "satisfaction",
    }
