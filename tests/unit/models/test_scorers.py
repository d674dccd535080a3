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

from models.scorers import (
    BoostedLeaves,
    CountedLeaves,
    EnsembleScorer,
    LinearScorer,
    NeuralScorer,
    NonFiniteError,
    Scorer,
    Trees,
    TreeScorer,
)
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

# The tree above, and one that is a single leaf.
TWO_TREES = Trees(
    feature=(*TREE.feature, -1),
    threshold=(*TREE.threshold, 0.0),
    left=(*TREE.left, 0),
    right=(*TREE.right, 0),
    roots=(0, 5),
)
FOREST = EnsembleScorer(
    columns=TREE.columns,
    offset=2,
    trees=TWO_TREES,
    leaves=CountedLeaves(positives=(*TREE.positives, 30.0), totals=(*TREE.totals, 90.0), prior_strength=10.0),
)
BOOSTED = EnsembleScorer(
    columns=TREE.columns,
    offset=2,
    trees=TWO_TREES,
    leaves=BoostedLeaves(values=(0.1, -0.3, 0.3, 0.7, -0.1, 0.02), reference=0.4),
)
NEURAL = NeuralScorer(
    columns=LINEAR.columns,
    mean=LINEAR.mean,
    scale=LINEAR.scale,
    raw=LINEAR.raw,
    offset=1,
    hidden=((1.0, 0.0, 9.0), (-0.5, 2.0, 0.0)),
    thresholds=(0.5, -1.0),
    output=(0.3, -0.7),
    intercept=0.2,
)

SCORERS = pytest.mark.parametrize(
    "scorer",
    [LINEAR, TREE, FOREST, BOOSTED, NEURAL],
    ids=["linear", "tree", "forest", "boosted", "neural"],
)
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


def test_a_forest_gives_the_mean_of_its_trees_log_odds() -> None:
    X = np.array([[5, 9, 0], [6, 2, 0]], dtype=np.float32)

    p = FOREST.probabilities(X)

    alone = logit(35 / 100)
    assert logit(p) == pytest.approx([(logit(15 / 50) + alone) / 2, (logit(55 / 70) + alone) / 2])


def test_a_tree_and_a_forest_of_it_alone_say_the_same() -> None:
    X = np.random.default_rng(1).normal(4, 3, (50, 3)).astype(np.float32)
    alone = EnsembleScorer(
        columns=TREE.columns,
        offset=TREE.offset,
        trees=Trees(feature=TREE.feature, threshold=TREE.threshold, left=TREE.left, right=TREE.right),
        leaves=CountedLeaves(positives=TREE.positives, totals=TREE.totals, prior_strength=10.0),
    )

    assert (alone.probabilities(X) == TREE.probabilities(X)).all()
    assert (alone.contributions(X) == TREE.contributions(X)).all()


def test_boosted_trees_add_up_and_correct_the_return_probability() -> None:
    X = np.array([[5, 9, 0], [6, 2, -1.5], [6, 3, 100]], dtype=np.float32)

    p = BOOSTED.probabilities(X)

    assert logit(p) == pytest.approx([-0.3 + 0.02, 0.7 + 0.02 - 1.5, -0.1 + 0.02 + 20], abs=1e-6)


def test_the_paths_of_boosted_trees_credit_the_columns_on_them() -> None:
    X = np.array([[6, 2, -1.5]], dtype=np.float32)

    assert BOOSTED.contributions(X)[0] == pytest.approx([0.3 - 0.1, 0.7 - 0.3, -1.5 - 0.4])
    assert BOOSTED.bias == pytest.approx(0.1 + 0.02 + 0.4)


def test_neural_log_odds_follow_the_formula() -> None:
    X = np.array([[12, 0.4, 7], [8, 2, 99]], dtype=np.float32)

    p = NEURAL.probabilities(X)

    # z = (1, 0.4, 0): units max(0, 1 + 0.5) and max(0, -0.5 + 0.8 - 1)
    # z = (-1, 2, 0):  units max(0, -1 + 0.5) and max(0, 0.5 + 4 - 1)
    assert logit(p) == pytest.approx([0.4 + 0.2 + 0.3 * 1.5, 2 + 0.2 - 0.7 * 3.5], abs=1e-6)


def test_neural_contributions_are_the_mean_over_both_orders_of_the_columns() -> None:
    X = np.array([[8, 2, 7]], dtype=np.float32)

    # The constant third column is 0 and does not matter: from (0, 0.4) to (-1, 2), first one, then the other.
    def value(z: float, offset: float) -> float:
        units = max(0.0, z + 0.5), max(0.0, -0.5 * z + 2 * offset - 1)
        return offset + 0.2 + 0.3 * units[0] - 0.7 * units[1]

    forward = value(-1, 0.4) - value(0, 0.4)
    reverse = value(-1, 2) - value(0, 2)
    whole = value(-1, 2) - value(0, 0.4)

    shares = NEURAL.contributions(X)[0]

    assert forward != pytest.approx(reverse)
    first = (forward + reverse) / 2
    assert shares == pytest.approx([first, whole - first, 0], abs=1e-6)


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


@pytest.mark.parametrize("scorer", [LINEAR, NEURAL], ids=["linear", "neural"])
def test_the_average_customer_has_no_contributions(scorer: LinearScorer | NeuralScorer) -> None:
    assert scorer.contributions(np.array([scorer.mean], dtype=np.float32)) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("scorer", "field"),
    [
        (LINEAR, "weights"),
        (LINEAR, "mean"),
        (TREE, "threshold"),
        (TREE, "positives"),
        (TREE, "totals"),
        (TWO_TREES, "threshold"),
        (NEURAL, "thresholds"),
        (NEURAL, "output"),
    ],
)
def test_a_number_that_is_not_finite_makes_no_scorer(scorer: Scorer, field: str, bad: float) -> None:
    values = (bad, *getattr(scorer, field)[1:])

    with pytest.raises(NonFiniteError):
        changed(scorer, **{field: values})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_leaves_and_weights_that_are_not_finite_make_no_scorer(bad: float) -> None:
    leaves = msgspec.structs.replace(BOOSTED.leaves, values=(bad, *BOOSTED.leaves.values[1:]))

    with pytest.raises(NonFiniteError):
        changed(BOOSTED, leaves=leaves)
    with pytest.raises(NonFiniteError):
        changed(NEURAL, hidden=((1.0, 0.0, bad), NEURAL.hidden[1]))


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


@pytest.mark.parametrize(
    "fields",
    [
        {"roots": ()},
        {"roots": (1, 5)},
        {"roots": (0, 6)},
        {"roots": (0, 5, 5)},
        {"roots": (0, 4)},  # the first tree's last leaf would be the second tree
        {"left": (1, 0, 5, 0, 0, 0)},
        {"feature": (-2, -1, 1, -1, -1, -1)},
        {"threshold": (5.0,)},
    ],
    ids=str,
)
def test_broken_trees_cannot_exist(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"node|tree|roots"):
        msgspec.structs.replace(TWO_TREES, **fields)


@pytest.mark.parametrize(
    ("scorer", "fields"),
    [
        (FOREST, {"offset": 3}),
        (FOREST, {"columns": ("offset",), "offset": 0}),
        (FOREST, {"leaves": CountedLeaves(positives=(1.0,), totals=(2.0,), prior_strength=1.0)}),
        (BOOSTED, {"leaves": BoostedLeaves(values=(1.0,), reference=0.0)}),
        (NEURAL, {"offset": 0}),
        (NEURAL, {"hidden": ()}),
        (NEURAL, {"hidden": ((1.0, 2.0), (3.0, 4.0))}),
        (NEURAL, {"output": (1.0,)}),
    ],
    ids=str,
)
def test_a_scorer_whose_parts_do_not_fit_cannot_exist(scorer: Scorer, fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"node|tree|network|hidden"):
        changed(scorer, **fields)
    broken = msgspec.to_builtins(scorer) | {k: msgspec.to_builtins(v) for k, v in fields.items()}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(broken, type=Scorer)


@pytest.mark.parametrize("fields", [{"weights": (1.0,)}, {"scale": (1.0, -1.0, 0.0)}, {"clip": 0.0}], ids=str)
def test_a_broken_linear_scorer_cannot_exist(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|need"):
        changed(LINEAR, **fields)
