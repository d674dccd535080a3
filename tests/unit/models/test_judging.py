from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.special import expit

from features import catalogue
from features.catalogue import NAMES, OFFSET
from features.view import View
from models.judging import REASONS, chunks, judge, reasons
from models.scorers import LinearScorer
from models.versions import COLUMNS, TREATED, ModelSet, initial_models
from tests.building import START, Feed, constant_models, core, day, models_by


def customers(n: int):
    target = core()
    feed = Feed(target)
    for number in range(n):
        feed.buys(f"u{number}", 0.5 + number / (2 * n))
    return target, np.arange(n)


def test_probabilities_are_rounded_to_a_millionth_before_anybody_sees_them():
    target, slots = customers(5)
    judgement = judge(target.table.rows, slots, day(9), 4, initial_models("logistic", ("logistic",), START))

    np.testing.assert_array_equal(judgement.issued, np.round(judgement.issued, 6))
    assert len(set(judgement.probabilities.tolist())) > 1


def test_the_champion_speaks_and_every_contender_is_heard():
    target, slots = customers(2)
    models = initial_models("hoeffding_tree", ("logistic", "hoeffding_tree"), START)
    judgement = judge(target.table.rows, slots, day(9), 4, models)

    assert judgement.issued.shape == (2, 2)
    assert judgement.champion == 1
    np.testing.assert_array_equal(judgement.probabilities, judgement.issued[:, 1])


def test_risk_is_read_untreated():
    target, slots = customers(3)
    judgement = judge(target.table.rows, slots, day(9), 4, constant_models(0.5))

    assert not judgement.inputs[:, COLUMNS.index(TREATED)].any()
    assert judgement.inputs[:, COLUMNS.index("days_since_purchase")].all()


def test_customers_are_worked_on_in_chunks_that_cover_them_all(monkeypatch: pytest.MonkeyPatch):
    target, slots = customers(7)
    whole = judge(target.table.rows, slots, day(9), 4, models_by({1.0: 0.2, 9.0: 0.9}))
    monkeypatch.setattr("models.judging.CHUNK", 3)
    pieces = judge(target.table.rows, slots, day(9), 4, models_by({1.0: 0.2, 9.0: 0.9}))

    assert [len(range(7)[piece]) for piece in chunks(7)] == [3, 3, 1]
    np.testing.assert_array_equal(whole.issued, pieces.issued)


def test_nobody_to_judge_is_no_trouble():
    target, _ = customers(1)
    judgement = judge(target.table.rows, np.zeros(0, np.intp), day(9), 4, constant_models(0.5))

    assert judgement.issued.shape == (0, 1)


class TestReasons:
    def test_they_are_the_strongest_shares_in_the_log_odds_and_all_speak_for_churn(self):
        target, slots = customers(2)
        models = models_by({1.0: 0.2, 9.0: 0.9})
        rows = target.table.rows[slots]
        (found, _) = reasons(rows, np.arange(len(rows)), day(9), 4, models)
        scorer = models.scorers["logistic"]
        share = scorer.contributions(judge(target.table.rows, slots, day(9), 4, models).inputs)[0]

        (reason,) = found
        assert reason.feature == "days_since_purchase"
        assert reason.value == pytest.approx(8.5)
        assert reason.text == "no order for 8 days"
        assert reason.texts == {}
        assert reason.contribution == pytest.approx(share.max(), abs=1e-6)

    def test_there_are_at_most_three_in_falling_order(self):
        target, slots = customers(1)
        (found,) = reasons(target.table.rows, slots, day(9), 4, weighing(1.0))
        shares = [reason.contribution for reason in found]

        assert len(found) == REASONS
        assert shares == sorted(shares, reverse=True)

    def test_a_missing_feature_has_no_value_and_says_so(self):
        target, slots = customers(1)
        view = View(target.table.rows[slots], day(9), 4, constant_models(0.5).returns)
        assert np.isnan(catalogue.BY_NAME["mean_rating"].compute(view)[0])
        ((reason,),) = reasons(target.table.rows, slots, day(9), 4, weighing(0.0, mean_rating=1.0))

        assert (reason.feature, reason.value) == ("mean_rating", None)
        assert reason.text == "no rating yet"

    def test_they_are_told_in_every_language_that_is_asked_for_the_first_one_foremost(self):
        target, slots = customers(1)
        models = models_by({1.0: 0.2, 9.0: 0.9})
        ((reason,),) = reasons(target.table.rows, slots, day(9), 4, models, ("zh", "en"))

        assert reason.text == "已有 8 天没有下单"
        assert reason.texts == {"en": "no order for 8 days"}

    def test_they_compare_with_the_habit_of_the_customer(self):
        target = core()
        Feed(target).buys("u", 1.5, 3.5, 5.5)
        ((reason,),) = reasons(
            target.table.rows, np.arange(1), day(9.6), 4, weighing(0.0, days_since_purchase=1.0)
        )

        assert reason.text == "no order for 4 days; usually one every 2 days"

    def test_what_lowers_the_risk_is_none_while_anything_raises_it(self):
        target, slots = customers(1)
        (found,) = reasons(target.table.rows, slots, day(9), 4, weighing(-1.0, order_days=0.1))

        assert [(reason.feature, reason.contribution > 0) for reason in found] == [("order_days", True)]

    def test_if_nothing_raises_the_risk_what_lowers_it_most_is_told_as_that(self):
        target, slots = customers(1)
        (found,) = reasons(
            target.table.rows, slots, day(9), 4, weighing(0.0, orders=-1.0, order_days=-2.0, total_spend=-0.1)
        )

        assert [reason.feature for reason in found] == ["order_days", "total_spend"]
        assert all(reason.contribution < 0 for reason in found)
        assert found[0].text == "speaks for staying: ordered on 1 day so far; a customer for 8 days"

    def test_nothing_is_a_reason_for_whom_no_share_is_known(self):
        target, slots = customers(1)
        faint = weighing(0.0, order_days=1e-8)

        assert reasons(target.table.rows, slots, day(9), 4, constant_models(0.9)) == [()]
        assert reasons(target.table.rows, slots, day(9), 4, faint) == [()]

    def test_without_labels_the_buying_rhythm_is_the_reason(self):
        target, slots = customers(1)
        models = initial_models("logistic", ("logistic",), START)
        ((reason,),) = reasons(target.table.rows, slots, day(900), 4, models)

        assert reason.feature == OFFSET == NAMES[0]
        assert expit(reason.contribution) == pytest.approx(reason.value, abs=1e-5)


def weighing(others: float, **weights: float) -> ModelSet:
    """Models in which each column has its weight, the rest that of `others` and a little by its place."""
    base = constant_models(0.5)
    scorer = LinearScorer(
        columns=COLUMNS,
        intercept=0.0,
        weights=tuple(weights.get(name, others * (1 + n / 100)) for n, name in enumerate(COLUMNS)),
        mean=tuple(0.0 if name in weights else -1.0 for name in COLUMNS),
        scale=(1.0,) * len(COLUMNS),
        raw=frozenset({OFFSET, TREATED}),
    )
    return msgspec.structs.replace(base, scorers={base.champion: scorer})
