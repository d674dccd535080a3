from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

from models.scorers import LinearScorer, NonFiniteError, Scorer, TreeScorer
from tests.examples import examples

LINEAR = LinearScorer(
    columns=("recency", "offset", "constant"),
    intercept=0.2,
    weights=(0.5, 1.0, 3.0),
    mean=(10.0, 0.4, 7.0),
    scale=(2.0, 1.5, 0.0),
    raw=frozenset({"offset"}),
)

#        recency ≤ 5 ?
#        ├─ yes: 10 of 40            (node 1)
#        └─ no: orders ≤ 2 ?         (node 2)
#               ├─ yes: 50 of 60     (node 3)
#               └─ no: 5 of 20       (node 4)
TREE = TreeScorer(
    columns=("recency", "orders", "offset"),
    feature=(0, -1, 1, -1, -1),
    threshold=(5.0, 0.0, 2.0, 0.0, 0.0),
    left=(1, 0, 3, 0, 0),
    right=(2, 0, 4, 0, 0),
    positives=(65.0, 10.0, 55.0, 50.0, 5.0),
    totals=(120.0, 40.0, 80.0, 60.0, 20.0),
    offset=2,
    prior_strength=10.0,
)

SCORERS = pytest.mark.parametrize("scorer", [LINEAR, TREE], ids=["linear", "tree"])
rows = arrays(np.float32, st.tuples(st.integers(0, 5), st.just(3)), elements=st.floats(-1e6, 1e6, width=32))


def changed(scorer: Scorer, **fields: object) -> Scorer:
    return msgspec.structs.replace(scorer, **fields)


def test_linear_log_odds_follow_the_formula() -> None:
    X = np.array([[12, 0.4, 7], [10, -1, 99], [1000, 0, 7], [10, 50, 7]], dtype=np.float32)

    p = LINEAR.probabilities(X)

    log_odds = [0.2 + 0.5 + 0.4, 0.2 - 1.0, 0.2 + 0.5 * 5, 0.2 + 20]
    assert logit(p) == pytest.approx(log_odds, abs=1e-6)


def test_a_tree_gives_the_smoothed_share_of_its_leaf() -> None:
    X = np.array([[5, 9, 0], [6, 2, 0], [5.1, 3, 100]], dtype=np.float32)

    p = TREE.probabilities(X)

    assert p == pytest.approx([15 / 50, 55 / 70, (5 + 10 * expit(20)) / 30])


def test_path_contributions_credit_the_columns_on_the_path() -> None:
    X = np.array([[6, 2, 0]], dtype=np.float32)
    base = 65.5 / 121
    root, inner, leaf = (logit((c + 10 * base) / (n + 10)) for c, n in ((65, 120), (55, 80), (50, 60)))

    shares = TREE.contributions(X)[0]

    assert shares == pytest.approx([inner - root, leaf - inner, logit(55 / 70) - leaf])


@SCORERS
@given(rows)
@examples(40)
def test_contributions_add_up_to_the_log_odds(scorer: Scorer, X: np.ndarray) -> None:
    log_odds = scorer.bias + scorer.contributions(X).sum(axis=1)

    assert scorer.probabilities(X) == pytest.approx(expit(log_odds), abs=1e-12)


@SCORERS
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 1025])
def test_a_row_is_scored_the_same_to_the_last_bit_wherever_it_stands(
    scorer: Scorer, n: int, order: Literal["C", "F"]
) -> None:
    X = np.random.default_rng(0).normal(6, 4, (5_000, 3)).astype(np.float32)

    few = scorer.probabilities(np.asarray(X[-n:], order=order))

    assert few.tobytes() == scorer.probabilities(X)[-n:].tobytes()


@SCORERS
def test_nobody_to_score_gives_no_scores(scorer: Scorer) -> None:
    empty = np.empty((0, 3), dtype=np.float32)

    assert scorer.probabilities(empty).shape == (0,)
    assert scorer.contributions(empty).shape == (0, 3)


@SCORERS
def test_rows_that_do_not_fit_the_columns_are_refused(scorer: Scorer) -> None:
    with pytest.raises(ValueError, match="3 columns"):
        scorer.probabilities(np.zeros((4, 2), dtype=np.float32))


@SCORERS
def test_a_scorer_survives_json(scorer: Scorer) -> None:
    assert msgspec.json.decode(msgspec.json.encode(scorer), type=Scorer) == scorer


def test_the_average_customer_has_no_contributions() -> None:
    assert LINEAR.contributions(np.array([LINEAR.mean], dtype=np.float32)) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("scorer", "field"),
    [(LINEAR, "weights"), (LINEAR, "mean"), (TREE, "threshold"), (TREE, "positives"), (TREE, "totals")],
)
def test_a_number_that_is_not_finite_makes_no_scorer(scorer: Scorer, field: str, bad: float) -> None:
    values = (bad, *getattr(scorer, field)[1:])

    with pytest.raises(NonFiniteError):
        changed(scorer, **{field: values})


@pytest.mark.parametrize("written", [b"NaN", b"1e999", b"null"])
def test_a_number_that_is_not_finite_is_refused_on_decoding(written: bytes) -> None:
    broken = msgspec.json.encode(LINEAR).replace(b'"intercept":0.2', b'"intercept":' + written)

    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(broken, type=Scorer)


@pytest.mark.parametrize(
    "fields",
    [
        {"left": (0, 0, 3, 0, 0)},
        {"right": (2, 0, 5, 0, 0)},
        {"feature": (3, -1, 1, -1, -1)},
        {"feature": (-2, -1, 1, -1, -1)},
        {"positives": (65.0, 41.0, 55.0, 50.0, 5.0)},
        {"totals": (120.0,)},
        {"prior_strength": 0.0},
        {"offset": 3},
    ],
    ids=str,
)
def test_a_broken_tree_cannot_exist(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"node|positives|tree|prior"):
        changed(TREE, **fields)


@pytest.mark.parametrize("fields", [{"weights": (1.0,)}, {"scale": (1.0, -1.0, 0.0)}, {"clip": 0.0}], ids=str)
def test_a_broken_linear_scorer_cannot_exist(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|need"):
        changed(LINEAR, **fields)
