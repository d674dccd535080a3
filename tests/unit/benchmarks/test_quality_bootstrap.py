"""The bootstrap of the quality comparison: our metrics, customers drawn whole, differences paired."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality.bootstrap import BINS, METRICS, Bootstrap, Estimate, Weighted, draws
from models.progressive import ScoreCounts


def sample(n: int, customers: int, seed: int = 1):
    """Probabilities with many ties, labels that follow them, and whose they are."""
    rng = np.random.default_rng(seed)
    p = rng.integers(1, 50, n) / 50
    return p, rng.random(n) < p, rng.integers(customers, size=n)


@given(st.integers(0, 10_000), st.integers(4, 60))
def test_with_weights_of_one_every_metric_is_that_of_the_product(seed: int, n: int):
    p, churned, customers = sample(n, 7, seed)
    churned[:2] = True, False
    customers[0] = 6
    counts = ScoreCounts.of(p, churned)

    found = Weighted(p, churned, customers).metrics(np.ones(7))

    expected = [counts.auc, counts.log_loss, counts.pr_auc, counts.brier, counts.ece(BINS)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_customer_of_weight_three_counts_like_three_customers():
    p, churned, customers = sample(200, 20)
    weights = np.random.default_rng(2).integers(0, 4, 20).astype(float)
    repeated = np.repeat(np.arange(200), weights[customers].astype(int))
    counts = ScoreCounts.of(p[repeated], churned[repeated])

    auc, log_loss, pr_auc, brier, _ = Weighted(p, churned, customers).metrics(weights)

    assert (auc, log_loss, pr_auc, brier) == pytest.approx(
        (counts.auc, counts.log_loss, counts.pr_auc, counts.brier)
    )


def test_each_draw_has_as_many_customers_as_there_are_and_the_seed_decides_which():
    first, again, other = (np.stack(list(draws(50, 30, seed))) for seed in (1, 1, 2))

    assert (first.sum(axis=1) == 50).all()
    assert (first == again).all()
    assert (first != other).any()
    assert (np.ptp(first, axis=0) > 0).all()


def test_a_model_does_not_differ_from_itself_in_any_draw():
    p, churned, users = sample(300, 30)
    found = Bootstrap({"a": p, "b": p}, churned, users.astype(np.uint64), 50)

    assert all(found.difference("a", "b", metric) == Estimate(0, 0, 0) for metric in METRICS)


def test_a_paired_difference_is_surer_than_the_figures_it_is_made_of():
    p, churned, users = sample(4_000, 200)
    near = np.clip(p + np.random.default_rng(3).normal(0, 0.02, len(p)), 0.01, 0.99)
    found = Bootstrap({"a": p, "b": near}, churned, users.astype(np.uint64), 100)

    delta, alone = found.difference("a", "b", "auc"), found.estimate("a", "auc")

    assert alone.low < alone.value < alone.high
    assert delta.high - delta.low < (alone.high - alone.low) / 3
    assert delta.value == pytest.approx(alone.value - found.estimate("b", "auc").value)


def test_rows_of_the_same_customers_are_not_taken_for_more_customers():
    p, churned, users = sample(1_000, 1_000)
    once = Bootstrap({"a": p}, churned, users.astype(np.uint64), 100)
    tenfold = Bootstrap(
        {"a": np.tile(p, 10)}, np.tile(churned, 10), np.tile(users, 10).astype(np.uint64), 100
    )

    assert tenfold.estimate("a", "auc") == pytest.approx(once.estimate("a", "auc"))
    assert tenfold.chance_ece["a"] == pytest.approx(once.chance_ece["a"])


def test_the_interval_takes_out_the_bias_of_the_draws():
    drawn = np.linspace(0.03, 0.05, 1_001)

    assert Estimate.of(0.03, drawn) == pytest.approx((0.03, 0.0105, 0.0295))


def test_chance_alone_explains_the_calibration_error_of_perfect_forecasts():
    rng = np.random.default_rng(4)
    p = rng.random(3_000)
    errors, chances = [], []
    for _ in range(40):
        churned = rng.random(3_000) < p
        errors.append(ScoreCounts.of(p, churned).ece(BINS))
        chances.append(Weighted(p, churned, np.arange(3_000)).chance_ece)

    assert np.mean(chances) == pytest.approx(np.mean(errors), rel=0.1)
