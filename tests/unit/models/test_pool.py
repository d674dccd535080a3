from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from models.learners import SecondOrder
from models.pool import SHARE, Pool
from models.progressive import ScoreCounts
from models.scorers import LinearScorer, PoolScorer

COLUMNS = ("a", "no_purchase_logit")
MEMBERS = ("bold", "timid", "fool")
#: The most that one of them can weigh: a share is handed out evenly each time.
MOST = 1 - SHARE * 2 / 3


def judged(n: int = 400, seed: int = 0) -> dict[str, ScoreCounts]:
    """Three forecasts of the same labels: a good one, a careful one, and one that is wrong."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(scale=2, size=n)
    churned = rng.random(n) < expit(log_odds)
    issued = {"bold": log_odds, "timid": log_odds / 3, "fool": -log_odds}
    return {name: ScoreCounts.of(expit(each), churned) for name, each in issued.items()}


def linear(*weights: float, intercept: float = 0.1) -> LinearScorer:
    return LinearScorer(
        columns=COLUMNS, intercept=intercept, weights=weights, mean=(0.5, 0.0), scale=(2.0, 1.0)
    )


def test_before_the_first_label_all_members_count_alike():
    assert Pool(MEMBERS).weights == pytest.approx(dict.fromkeys(MEMBERS, 1 / 3))


def test_the_better_forecast_gains_weight_and_nobody_is_written_off():
    pool = Pool(MEMBERS)
    for n in range(5):
        pool.learn(judged(seed=n))

    weights = pool.weights
    assert weights["bold"] > 0.9 * MOST > weights["timid"] > weights["fool"]
    assert weights["fool"] >= SHARE / 3
    assert sum(weights.values()) == pytest.approx(1)


def test_who_turns_out_better_later_is_followed_within_a_few_decision_times():
    pool = Pool(MEMBERS)
    for n in range(50):
        pool.learn(judged(seed=n))
    swapped = {"bold": "fool", "timid": "timid", "fool": "bold"}
    for n in range(6):
        pool.learn({swapped[name]: counts for name, counts in judged(seed=n).items()})

    assert pool.weights["fool"] > 0.9 * MOST


def test_nothing_is_learned_where_a_member_was_not_asked_or_judged_others():
    pool = Pool(MEMBERS)
    whole = judged()
    pool.learn({name: whole[name] for name in ("bold", "fool")})
    pool.learn(whole | {"fool": judged(n=7)["fool"]})

    assert pool.weights == Pool(MEMBERS).weights


@given(st.lists(st.integers(0, 50), max_size=8))
def test_a_restored_pool_is_the_same_to_the_bit(seeds: list[int]):
    one, other = Pool(MEMBERS), Pool(MEMBERS)
    for seed in seeds:
        one.learn(judged(30, seed))
    other.restore(one.state())

    assert other.weights == one.weights


def test_a_state_of_other_members_is_refused():
    with pytest.raises(ValueError, match="the pool was of"):
        Pool(MEMBERS).restore(Pool(MEMBERS[::-1]).state())


class TestScorer:
    def test_it_averages_log_odds_by_weight(self):
        X = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
        members = {"one": linear(1.0, 0.3), "other": linear(-0.5, 2.0, intercept=-1.0)}
        pool = PoolScorer(
            names=tuple(members),
            members=tuple(members.values()),
            weights=(0.25, 0.75),
            slope=0.8,
            intercept=0.3,
        )

        mean = 0.25 * logit(members["one"].probabilities(X)) + 0.75 * logit(members["other"].probabilities(X))

        assert pool.probabilities(X) == pytest.approx(expit(0.3 + 0.8 * mean), abs=1e-12)
        known = {name: member.log_odds(X) for name, member in members.items()}
        assert (pool.pooled(known) == pool.log_odds(X)).all()

    def test_its_reasons_add_up_exactly(self):
        X = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
        bent = SecondOrder(COLUMNS, knots=(-0.5, 0.5), evidence=1.0)
        bent.learn_many(X, X[:, 0] > 0)
        pool = Pool(("line", "curve")).scorer({"line": linear(1.0, 0.3), "curve": bent.scorer()})

        assert pool.bias + pool.contributions(X).sum(axis=1) == pytest.approx(pool.log_odds(X), abs=1e-9)

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"weights": (1.0,)}, "a name and a weight"),
            ({"names": (), "members": (), "weights": ()}, "a name and a weight"),
            ({"weights": (np.nan, 1.0)}, "finite"),
            ({"slope": np.inf}, "finite"),
        ],
    )
    def test_one_that_does_not_fit_together_is_never_built(self, changes: dict[str, object], why: str):
        fitting = {
            "names": ("a", "b"),
            "members": (linear(1.0, 0.0), linear(0.0, 1.0)),
            "weights": (0.5, 0.5),
        }

        with pytest.raises(ValueError, match=why):
            PoolScorer(**fitting | changes)
