"""What became of those who stood in alerts, recomputed customer by customer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.layout import DAY_MS
from models.cohorts import Cohort
from models.episodes import TIERS
from models.hindsight import MEMORY_DAYS, Hindsight
from models.parts import Matured
from models.versions import COLUMNS
from tests.building import day
from tests.examples import examples

#: Probability in millionths, tier of the alert, whether the customer left.
Member = tuple[int, int, bool]
members = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, len(TIERS) - 1), st.booleans()), min_size=1, max_size=40
)


def matured(found: list[Member], **changes: Any) -> Matured:
    n = len(found)
    issued, tiers, left = (list(column) for column in zip(*found, strict=True))
    columns: dict[str, Any] = {
        "decision_time": day(1),
        "contenders": ("pool",),
        "champion": "pool",
        "hashes": np.arange(n, dtype=np.uint64),
        "inputs": np.zeros((n, len(COLUMNS)), np.float32),
        "issued": np.array(issued, np.uint32)[:, None],
        "recency": np.zeros(n, np.uint16),
        "warned": np.array(tiers, np.uint8),
    }
    return Matured(Cohort(**columns | changes), np.array(left, bool), np.zeros(n, bool))


@given(st.lists(members, min_size=1, max_size=4))
@examples(40)
def test_each_customer_counts_in_the_tier_in_which_an_alert_stood(times: list[list[Member]]):
    hindsight = Hindsight()
    for i, found in enumerate(times):
        half = len(found) // 2
        hindsight.judge(day(i), [matured(part) for part in (found[:half], found[half:]) if part])

    warned = hindsight.warned
    everybody = [member for found in times for member in found]
    for code, tier in enumerate(TIERS):
        inside = [(p, left) for p, its, left in everybody if its == code]
        measured = warned.calibration(tier)
        if measured is None:
            assert not inside
            continue
        assert measured.labels == len(inside)
        assert measured.forecast == pytest.approx(np.mean([p for p, _ in inside]) / 1e6)
        assert measured.churn_rate.value == np.mean([left for _, left in inside])
    calls = warned.calls
    assert calls.called == sum(its > 0 for _, its, _ in everybody)
    assert calls.churned == sum(left for *_, left in everybody)
    assert calls.labels == len(everybody) == hindsight.counts.labels


def test_a_capacity_is_used_up_at_each_decision_time_by_itself():
    # Everybody of the second time is riskier than anybody of the first; in each the riskiest one left.
    hindsight = Hindsight()
    for time, lowest in enumerate((100_000, 900_000)):
        hindsight.judge(day(time), [matured([(lowest + 1_000 * i, 0, i == 9) for i in range(10)])])

    calls = hindsight.at_capacity(0.1)

    assert (calls.called, calls.true_positives, calls.recall) == (2, 2, 1)


def test_cohorts_of_an_older_release_do_not_tell_and_are_left_out():
    hindsight = Hindsight()
    hindsight.judge(day(1), [matured([(1, 0, True)], warned=np.zeros(0, np.uint8))])

    assert len(hindsight) == 0
    assert hindsight.span is None
    assert hindsight.warned.calls.labels == 0


def test_it_remembers_a_year_and_tells_of_less_when_asked():
    hindsight = Hindsight()
    for i in range(0, MEMORY_DAYS + 30, 7):
        hindsight.judge(day(i), [matured([(500_000, 1, True)])])

    first, last = hindsight.span or (0, 0)
    assert MEMORY_DAYS - 7 < (last - first) / DAY_MS <= MEMORY_DAYS
    assert len(hindsight.newest(28)) == 4


@given(st.lists(members, max_size=3))
@examples(20)
def test_it_goes_on_from_what_was_kept(times: list[list[Member]]):
    hindsight = Hindsight()
    for i, found in enumerate(times):
        hindsight.judge(day(i), [matured(found)])

    again = Hindsight.from_builtins(hindsight.to_builtins())

    assert again.to_builtins() == hindsight.to_builtins()
    assert again.warned.calls == hindsight.warned.calls
