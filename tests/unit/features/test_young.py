"""Of a shop seen for a short time nothing is certain, whatever BG/NBD fits; of an old one it speaks."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.returns import PRIOR, UNSEEN, ReturnHistogram, ReturnModel, fit
from features.young import Experience

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

HORIZON = 60
#: Customers who buy every so many days until they leave, which they do after each order with a probability.
Rhythm = tuple[int, float]


def regular(*rhythms: Rhythm, days: int, seed: int) -> list[list[int]]:
    """Days of purchase of 300 customers who begin at any time, each with one of the `rhythms`."""
    draw = random.Random(seed)
    customers = []
    for number in range(300):
        gap, leave = rhythms[number % len(rhythms)]
        bought = [draw.randrange(days)]
        while bought[-1] + gap < days and draw.random() >= leave:
            bought.append(bought[-1] + gap)
        customers.append(bought)
    return customers


def at_once(gap: int, leave: float, *, within: int, seed: int) -> list[list[int]]:
    """Days of purchase of 300 customers with one rhythm who all begin within so many days."""
    draw = random.Random(seed)
    customers = []
    for _ in range(300):
        bought = [draw.randrange(within)]
        while bought[-1] < 200 and draw.random() >= leave:
            bought.append(bought[-1] + gap)
        customers.append(bought)
    return customers


def irregular(*rhythms: Rhythm, days: int, seed: int) -> list[list[int]]:
    """The same, with exponential gaps of that mean."""
    draw = random.Random(seed)
    customers = []
    for number in range(300):
        gap, leave = rhythms[number % len(rhythms)]
        bought = [draw.randrange(days)]
        while bought[-1] < days and draw.random() >= leave:
            bought.append(bought[-1] + 1 + int(draw.expovariate(1 / gap)))
        customers.append([day for day in bought if day < days])
    return customers


def known(customers: list[list[int]], today: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """x, t_x, T (3, n) of who bought before `today`, and who of them does not within the horizon."""
    before = [[day for day in bought if day < today] for bought in customers]
    rows = [(len(b) - 1, b[-1] - b[0], today - 1 - b[0]) for b in before if b]
    churned = [
        not any(today <= day < today + HORIZON for day in bought)
        for bought, b in zip(customers, before, strict=True)
        if b
    ]
    return np.array(rows, np.float64).T, np.array(churned)


SHOPS: dict[str, Callable[[int], list[list[int]]]] = {
    "weekly": lambda seed: regular((7, 0.0), days=200, seed=seed),
    "fortnightly": lambda seed: regular((14, 0.05), days=200, seed=seed),
    "monthly": lambda seed: regular((30, 0.03), days=200, seed=seed),
    "every two months": lambda seed: regular((60, 0.03), days=300, seed=seed),
    "weekly and monthly": lambda seed: regular((7, 0.02), (30, 0.03), days=200, seed=seed),
    "monthly, all in one week": lambda seed: at_once(30, 0.03, within=7, seed=seed),
    "monthly, all in three days, one in ten leaves": lambda seed: at_once(30, 0.1, within=3, seed=seed),
    "any gap": lambda seed: irregular((5, 0.02), (10, 0.1), (20, 0.3), (40, 0.1), days=200, seed=seed),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shop", SHOPS)
def test_before_the_first_label_no_forecast_is_worse_than_one_in_two(shop: str, seed: int):
    """Weekly buyers who never leave were called 98 % lost in their second week, the monthly box 96 %."""
    customers, model = SHOPS[shop](seed), UNSEEN
    for today in range(7, HORIZON + 7, 7):
        seen, churned = known(customers, today)
        model = fit(ReturnHistogram.from_arrays(*seen), model)
        p = np.clip(model.probability_of_no_purchase(*seen, HORIZON), 1e-6, 1 - 1e-6)
        lost = -np.log(np.where(churned, p, 1 - p))

        assert lost.mean() <= np.log(2) + 2 * lost.std() / np.sqrt(len(lost)) + 1e-9


def test_of_a_shop_that_was_not_seen_one_in_two_is_said_of_everybody():
    p = UNSEEN.probability_of_no_purchase([0, 3, 9], [0, 20, 30], [0, 21, 90], HORIZON)

    assert p.tolist() == [0.5] * 3


def test_of_an_old_shop_bg_nbd_speaks_as_it_is_to_the_last_bit():
    x, t_x, T = np.array([0.0, 1, 5, 40]), np.array([0.0, 30, 80, 400]), np.array([700.0, 90, 85, 700])
    model = fit(ReturnHistogram.from_arrays(x, t_x, T))

    assert model.experience.seen_days > 4 * HORIZON
    assert (
        model.probability_of_no_purchase(x, t_x, T, HORIZON).tolist()
        == model.untempered(x, t_x, T, HORIZON).tolist()
    )


def test_a_single_old_customer_makes_no_shop_old():
    """As the order by which somebody tried the shop out, months before it opened."""
    x, t_x, T = np.zeros(100), np.zeros(100), np.array([400.0, *range(1, 100)]) / 10

    assert Experience.of(np.ones(100), x, t_x, T).seen_days < 10


def test_a_rhythm_is_told_from_exponential_gaps():
    def evidence(customers: list[list[int]]) -> float:
        seen, _ = known(customers, 80)
        return fit(ReturnHistogram.from_arrays(*seen)).experience.evidence

    assert evidence(regular((7, 0.0), (30, 0.0), days=100, seed=0)) < -10
    assert evidence(irregular((20, 0.3), days=100, seed=0)) > 10


chance = st.floats(0, 1)
days = st.floats(0, 1000)


experiences = st.builds(Experience, days, st.floats(-1e5, 1e5), days)


@given(chance, st.integers(0, 50), days, days, st.integers(1, 365), experiences)
def test_no_experience_turns_a_forecast_round_or_makes_it_surer(
    p: float, x: int, t_x: float, since: float, horizon: int, experience: Experience
):
    told = np.array([float(x)]), np.array([t_x]), np.array([t_x + since])
    (found,) = experience.tempered(np.array([p]), *told, horizon).tolist()

    assert min(p, 0.5) - 1e-12 <= found <= max(p, 0.5) + 1e-12


@given(chance, chance, st.integers(0, 3), experiences)
def test_of_two_of_one_rhythm_the_likelier_gone_stays_so(p: float, q: float, x: int, experience: Experience):
    told = np.full(2, float(x)), np.full(2, 7.0 * x), np.full(2, 50.0)
    found = experience.tempered(np.array([p, q]), *told, HORIZON)

    assert (found[0] - found[1]) * (p - q) >= 0


@given(st.permutations(range(40)), st.integers(0, 40))
def test_partitions_change_nothing(order: list[int], cut: int):
    rng = np.random.default_rng(1)
    T = rng.integers(5, 60, 40)
    t_x = (T * rng.random(40)).astype(int)
    told = np.stack((rng.integers(0, 5, 40) * (t_x > 0), t_x, T))
    parts = [ReturnHistogram.from_arrays(*told[:, chosen]) for chosen in (order[:cut], order[cut:])]

    whole = ReturnHistogram.from_arrays(*told)
    assert fit(ReturnHistogram.merge(parts)).experience == fit(whole).experience


def test_nonsense_is_refused():
    for nonsense in ((-1.0, 0.0), (np.inf, 0.0), (1.0, np.nan), (1.0, 0.0, -1.0), (1.0, 0.0, np.inf)):
        with pytest.raises(ValueError, match="finite"):
            Experience(*nonsense)


def test_who_ordered_once_is_not_expected_back_when_the_usual_gap_is_over():
    """In BG/NBD nobody leaves before a second order, so the few who did not come back were to return late."""
    x, t_x, T = np.array([0.0] * 10 + [1.0] * 290), np.array([0.0] * 10 + [30.0] * 290), np.full(300, 40.0)
    model = fit(ReturnHistogram.from_arrays(x, t_x, T))
    before, after = model.probability_of_no_purchase([0, 0], [0, 0], [20, 40], HORIZON)

    assert model.experience.gap_days == pytest.approx(30)
    assert model.untempered(0, 0, 40, HORIZON) < 0.2
    assert before < 0.5 == pytest.approx(after)


def test_a_version_of_an_older_release_is_of_a_shop_long_known():
    assert ReturnModel(PRIOR.r, PRIOR.alpha, PRIOR.a, PRIOR.b).experience == Experience()
