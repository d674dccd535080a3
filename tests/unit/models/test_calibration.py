from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from models.calibration import Calibrator
from models.learners import SecondOrder
from models.pool import Pool
from models.progressive import ScoreCounts

HORIZON = 60


def issued(n: int, seed: int, *, slope: float = 1.0, intercept: float = 0.0) -> ScoreCounts:
    """Labels that follow slope · log-odds + intercept of the probabilities that were issued."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(scale=1.5, size=n)
    return ScoreCounts.of(expit(log_odds), rng.random(n) < expit(slope * log_odds + intercept))


def taught(*counts: ScoreCounts) -> Calibrator:
    calibrator = Calibrator("pool", HORIZON)
    for each in counts:
        calibrator.learn(each)
    return calibrator


def test_before_the_first_label_it_changes_nothing():
    calibrator = Calibrator("pool", HORIZON)

    assert (calibrator.slope, calibrator.intercept) == (1.0, 0.0)


def test_forecasts_that_are_right_are_left_alone():
    calibrator = taught(*(issued(20_000, seed) for seed in range(5)))

    assert calibrator.slope == pytest.approx(1, abs=0.05)
    assert calibrator.intercept == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("slope", "intercept"), [(0.6, 0.0), (1.4, -0.3), (1.0, 0.5)])
def test_what_is_too_bold_too_timid_or_too_high_is_learned(slope: float, intercept: float):
    calibrator = taught(*(issued(20_000, seed, slope=slope, intercept=intercept) for seed in range(5)))

    assert calibrator.slope == pytest.approx(slope, abs=0.08)
    assert calibrator.intercept == pytest.approx(intercept, abs=0.08)


def test_a_few_labels_move_it_little():
    calibrator = taught(issued(20, 0, slope=-1.0, intercept=2.0))

    assert abs(calibrator.intercept) < 0.2


def test_after_a_long_silence_new_labels_count_for_more_than_old_ones():
    old, new = issued(50_000, 0, intercept=0.6), issued(5_000, 1, intercept=-0.6)
    remembers, forgets = taught(old), taught(old)
    forgets.forget(days=5 * HORIZON)
    for calibrator in (remembers, forgets):
        calibrator.learn(new)

    assert forgets.intercept < 0 < remembers.intercept


def test_without_new_labels_it_gives_way_to_the_forecast_as_it_is():
    """As after a shock: a line that fell would turn every ranking round for as long as it is believed."""
    calibrator = taught(issued(50_000, 0, slope=-0.5, intercept=2.0))
    assert calibrator.slope < 0

    calibrator.forget(days=20 * HORIZON)

    assert calibrator.slope == pytest.approx(1, abs=0.01)
    assert calibrator.intercept == pytest.approx(0, abs=0.01)


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_forgetting_twice_is_forgetting_once_for_as_long(one: float, other: float):
    steps, leap = taught(issued(300, 0, slope=0.5)), taught(issued(300, 0, slope=0.5))
    steps.forget(one)
    steps.forget(other)
    leap.forget(one + other)
    for calibrator in (steps, leap):
        calibrator.learn(issued(300, 1))

    assert steps.slope == pytest.approx(leap.slope, abs=1e-6)
    assert steps.intercept == pytest.approx(leap.intercept, abs=1e-6)


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_certain_forecasts_and_labels_of_one_kind_leave_it_finite(churned: list[bool]):
    calibrator = taught(
        ScoreCounts.of(np.where(churned, 0.0, 1.0), churned), ScoreCounts.of(churned, churned)
    )

    assert np.isfinite([calibrator.slope, calibrator.intercept]).all()


def test_it_never_ends_worse_than_it_began_however_wrong_the_forecasts_were():
    upside_down = issued(50_000, 0, slope=-4.0, intercept=3.0)
    calibrator = taught(upside_down)

    assert corrected(calibrator, upside_down) < corrected(Calibrator("pool", HORIZON), upside_down)


def corrected(calibrator: Calibrator, counts: ScoreCounts) -> float:
    """Log loss of the corrected forecasts."""
    log_odds = np.log(counts.probabilities) - np.log1p(-counts.probabilities)
    p = expit(calibrator.slope * log_odds + calibrator.intercept)
    return float(-(counts.positives * np.log(p) + counts.negatives * np.log1p(-p)).sum())


def test_how_labels_are_split_into_partitions_changes_nothing():
    one, other = issued(300, 0), issued(200, 1)

    whole, again = taught(one.merge(other)), taught(other.merge(one))

    assert (whole.slope, whole.intercept) == (again.slope, again.intercept)


def test_a_restored_one_goes_on_as_if_nothing_had_happened():
    one, other = taught(issued(500, 0, slope=0.5)), Calibrator("pool", HORIZON)
    one.forget(7.0)
    other.restore(one.state())
    for calibrator in (one, other):
        calibrator.learn(issued(500, 1))

    assert (one.slope, one.intercept) == (other.slope, other.intercept)


def test_its_scorer_is_the_pool_with_another_slope_and_intercept():
    columns = ("a", "no_purchase_logit")
    member = SecondOrder(columns).scorer()
    pool = Pool(("one",)).scorer({"one": member})
    X = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    calibrator = taught(issued(5_000, 0, slope=0.5, intercept=0.4))

    expected = expit(calibrator.intercept + calibrator.slope * pool.log_odds(X))

    assert calibrator.scorer(pool).probabilities(X) == pytest.approx(expected, abs=1e-12)
