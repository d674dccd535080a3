from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.budget import OPEN_DAYS, DailyBudget, largest_remainder
from tests.examples import examples


@examples(60)
@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_shares_add_up_and_stay_within_one_of_the_quota(total: int, weights: list[int]):
    shares = largest_remainder(total, weights)

    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * sum(weights) - total * weight) < sum(weights)


def test_the_largest_remainders_get_what_is_left():
    """Quotas 4.7, 3.1, 2.2 of 10: whole parts 4 + 3 + 2, the one left goes to .7."""
    assert largest_remainder(10, [47, 31, 22]) == [5, 3, 2]


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, [0, 0]), (1, [2, -1])])
def test_what_cannot_be_divided_is_rejected(total: int, weights: list[int]):
    with pytest.raises(ValueError, match="cannot divide"):
        largest_remainder(total, weights)


def test_the_last_micro_may_be_spent_and_not_one_more():
    budget = DailyBudget()
    budget.charge(5, 90, share=100)

    assert budget.refusal(5, 10, share=100) is None
    assert budget.refusal(5, 11, share=100) == "budget"


def test_each_day_has_its_own_budget():
    budget = DailyBudget()
    budget.charge(5, 100, share=100)

    assert budget.refusal(6, 100, share=100) is None


def test_a_raised_share_counts_from_the_next_day_and_a_cut_at_once():
    budget = DailyBudget()
    budget.charge(5, 50, share=100)

    assert budget.refusal(5, 60, share=500) == "budget"
    assert budget.refusal(6, 60, share=500) is None
    assert budget.refusal(5, 1, share=50) == "budget"


def test_a_late_alert_is_charged_to_its_own_day_while_that_is_open():
    budget = DailyBudget()
    budget.charge(5, 100, share=100)
    budget.advance(5 + OPEN_DAYS - 1)

    assert budget.refusal(5, 1, share=100) == "budget"
    budget.advance(5 + OPEN_DAYS)
    assert budget.refusal(5, 1, share=100) == "budget_closed"


def test_only_open_days_are_remembered():
    budget = DailyBudget()
    for day in range(50):
        budget.advance(day)
        budget.charge(day, 1, share=10)

    assert set(budget.days) == {49, 48, 47}


def test_an_action_that_costs_nothing_needs_no_budget():
    assert DailyBudget().refusal(1, 0, share=0) is None
