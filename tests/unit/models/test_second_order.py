"""What second-order learners promise besides what every learner does (test_learners.py)."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.special import expit

from models.learners import Additive, SecondOrder, StateMismatchError

COLUMNS = ("x", "no_purchase_logit")


def rows(n: int, seed: int = 0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    X[:, 1] *= 0.5
    return X


def labels(log_odds: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(len(log_odds)) < expit(log_odds)


def log_loss(p: np.ndarray, y: np.ndarray) -> float:
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


def test_it_needs_a_tenth_of_the_labels_to_find_the_weights():
    """One pass over a thousand labels finds what maximum likelihood would."""
    X = rows(1_000)
    learner = SecondOrder(COLUMNS, prior_variance=10.0, evidence=1.0)
    learner.learn_many(X, labels(1.5 * X[:, 0] + X[:, 1] - 0.5))

    scorer = learner.scorer()
    assert scorer.weights == pytest.approx((1.5, 1.0), abs=0.25)
    assert scorer.intercept == pytest.approx(-0.5, abs=0.25)


def test_bends_find_what_no_line_can_say():
    X = rows(6_000)
    truth = 2 * np.abs(X[:, 0]) - 1.5 + X[:, 1]
    y = labels(truth)
    straight, bent = SecondOrder(COLUMNS, evidence=1.0), Additive(COLUMNS)
    for learner in (straight, bent):
        learner.learn_many(X, y)
    fresh = rows(4_000, seed=2)
    later = labels(2 * np.abs(fresh[:, 0]) - 1.5 + fresh[:, 1], seed=3)

    losses = [log_loss(learner.scorer().probabilities(fresh), later) for learner in (straight, bent)]

    assert losses[1] < losses[0] - 0.08


def test_little_evidence_and_a_tight_prior_move_it_less():
    X = rows(100)
    y = labels(3 * X[:, 0] + X[:, 1])

    def moved(**settings: float) -> float:
        learner = SecondOrder(COLUMNS, **settings)
        learner.learn_many(X, y)
        return abs(learner.scorer().weights[0])

    assert moved(evidence=1.0) > moved(evidence=0.1) > 0
    assert moved(prior_variance=0.1) > moved(prior_variance=0.001) > 0


def test_what_is_forgotten_is_learned_anew_faster():
    old, new = rows(3_000), rows(300, seed=5)
    remembers, forgets = (Additive(COLUMNS, memory_days=days) for days in (None, 100.0))
    for learner in (remembers, forgets):
        learner.learn_many(old, labels(2 * old[:, 0] + old[:, 1]))
        learner.forget(days=200)
        learner.learn_many(new, labels(-2 * new[:, 0] + new[:, 1]))
    fresh = rows(3_000, seed=6)
    later = labels(-2 * fresh[:, 0] + fresh[:, 1], seed=7)

    losses = [log_loss(learner.scorer().probabilities(fresh), later) for learner in (remembers, forgets)]

    assert losses[1] < losses[0] - 0.05


def test_forgetting_never_knows_less_than_the_prior():
    """Else a column that says nothing for years would make its first word count for everything."""
    learner = Additive(COLUMNS)
    learner.learn_many(rows(200), labels(rows(200)[:, 1]))
    for _ in range(50):
        learner.forget(days=365)
    fresh = Additive(COLUMNS)

    assert (learner._covariance.diagonal() <= fresh._covariance.diagonal() * (1 + 1e-9)).all()
    assert np.linalg.eigvalsh(np.tril(learner._covariance) + np.tril(learner._covariance, -1).T).min() > 0


def test_a_covariance_that_was_tampered_with_is_refused():
    learner = Additive(COLUMNS)
    kept = msgspec.json.decode(learner.state())
    for broken in ({"covariance": "AAAA"}, {"covariance": "no base64!"}, {"weights": [0.0]}):
        with pytest.raises(StateMismatchError):
            learner.restore(msgspec.json.encode(kept | broken))


@pytest.mark.parametrize(
    "bad", [{"evidence": 0.0}, {"evidence": 2.0}, {"prior_variance": 0.0}, {"memory_days": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(bad: dict[str, float]):
    with pytest.raises(ValueError, match="must be positive"):
        SecondOrder(COLUMNS, **bad)
