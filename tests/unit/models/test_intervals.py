from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from models.intervals import Interval, difference, wilson
from tests.examples import examples

proportions = st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(proportions)
@examples(60)
def test_a_rate_has_wilsons_interval(proportion: tuple[int, int]):
    part, whole = proportion
    expected = binomtest(part, whole).proportion_ci(0.95, method="wilson")
    found = wilson(part, whole)

    assert found.value == part / whole
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.covers(found.value)


def test_labels_that_repeat_each_other_widen_the_interval_and_leave_the_rate():
    once, repeated = wilson(30, 100), wilson(300, 1000, design_effect=10)

    assert (repeated.value, repeated.low, repeated.high) == pytest.approx((once.value, once.low, once.high))


def test_the_difference_of_two_rates_is_newcombes_published_example():
    """Newcombe 1998, table II (a): 56/70 against 48/80, method 10."""
    found = difference(wilson(56, 70), wilson(48, 80))

    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("part", "whole", "effect"), [(0, 0, 1), (2, 1, 1), (-1, 5, 1), (1, 2, 0.5), (1, 2, float("nan"))]
)
def test_what_is_no_proportion_is_refused(part: int, whole: int, effect: float):
    with pytest.raises(ValueError, match=r"proportion|effect"):
        wilson(part, whole, effect)


def test_an_interval_covers_its_ends_and_nothing_beyond():
    interval = Interval(0.5, 0.4, 0.6)

    assert [interval.covers(v) for v in (0.39, 0.4, 0.6, 0.61)] == [False, True, True, False]
