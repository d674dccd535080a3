from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from scipy.special import expit

from features import catalogue
from features.catalogue import NAMES, OFFSET
from features.view import View
from models.judging import REASONS, chunks, judge, reasons
from models.versions import COLUMNS, TREATED, ModelSet, initial_models
from tests.building import START, Feed, constant_models, core, day, models_by

if TYPE_CHECKING:
    from models.scorers import LinearScorer


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
        assert reason.text == f"no order for {8.5:.0f} days"
        assert reason.contribution == pytest.approx(share.max(), abs=1e-6)

    def test_there_are_at_most_three_in_falling_order(self):
        target, slots = customers(1)
        base = initial_models("logistic", ("logistic",), START)
        scorer = base.scorers["logistic"]
        weights = tuple(1.0 + n / 100 for n, _ in enumerate(COLUMNS))
        bold = type(scorer)(
            columns=COLUMNS,
            intercept=0.0,
            weights=weights,
            mean=(-1.0,) * len(COLUMNS),
            scale=(1.0,) * len(COLUMNS),
            raw=scorer.raw,
        )
        (found,) = reasons(target.table.rows, slots, day(9), 4, replaced(base, bold))
        shares = [reason.contribution for reason in found]

        assert len(found) == REASONS
        assert shares == sorted(shares, reverse=True)

    def test_a_missing_feature_has_no_value_and_says_so(self):
        target, slots = customers(1)
        view = View(target.table.rows[slots], day(9), 4, constant_models(0.5).returns)
        assert np.isnan(catalogue.BY_NAME["mean_rating"].compute(view)[0])
        scorer = constant_models(0.5).scorers["logistic"]
        talkative = type(scorer)(
            columns=COLUMNS,
            intercept=0.0,
            weights=tuple(float(name == "mean_rating") for name in COLUMNS),
            mean=(0.0,) * len(COLUMNS),
            scale=(1.0,) * len(COLUMNS),
            raw=scorer.raw,
        )
        ((reason,),) = reasons(target.table.rows, slots, day(9), 4, replaced(constant_models(0.5), talkative))

        assert (reason.feature, reason.value) == ("mean_rating", None)
        assert reason.text == "no mean rating known"

    def test_without_labels_the_buying_rhythm_is_the_reason(self):
        target, slots = customers(1)
        models = initial_models("logistic", ("logistic",), START)
        ((reason,),) = reasons(target.table.rows, slots, day(900), 4, models)

        assert reason.feature == OFFSET == NAMES[0]
        assert expit(reason.contribution) == pytest.approx(reason.value, abs=1e-5)


def replaced(models: ModelSet, scorer: LinearScorer) -> ModelSet:
    return msgspec.structs.replace(models, scorers={models.champion: scorer})
