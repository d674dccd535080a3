from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.special import beta, gamma, hyp2f1

from features.returns import PRIOR, ReturnHistogram, ReturnModel, _logs, _Sample, fit
from tests.examples import examples

#: Fader, Hardie & Lee 2005, table 2, with alpha turned from weeks to days.
PUBLISHED = ReturnModel(r=0.243, alpha=7 * 4.414, a=0.793, b=2.426)


def simulated(model: ReturnModel, customers: int, days: float, seed: int) -> tuple[np.ndarray, ...]:
    """(x, t_x, T, purchases in the 90 days after) drawn from the model's own story."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(model.r, 1 / model.alpha, customers)
    leaving = rng.beta(model.a, model.b, customers)
    x, t_x, later = (np.zeros(customers) for _ in range(3))
    alive, now = np.ones(customers, dtype=bool), np.zeros(customers)
    while alive.any():
        now = now + rng.exponential(1 / rate)
        alive &= now < days + 90
        before = alive & (now < days)
        x[before] += 1
        t_x[before] = now[before]
        later[alive & ~before] += 1
        alive &= rng.random(customers) >= leaving
    return x, t_x, np.full(customers, days), later


def likelihood(model: ReturnModel, x: int, t_x: float, T: float) -> float:
    """Equation (4) of the paper, word for word."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    stays = beta(a, b + x) / beta(a, b) * gamma(r + x) * alpha**r / gamma(r) / (alpha + T) ** (r + x)
    if x == 0:
        return float(stays)
    left = beta(a + 1, b + x - 1) / beta(a, b) * gamma(r + x) * alpha**r / gamma(r)
    return float(stays + left / (alpha + t_x) ** (r + x))


def test_the_log_likelihood_is_that_of_the_paper() -> None:
    customers = [(0, 0, 40), (1, 10, 40), (3, 30, 41), (7, 180, 200), (2, 3, 300)]
    x, t_x, T = np.array(customers).T

    loss, _ = _Sample(ReturnHistogram.from_arrays(x, t_x, T)).loss(_logs(PRIOR))

    assert loss == pytest.approx(-np.mean([math.log(likelihood(PRIOR, *c)) for c in customers]), rel=1e-12)


def test_the_gradient_is_that_of_the_likelihood() -> None:
    x, t_x, T, _ = simulated(PUBLISHED, 300, 200, seed=1)
    sample = _Sample(ReturnHistogram.from_arrays(x, t_x, T))

    for point in (PRIOR, ReturnModel(2.0, 10.0, 0.1, 5.0)):
        error = check_grad(lambda at: sample.loss(at)[0], lambda at: sample.loss(at)[1], _logs(point))
        assert error < 1e-6


def test_no_purchase_agrees_with_the_papers_expected_purchases_for_a_short_horizon() -> None:
    # equation (10): E(Y(h) | x, t_x, T); for small h, P(at least one) = E to first order in h
    x, t_x, T, h = 3.0, 30.0, 100.0, 1e-4
    r, alpha, a, b = PUBLISHED.r, PUBLISHED.alpha, PUBLISHED.a, PUBLISHED.b
    hyper = hyp2f1(r + x, b + x, a + b + x - 1, h / (alpha + T + h))
    expected = (a + b + x - 1) / (a - 1) * (1 - ((alpha + T) / (alpha + T + h)) ** (r + x) * hyper)
    expected /= 1 + a / (b + x - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x)

    p = PUBLISHED.probability_of_no_purchase(x, t_x, T, h)

    assert 1 - float(p) == pytest.approx(expected, rel=1e-3)


def test_the_probability_is_the_frequency_in_a_simulated_world() -> None:
    x, t_x, T, later = simulated(PUBLISHED, 60_000, 250, seed=2)

    p = PUBLISHED.probability_of_no_purchase(x, t_x, T, 90)

    for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, 0.9), (0.9, 1.0)):
        group = (p >= low) & (p < high)
        spread = 4 * math.sqrt(0.25 / group.sum())
        assert (later[group] == 0).mean() == pytest.approx(p[group].mean(), abs=spread)


def test_one_who_never_came_back_is_alive() -> None:
    p = PUBLISHED.probability_of_no_purchase(0, 0, 50, 90)

    alone = (PUBLISHED.alpha + 50) / (PUBLISHED.alpha + 140)
    assert float(p) == pytest.approx(alone**PUBLISHED.r)


numbers = st.floats(0, 1e6)
parameters = st.floats(1e-5, 1e5)


@given(st.builds(ReturnModel, parameters, parameters, parameters, parameters), numbers, numbers, numbers)
@examples(80)
def test_the_probability_is_finite_for_every_history(m: ReturnModel, x: float, t_x: float, T: float) -> None:
    p = float(m.probability_of_no_purchase(x, t_x, T, 90))
    logit = float(m.no_purchase_logit(x, t_x, T, 90))

    assert 0 <= p <= 1
    assert abs(logit) < 13.82


def test_silence_makes_no_purchase_more_likely() -> None:
    silence = np.arange(0, 700, 7)

    p = PUBLISHED.probability_of_no_purchase(5, 100, 100 + silence, 90)

    assert (np.diff(p) > 0).all()


def test_a_histogram_is_the_same_whatever_the_split_and_the_order() -> None:
    rng = np.random.default_rng(3)
    T = rng.integers(0, 800, 5_000)
    t_x = rng.integers(0, T + 1)
    x = np.where(t_x > 0, rng.geometric(0.02, 5_000), 0)
    whole = ReturnHistogram.from_arrays(x, t_x, T)
    owner = rng.integers(0, 7, 5_000)

    parts = [ReturnHistogram.from_arrays(x[owner == k], t_x[owner == k], T[owner == k]) for k in range(9)]
    merged = ReturnHistogram.merge(reversed(parts))

    assert merged.to_json() == whole.to_json()
    assert merged.customers == 5_000
    assert fit(merged) == fit(whole)


def test_a_histogram_survives_json() -> None:
    histogram = ReturnHistogram.from_arrays([0, 2, 900], [0, 5.5, 700], [3, 80, 720])

    kept = msgspec.json.decode(msgspec.json.encode(histogram.to_json()))

    assert ReturnHistogram.from_json(kept).to_json() == histogram.to_json()


def test_a_histogram_stays_small_for_frequent_buyers_of_all_kinds() -> None:
    x = np.unique(np.geomspace(1, 1_000_000, 20_000).astype(np.int64))

    histogram = ReturnHistogram.from_arrays(x, np.full(len(x), 300), np.full(len(x), 310))

    assert len(histogram.cells) < 150


@pytest.mark.parametrize("history", [([-1], [0], [5]), ([1], [-1], [5]), ([1], [6], [5])])
def test_an_impossible_history_is_refused(history: tuple[list[int], ...]) -> None:
    with pytest.raises(ValueError, match="must not"):
        ReturnHistogram.from_arrays(*history)


def test_fitting_finds_the_model_that_made_the_data() -> None:
    x, t_x, T, _ = simulated(PUBLISHED, 30_000, 270, seed=4)

    found = fit(ReturnHistogram.from_arrays(x, t_x, T))

    mine = found.probability_of_no_purchase(x, t_x, T, 90)
    true = PUBLISHED.probability_of_no_purchase(x, t_x, T, 90)
    assert np.abs(mine - true).max() < 0.02
    assert found.r == pytest.approx(PUBLISHED.r, rel=0.1)


def test_fitting_from_another_start_ends_at_the_same_model() -> None:
    x, t_x, T, _ = simulated(PUBLISHED, 3_000, 270, seed=5)
    histogram = ReturnHistogram.from_arrays(x, t_x, T)

    cold, warm = fit(histogram), fit(histogram, ReturnModel(1.0, 100.0, 0.3, 1.0))

    assert _logs(warm) == pytest.approx(_logs(cold), abs=0.01)


def test_weekly_cells_give_the_same_probabilities_as_exact_days(monkeypatch: pytest.MonkeyPatch) -> None:
    x, t_x, T, _ = simulated(PUBLISHED, 5_000, 270, seed=6)
    T = T - np.arange(len(T)) % 50
    t_x = np.minimum(t_x, T)
    weekly = fit(ReturnHistogram.from_arrays(x, t_x, T))
    monkeypatch.setattr("features.returns._CELL_DAYS", 1)
    daily = fit(ReturnHistogram.from_arrays(x, t_x, T))

    difference = [m.probability_of_no_purchase(x, t_x, T, 90) for m in (weekly, daily)]

    assert np.abs(difference[0] - difference[1]).max() < 0.002


@pytest.mark.parametrize(
    "history",
    [([], [], []), ([0], [0], [0]), ([0] * 500, [0] * 500, [90] * 500), ([400], [400], [400])],
    ids=["nobody", "one newcomer", "nobody came back", "one daily buyer"],
)
def test_too_little_data_still_gives_a_finite_model(history: tuple[list[int], ...]) -> None:
    found = fit(ReturnHistogram.from_arrays(*history))

    p = found.probability_of_no_purchase([0, 1, 50], [0, 10, 100], [5, 20, 120], 90)
    assert np.isfinite(_logs(found)).all()
    assert ((p > 0) & (p < 1)).all()


def test_without_customers_the_start_stands() -> None:
    start = ReturnModel(1.0, 2.0, 3.0, 4.0)

    assert fit(ReturnHistogram.from_arrays([], [], []), start) == start
    assert fit(ReturnHistogram.from_arrays([], [], [])) == PRIOR


@pytest.mark.parametrize("r", [0.0, -1.0, math.nan, math.inf])
def test_a_model_with_an_impossible_parameter_cannot_exist(r: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        ReturnModel(r, 1.0, 1.0, 1.0)
