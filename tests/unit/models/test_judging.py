from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.judging import chunks, judge
from models.versions import COLUMNS, TREATED, initial_models
from tests.building import START, Feed, constant_models, core, day, models_by, return_models

if TYPE_CHECKING:
    import pytest


def customers(n: int):
    target = core()
    feed = Feed(target)
    for number in range(n):
        feed.buys(f"u{number}", 0.5 + number / (2 * n))
    return target, np.arange(n)


def test_probabilities_are_rounded_to_a_millionth_before_anybody_sees_them():
    target, slots = customers(5)
    judgement = judge(target.table.rows, slots, day(9), 4, return_models())

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
