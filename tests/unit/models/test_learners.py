from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from scipy.special import expit, logit

from models.learners import (
    LEARNERS,
    AdaptiveRandomForest,
    Additive,
    Bagging,
    HoeffdingAdaptiveTree,
    HoeffdingTree,
    Learner,
    LightGbm,
    LinearSvm,
    Logistic,
    NeuralNetwork,
    ReturnProbability,
    SecondOrder,
    StateMismatchError,
)
from models.learners.scaling import Standardiser
from models.scorers import NonFiniteError, Scorer

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = ("recency", "orders", "no_purchase_logit", "constant", "treated", "money")

MAKERS: dict[str, Callable[[], Learner]] = {
    "sgd": lambda: Logistic(COLUMNS, treatment="treated", rate=0.01),
    "adagrad": lambda: Logistic(COLUMNS, treatment="treated", optimiser="adagrad", rate=0.05),
    "second_order": lambda: SecondOrder(COLUMNS, treatment="treated", evidence=1.0),
    "additive": lambda: Additive(COLUMNS, treatment="treated"),
    "ftrl": lambda: Logistic(COLUMNS, treatment="treated", optimiser="ftrl", rate=0.05),
    "linear_svm": lambda: LinearSvm(COLUMNS, treatment="treated", rate=0.01),
    "hoeffding_tree": lambda: HoeffdingTree(COLUMNS, grace_period=100, prior_strength=20),
    "hoeffding_tree on some columns": lambda: HoeffdingTree(
        COLUMNS, splits_on=("orders", "recency"), grace_period=50
    ),
    "hoeffding_adaptive_tree": lambda: HoeffdingAdaptiveTree(COLUMNS, grace_period=100, prior_strength=20),
    "adaptive_random_forest": lambda: AdaptiveRandomForest(
        COLUMNS, trees=2, resampling=2, grace_period=50, max_depth=2, prior_strength=20
    ),
    "bagging": lambda: Bagging(COLUMNS, trees=2, grace_period=50, max_depth=2, prior_strength=20),
    "neural_network": lambda: NeuralNetwork(COLUMNS, treatment="treated", rate=0.01),
    "lightgbm": lambda: LightGbm(COLUMNS, memory=1_000, refit_every=250, rounds=20),
}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS.keys())
def make(request: pytest.FixtureRequest) -> Callable[[], Learner]:
    maker: Callable[[], Learner] = request.param
    return maker


@pytest.fixture(scope="module", params=MAKERS.values(), ids=MAKERS.keys())
def experienced(request: pytest.FixtureRequest) -> Learner:
    """A learner of 5,000 labels, after which a tree has split; no test may teach it more."""
    learner: Learner = request.param()
    learner.learn_many(*customers(5_000))
    return learner


def customers(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which recency, orders and the return probability tell churn, and their labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, len(COLUMNS)))
    X[:, 0] = 40 + 9 * X[:, 0]
    X[:, 3] = 7.0
    X[:, 4] = rng.random(n) < 0.2
    log_odds = 0.1 * (X[:, 0] - 40) - np.abs(X[:, 1]) + X[:, 2] - 0.5 * X[:, 4]
    return X.astype(np.float32), rng.random(n) < expit(log_odds)


def as_dict(row: np.ndarray) -> dict[str, float]:
    return dict(zip(COLUMNS, row.tolist(), strict=True))


def issued(learner: Learner, X: np.ndarray) -> np.ndarray:
    return np.array([learner.predict_proba_one(as_dict(row))[True] for row in X])


def log_loss(p: np.ndarray, y: np.ndarray) -> float:
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


def test_before_the_first_label_the_return_probability_speaks(make: Callable[[], Learner]) -> None:
    X, _ = customers(50)
    learner = make()

    expected = expit(X[:, 2].astype(np.float64))

    assert issued(learner, X) == pytest.approx(expected, abs=1e-12)
    assert learner.scorer().probabilities(X) == pytest.approx(expected, abs=1e-12)
    assert learner.labels == 0


def test_probabilities_of_staying_and_churning_add_up(make: Callable[[], Learner]) -> None:
    X, y = customers(500)
    learner = make()
    learner.learn_many(X, y)

    proba = learner.predict_proba_one(as_dict(X[0]))

    assert proba.keys() == {False, True}
    assert proba[False] + proba[True] == pytest.approx(1)


def test_predicting_and_exporting_change_nothing(make: Callable[[], Learner]) -> None:
    X, y = customers(800)
    asked, silent = make(), make()
    for rows in (slice(0, 400), slice(400, 800)):
        asked.learn_many(X[rows], y[rows])
        silent.learn_many(X[rows], y[rows])
        issued(asked, X[:50])
        asked.scorer().probabilities(X)

    assert asked.scorer() == silent.scorer()


def test_learning_makes_the_probabilities_better(experienced: Learner) -> None:
    fresh, unseen = customers(5_000, seed=1)
    before = log_loss(expit(fresh[:, 2].astype(np.float64)), unseen)

    assert log_loss(experienced.scorer().probabilities(fresh), unseen) < before - 0.03
    assert experienced.labels == 5_000


def test_learning_many_equals_learning_one_by_one_however_sliced(
    make: Callable[[], Learner],
) -> None:
    X, y = customers(700)
    whole, sliced, single = make(), make(), make()
    whole.learn_many(X, y)
    for start, end in ((0, 1), (1, 1), (1, 300), (300, 700)):
        sliced.learn_many(X[start:end], y[start:end])
    for row, label in zip(X, y, strict=True):
        single.learn_one(as_dict(row), bool(label))

    assert whole.scorer() == sliced.scorer() == single.scorer()
    assert whole.labels == sliced.labels == single.labels == 700


def test_two_learners_given_the_same_labels_are_the_same(make: Callable[[], Learner]) -> None:
    X, y = customers(700)
    one, other = make(), make()
    one.learn_many(X, y)
    other.learn_many(X, y)

    assert one.scorer() == other.scorer()


def test_the_exported_scorer_agrees_with_rivers_own_prediction(experienced: Learner) -> None:
    far = customers(300, seed=2)[0] * np.float32(3)

    assert experienced.scorer().probabilities(far) == pytest.approx(issued(experienced, far), abs=1e-9)


def test_a_snapshot_does_not_move_when_learning_goes_on(make: Callable[[], Learner]) -> None:
    X, y = customers(2_000)
    learner = make()
    learner.learn_many(X[:1_000], y[:1_000])
    snapshot = learner.scorer()
    before = snapshot.probabilities(X)

    learner.learn_many(X[1_000:], y[1_000:])

    assert (snapshot.probabilities(X) == before).all()


@pytest.mark.parametrize("learned", [0, 1, 600])
def test_a_restored_learner_goes_on_as_if_nothing_had_happened(
    make: Callable[[], Learner], learned: int
) -> None:
    X, y = customers(1_200)
    learner, restored = make(), make()
    learner.learn_many(X[:learned], y[:learned])

    restored.restore(learner.state())

    assert restored.scorer() == learner.scorer()
    learner.learn_many(X[600:], y[600:])
    restored.learn_many(X[600:], y[600:])
    assert restored.scorer() == learner.scorer()
    assert restored.labels == learner.labels == learned + 600


def test_a_state_for_other_columns_is_refused(make: Callable[[], Learner]) -> None:
    learner = make()
    other = type(learner)(("no_purchase_logit",))

    with pytest.raises(StateMismatchError):
        learner.restore(other.state())


@pytest.mark.parametrize("size", [1e30, 1e38, -1e38, 1e-38, 0.0])
def test_extreme_values_leave_every_probability_finite(make: Callable[[], Learner], size: float) -> None:
    X, y = customers(1_000)
    X[300::7] = size
    learner = make()
    learner.learn_many(X, y)

    p = learner.scorer().probabilities(np.vstack((X, customers(100, seed=3)[0])))

    assert ((p >= 0) & (p <= 1)).all()


def test_labels_of_one_kind_only_leave_every_probability_finite(make: Callable[[], Learner]) -> None:
    X, _ = customers(1_000)
    learner = make()
    learner.learn_many(X, np.ones(1_000, dtype=bool))

    p = learner.scorer().probabilities(X)

    assert ((p > 0) & (p <= 1)).all()
    # LightGBM refuses to learn from one kind and leaves the return probability as it is.
    assert p.mean() > expit(X[:, 2]).mean() + (0 if isinstance(learner, LightGbm) else 0.1) - 1e-6


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_refused_and_nothing_is_learned(
    make: Callable[[], Learner], value: float
) -> None:
    X, y = customers(500)
    learner = make()
    learner.learn_many(X, y)
    before = learner.scorer()
    X[250, 1] = value

    with pytest.raises(NonFiniteError):
        learner.learn_many(X, y)

    assert learner.scorer() == before
    assert learner.labels == 500


def test_rows_of_another_width_are_refused(make: Callable[[], Learner]) -> None:
    X, y = customers(5)

    with pytest.raises(ValueError, match="columns"):
        make().learn_many(X[:, :3], y)


def test_unknown_names_are_ignored_and_missing_ones_are_an_error(make: Callable[[], Learner]) -> None:
    x = as_dict(customers(1)[0][0])
    learner = make()

    assert learner.predict_proba_one({**x, "emerging": 9.0}) == learner.predict_proba_one(x)
    del x["orders"]
    with pytest.raises(KeyError):
        learner.predict_proba_one(x)


def test_memory_is_bounded(experienced: Learner) -> None:
    # Less than the rows would take that it has learned from.
    assert len(experienced.state()) < 8 * 5_000 * len(COLUMNS)
    assert len(msgspec.json.encode(experienced.scorer())) < 40_000


def test_an_exported_scorer_survives_json(experienced: Learner) -> None:
    scorer = experienced.scorer()

    assert msgspec.json.decode(msgspec.json.encode(scorer), type=Scorer) == scorer


@pytest.mark.parametrize("kind", LEARNERS, ids=lambda kind: kind.name)
def test_columns_must_be_distinct_and_hold_the_offset(kind: type[Learner]) -> None:
    with pytest.raises(ValueError, match="offset"):
        kind(("a", "b"), offset="no_purchase_logit")
    with pytest.raises(ValueError, match="distinct"):
        kind(("no_purchase_logit", "a", "a"), offset="no_purchase_logit")


PORTABLE = (Additive, SecondOrder, ReturnProbability, Logistic, LinearSvm, NeuralNetwork)


@pytest.mark.parametrize("kind", PORTABLE, ids=lambda kind: kind.name)
def test_a_portable_state_is_json_and_no_pickle(kind: type[Learner]) -> None:
    learner = kind(COLUMNS)
    learner.learn_many(*customers(100))

    assert msgspec.json.decode(learner.state())["type"] == kind.name
    assert {each for each in LEARNERS if each.portable} == set(PORTABLE)


def test_a_logistic_state_that_is_not_one_is_refused() -> None:
    others = [Logistic(COLUMNS, optimiser="adagrad"), LinearSvm(COLUMNS), NeuralNetwork(COLUMNS)]
    for state in (b"{}", b"not json", pickle.dumps(1), *(other.state() for other in others)):
        with pytest.raises(StateMismatchError):
            Logistic(COLUMNS).restore(state)


@pytest.mark.parametrize(
    "kind",
    [Additive, SecondOrder, ReturnProbability, NeuralNetwork, LightGbm],
    ids=lambda kind: kind.name,
)
def test_a_state_that_is_none_is_refused(kind: type[Learner]) -> None:
    for state in (b"{}", b"nothing", pickle.dumps(1), Logistic(COLUMNS).state()):
        with pytest.raises(StateMismatchError):
            kind(COLUMNS).restore(state)


def test_a_tree_does_not_go_on_from_another_kind_of_tree() -> None:
    with pytest.raises(StateMismatchError):
        HoeffdingTree(COLUMNS).restore(HoeffdingAdaptiveTree(COLUMNS).state())


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
@pytest.mark.parametrize("kind", [Logistic, LinearSvm, NeuralNetwork], ids=lambda kind: kind.name)
def test_weights_that_diverge_are_refused_and_the_previous_ones_stay(
    kind: type[Logistic | LinearSvm | NeuralNetwork],
) -> None:
    X, y = customers(100)
    learner = kind(COLUMNS, rate=1e308)
    before = learner.scorer()

    with pytest.raises(NonFiniteError):
        learner.learn_many(X, y)

    assert learner.scorer() == before


def test_a_treatment_that_is_no_column_is_refused() -> None:
    with pytest.raises(ValueError, match="treatment"):
        Logistic(("no_purchase_logit",), treatment="treated")


def test_the_treatment_is_learned_unscaled_and_is_no_reason_when_absent() -> None:
    learner = Logistic(COLUMNS, treatment="treated", optimiser="adagrad", rate=0.1)
    learner.learn_many(*customers(10_000))
    scorer = learner.scorer()
    X, _ = customers(1)
    X[:, 4] = 0
    treated = X.copy()
    treated[:, 4] = 1

    assert scorer.contributions(X)[0, 4] == 0
    difference = logit(scorer.probabilities(treated)) - logit(scorer.probabilities(X))
    assert difference == pytest.approx(-0.5, abs=0.2)


def test_a_column_that_never_varies_says_nothing() -> None:
    learner = Logistic(COLUMNS, rate=0.05)
    learner.learn_many(*customers(1_000))
    X, _ = customers(10)
    other = X.copy()
    other[:, 3] = 1e9

    assert (learner.scorer().probabilities(other) == learner.scorer().probabilities(X)).all()


def test_running_moments_are_those_of_numpy() -> None:
    X = np.random.default_rng(5).normal(1e4, 3, (500, 4)).astype(np.float32)
    standardiser = Standardiser(4, clip=5)

    z = standardiser.learn(X)

    mean, scale = standardiser.mean_and_scale()
    assert mean == pytest.approx(X.astype(np.float64).mean(axis=0), rel=1e-12)
    assert scale == pytest.approx(X.astype(np.float64).std(axis=0), rel=1e-9)
    half = X[:250].astype(np.float64)
    assert z[249] == pytest.approx((half[-1] - half.mean(axis=0)) / half.std(axis=0), abs=1e-3)


def test_scores_beyond_the_clip_are_cut_off() -> None:
    standardiser = Standardiser(1, clip=5)
    standardiser.learn(np.array([[0], [1], [2], [3]], dtype=np.float32))

    z = standardiser.transform(np.array([[1e30], [-1e30], [1.5]], dtype=np.float32))

    assert z.ravel() == pytest.approx([5, -5, 0], abs=1e-6)


def test_a_tree_of_depth_two_has_at_most_four_leaves() -> None:
    learner = HoeffdingTree(COLUMNS, grace_period=50, max_depth=2)
    for seed in range(3):
        learner.learn_many(*customers(4_000, seed))

    leaves = sum(feature < 0 for feature in learner.scorer().feature)

    assert 2 <= leaves <= 4


def test_a_tree_splits_on_the_named_columns_only() -> None:
    learner = HoeffdingTree(COLUMNS, splits_on=("orders", "money"), grace_period=50)
    for seed in range(3):
        learner.learn_many(*customers(4_000, seed))

    used = {COLUMNS[feature] for feature in learner.scorer().feature if feature >= 0}

    assert used
    assert used <= {"orders", "money"}


def test_ftrl_begins_at_the_return_probability_and_is_pulled_back_to_it() -> None:
    X, y = customers(2_000)
    stiff = Logistic(COLUMNS, optimiser="ftrl", rate=1e-9, intercept_rate=0)
    loose = Logistic(COLUMNS, optimiser="ftrl", rate=0.1, intercept_rate=0)
    for learner in (stiff, loose):
        learner.learn_many(X, y)

    offset = COLUMNS.index("no_purchase_logit")
    assert stiff.scorer().weights == pytest.approx(np.eye(len(COLUMNS))[offset], abs=1e-4)
    assert abs(loose.scorer().weights[0]) > 0.1


def test_platt_scaling_learns_from_the_margin_before_the_label() -> None:
    X, y = customers(2)
    learner = LinearSvm(COLUMNS, rate=0.5, platt_rate=0.1)
    learner.learn_many(X[:1], y[:1])
    prior = float(expit(X[0, 2]))

    # Before its first label the margin is the return probability's logit, and so much was missing.
    assert learner._platt.intercept == pytest.approx(0.1 * (y[0] - prior))
    assert learner._linear.margin_one(dict.fromkeys(COLUMNS, 0.0)) != 0


def world(n: int, seed: int, *, turned: bool) -> tuple[np.ndarray, np.ndarray]:
    """Customers whose recency decides nine times of ten; `turned`, those churn who would have stayed."""
    X, _ = customers(n, seed)
    surprises = np.random.default_rng(seed).random(n) < 0.1
    return X, (X[:, 0] > 40) ^ surprises ^ turned


def test_an_svm_finds_the_order_of_customers_also_where_nearly_all_churn() -> None:
    X, y = customers(4_000)
    most = y | (np.random.default_rng(0).random(4_000) < 0.8)
    learner = LinearSvm(COLUMNS)
    learner.learn_many(X, most)

    p = learner.scorer().probabilities(X)

    thirds = [most[part].mean() for part in np.array_split(np.argsort(p), 3)]
    assert most.mean() > 0.85
    assert thirds[0] < thirds[1] < thirds[2]


def test_platt_scaling_makes_probabilities_of_margins() -> None:
    X, y = customers(5_000)
    rare = y & (np.random.default_rng(0).random(5_000) < 0.15)
    scaled, margins_alone = (LinearSvm(COLUMNS, rate=0.01, platt_rate=rate) for rate in (0.02, 0.0))
    for learner in (scaled, margins_alone):
        learner.learn_many(X, rare)

    # The margins are of a world in which as many churn as stay.
    assert margins_alone.scorer().probabilities(X).mean() > 0.3
    assert scaled.scorer().probabilities(X).mean() == pytest.approx(rare.mean(), abs=0.02)


@pytest.mark.parametrize("kind", [HoeffdingAdaptiveTree, AdaptiveRandomForest, Bagging])
def test_trees_that_adapt_forget_a_world_that_is_gone(
    kind: type[HoeffdingAdaptiveTree | AdaptiveRandomForest | Bagging],
) -> None:
    settings = {"splits_on": ("recency",), "grace_period": 50, "max_depth": 2, "prior_strength": 20}
    adaptive, plain = kind(COLUMNS, **settings), HoeffdingTree(COLUMNS, **settings)
    for learner in (adaptive, plain):
        learner.learn_many(*world(1_500, 0, turned=False))
        learner.learn_many(*world(1_500, 1, turned=True))
    X, y = world(1_000, 2, turned=True)

    losses = [log_loss(learner.scorer().probabilities(X), y) for learner in (adaptive, plain)]

    assert losses[0] < losses[1] - 0.1


@pytest.mark.parametrize("kind", [AdaptiveRandomForest, Bagging])
def test_a_forest_weighs_labels_and_prior_as_one_tree_does(
    kind: type[AdaptiveRandomForest | Bagging],
) -> None:
    X, y = customers(2_000)
    forest = kind(COLUMNS, trees=3, grace_period=10_000)
    tree = HoeffdingTree(COLUMNS, grace_period=10_000)
    for learner in (forest, tree):
        learner.learn_many(X, y)

    assert len(forest.scorer().trees.roots) == 3
    assert forest.scorer().probabilities(X) == pytest.approx(tree.scorer().probabilities(X), abs=0.02)


def test_a_network_learns_when_a_batch_is_full_and_keeps_what_waits() -> None:
    X, y = customers(64)
    learner = NeuralNetwork(COLUMNS, batch=32)
    learner.learn_many(X[:31], y[:31])
    waiting, restored = learner.scorer(), NeuralNetwork(COLUMNS, batch=32)
    restored.restore(learner.state())
    restored.learn_many(X[31:33], y[31:33])

    assert not any(waiting.output)
    assert any(restored.scorer().output)
    assert learner.labels == 31
    assert restored.labels == 33


def test_the_gradient_of_a_network_is_the_slope_of_its_log_loss() -> None:
    X, y = customers(400)
    learner = NeuralNetwork(COLUMNS, units=3, rate=0.05)
    learner.learn_many(X, y)
    z = learner._inputs.transform(X[:32])

    def loss(flat: np.ndarray) -> float:
        learner._flat = flat
        return log_loss(learner.scorer().probabilities(X[:32]), y[:32])

    flat, step = learner._flat.copy(), 1e-6
    slopes = [(loss(flat + each) - loss(flat - each)) / (2 * step) for each in step * np.eye(len(flat))]
    learner._flat = flat

    assert learner._gradient(z, y[:32]) == pytest.approx(slopes, abs=1e-7)


def test_lightgbm_is_fitted_after_every_so_many_labels_on_the_last_ones() -> None:
    X, y = customers(1_500)
    old, young = (LightGbm(COLUMNS, memory=500, refit_every=250, rounds=5) for _ in range(2))
    old.learn_many(X[:249], y[:249])
    before = old.scorer()
    old.learn_many(X[249:], y[249:])
    young.learn_many(X[1_000:], y[1_000:])

    assert before == LightGbm(COLUMNS).scorer()
    assert len(old.scorer().trees.roots) == 5
    assert old.scorer() == young.scorer()


def test_contributions_of_boosted_trees_are_measured_from_the_mean_of_what_was_fitted() -> None:
    X, y = customers(1_000)
    learner = LightGbm(COLUMNS, refit_every=1_000, rounds=10)
    learner.learn_many(X, y)
    scorer = learner.scorer()

    assert scorer.bias == pytest.approx(logit(scorer.probabilities(X)).mean())
    assert scorer.contributions(X).mean(axis=0).sum() == pytest.approx(0, abs=1e-9)


def test_a_leaf_counts_its_labels_and_a_split_divides_them() -> None:
    X, y = customers(4_000)
    learner = HoeffdingTree(COLUMNS, splits_on=("orders",), grace_period=100, max_depth=1)
    learner.learn_many(X[:50], y[:50])
    alone = learner.scorer()
    learner.learn_many(X[50:], y[50:])
    split = learner.scorer()

    assert (alone.positives, alone.totals) == ((y[:50].sum(),), (50,))
    assert len(split.feature) == 3
    assert split.totals[0] == pytest.approx(4_000)
    assert split.positives[0] == pytest.approx(y.sum())
