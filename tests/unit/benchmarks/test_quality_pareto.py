"""Pareto/NBD: the likelihood is the published one, and a fit finds what data were made with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln, hyp2f1

from benchmarks.quality.pareto import PRIOR, _with_gradient, fit, log_likelihood, probability_of_no_purchase
from features.returns import ReturnHistogram


def published(logs: np.ndarray, x: float, t_x: float, T: float) -> float:
    """Fader & Hardie, "A Note on Deriving the Pareto/NBD Model" (2005), equations 17 to 19."""
    r, alpha, s, beta = np.exp(logs)
    top, near = (alpha, s + 1) if alpha >= beta else (beta, r + x)
    k, gap = r + s + x, abs(alpha - beta)

    def term(t: float) -> float:
        return hyp2f1(k, near, k + 1, gap / (top + t)) / (top + t) ** k

    alive = 1 / ((alpha + T) ** (r + x) * (beta + T) ** s)
    left = s / k * (term(t_x) - term(T))
    return gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta) + np.log(alive + left)


@given(
    st.integers(0, 8),
    st.floats(0, 1),
    st.floats(1, 500),
    st.tuples(*[st.floats(-0.7, 0.7)] * 4),
)
def test_the_likelihood_is_the_published_one(x: int, share: float, T: float, moved: tuple[float, ...]):
    t_x = share * T if x else 0.0
    logs = PRIOR + moved

    found = log_likelihood(logs, *(np.array([float(v)]) for v in (x, t_x, T)))[0]

    assert found == pytest.approx(published(logs, x, t_x, T), rel=1e-7, abs=1e-6)


def test_the_gradient_is_that_of_the_likelihood():
    x, t_x, T = np.array([0.0, 1, 5, 200]), np.array([0.0, 30, 100, 150]), np.array([90.0, 90, 101, 150])

    _, gradient = _with_gradient(PRIOR, x, t_x, T)

    for i in range(4):
        step = np.eye(4)[i] * 1e-5
        up, down = (log_likelihood(PRIOR + d, x, t_x, T) for d in (step, -step))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5)


def test_hundreds_of_purchases_are_no_harder_than_a_few():
    x, t_x, T = (np.array([v] * 2) for v in (400.0, 300.0, 300.5))
    T[1] = 365

    p = probability_of_no_purchase(PRIOR, x, t_x, T, 14)

    assert 0 < p[0] < 0.1
    assert p[1] > 0.99


def test_silence_makes_a_return_less_likely_and_so_does_a_longer_horizon():
    x, t_x = np.full(6, 4.0), np.full(6, 100.0)
    T = np.array([100.0, 120, 150, 200, 300, 500])

    soon, late = (probability_of_no_purchase(PRIOR, x, t_x, T, days) for days in (7, 60))

    assert (np.diff(soon) > 0).all()
    assert (soon > late).all()


def test_a_fit_finds_the_parameters_that_the_customers_were_made_with():
    rng = np.random.default_rng(5)
    n, truth = 4_000, np.log([0.8, 20.0, 0.6, 40.0])
    rate = rng.gamma(0.8, 1 / 20, n)
    life = rng.exponential(1 / rng.gamma(0.6, 1 / 40, n))
    T = rng.integers(200, 400, n).astype(float)
    seen = np.minimum(life, T)
    x = rng.poisson(rate * seen).astype(float)
    # The last of x uniform times is the maximum of them.
    t_x = np.where(x > 0, seen * rng.random(n) ** (1 / np.maximum(x, 1)), 0)

    found = fit(ReturnHistogram.from_arrays(x, t_x, T))

    assert found[:2] == pytest.approx(truth[:2], abs=0.2)
    p_truth, p_found = (probability_of_no_purchase(logs, x, t_x, T, 60) for logs in (truth, found))
    assert np.abs(p_truth - p_found).mean() < 0.02
