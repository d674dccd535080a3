from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.episodes import TIERS, Thresholds
from models.progressive import NO_COUNTS, ScoreCounts
from models.reliability import by_tier, calibration
from tests.examples import examples

THRESHOLDS = Thresholds(medium=0.3, high=0.6, critical=0.9)
issued = st.sampled_from([0.0, 0.1, 0.299999, 0.3, 0.5, 0.6, 0.75, 0.9, 0.95, 1.0])


@given(st.lists(st.tuples(issued, st.booleans()), max_size=60))
@examples(40)
def test_each_customer_is_judged_in_the_tier_that_was_issued(pairs: list[tuple[float, bool]]):
    p, y = np.array([p for p, _ in pairs]), np.array([y for _, y in pairs], bool)
    found = by_tier(ScoreCounts.of(p, y), THRESHOLDS)
    tiers = THRESHOLDS.tiers(p)

    assert tuple(found) == TIERS
    for i, tier in enumerate(TIERS):
        inside, measured = tiers == i, found[tier]
        if measured is None:
            assert not inside.any()
            continue
        assert measured.labels == inside.sum()
        assert measured.forecast == pytest.approx(p[inside].mean(), abs=1e-12)
        assert measured.churn_rate.value == pytest.approx(y[inside].mean(), abs=1e-12)


def test_a_forecast_holds_unless_the_outcomes_rule_it_out():
    rng = np.random.default_rng(5)
    p = rng.uniform(0.9, 1, 4_000)
    y = rng.random(4_000) < p

    honest = calibration(ScoreCounts.of(p, y))
    too_calm = calibration(ScoreCounts.of(p - 0.1, y))
    assert honest is not None
    assert too_calm is not None
    assert (honest.holds, too_calm.holds) == (True, False)
    assert too_calm.gap == pytest.approx(honest.gap - 0.1)


def test_customers_judged_again_and_again_rule_out_less():
    counts = ScoreCounts.of([0.5] * 1000, [True] * 540 + [False] * 460)
    independent, repeated = calibration(counts), calibration(counts, design_effect=10)
    assert independent is not None
    assert repeated is not None

    assert (independent.holds, repeated.holds) == (False, True)


def test_without_labels_there_is_no_calibration():
    assert calibration(NO_COUNTS) is None
