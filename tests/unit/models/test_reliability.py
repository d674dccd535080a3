from __future__ import annotations

import numpy as np
import pytest

from models.progressive import NO_COUNTS, ScoreCounts
from models.reliability import calibration


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
