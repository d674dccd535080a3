from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from models.progressive import NO_COUNTS, ScoreCounts
from tests.examples import examples

#: Probabilities with many ties, a few of them certain.
issued = st.sampled_from([0.0, 1e-6, 0.1, 0.25, 0.250001, 0.5, 0.9, 0.999999, 1.0])
judged = st.lists(st.tuples(issued, st.booleans()), min_size=1, max_size=60)


def counts(pairs: list[tuple[float, bool]]) -> ScoreCounts:
    return ScoreCounts.of([p for p, _ in pairs], [y for _, y in pairs])


def both_kinds(pairs: list[tuple[float, bool]]) -> bool:
    return len({y for _, y in pairs}) == 2


@given(judged.filter(both_kinds))
@examples(40)
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[float, bool]]) -> None:
    churned, stayed = ([p for p, y in pairs if y is kind] for kind in (True, False))
    won = [(c > s) + 0.5 * (c == s) for c in churned for s in stayed]

    assert counts(pairs).auc == pytest.approx(np.mean(won), abs=1e-12)


def test_auc_is_rank_sum_of_mann_and_whitney_on_many_scores() -> None:
    rng = np.random.default_rng(0)
    p = np.round(rng.random(5_000), 3)
    y = rng.random(5_000) < p
    rank_sum = rankdata(p)[y].sum() - y.sum() * (y.sum() + 1) / 2

    assert ScoreCounts.of(p, y).auc == pytest.approx(rank_sum / (y.sum() * (~y).sum()), abs=1e-12)


@given(judged.filter(lambda pairs: any(y for _, y in pairs)))
@examples(40)
def test_pr_auc_is_the_mean_of_precision_over_the_churners(pairs: list[tuple[float, bool]]) -> None:
    precisions = [
        np.mean([other for q, other in pairs if q >= p])  # precision when everybody from p up is called
        for p, y in pairs
        if y
    ]

    assert counts(pairs).pr_auc == pytest.approx(np.mean(precisions), abs=1e-12)


@given(judged)
@examples(40)
def test_log_loss_and_brier_are_means_over_the_labels(pairs: list[tuple[float, bool]]) -> None:
    losses = [-math.log(max(p if y else 1 - p, 1e-6)) for p, y in pairs]
    errors = [(p - y) ** 2 for p, y in pairs]

    # a certain forecast that was right costs 1e-6 as well
    assert counts(pairs).log_loss == pytest.approx(np.mean(losses), abs=2e-6)
    assert counts(pairs).brier == pytest.approx(np.mean(errors), abs=1e-12)


def test_ece_is_the_mean_gap_over_bins_of_equal_mass() -> None:
    rng = np.random.default_rng(1)
    p = rng.permutation(np.arange(15_000) + 0.0) / 15_000
    y = rng.random(15_000) < p**2
    order = np.argsort(p)
    gaps = [abs(p[part].mean() - y[part].mean()) for part in np.array_split(order, 15)]

    assert ScoreCounts.of(p, y).ece() == pytest.approx(np.mean(gaps), abs=1e-9)


def test_equal_probabilities_share_a_bin() -> None:
    half = ScoreCounts.of([0.3] * 100 + [0.7] * 50, [True] * 30 + [False] * 70 + [True] * 35 + [False] * 15)

    by_bin = half.reliability()

    assert half.ece() == pytest.approx(0, abs=1e-12)
    assert by_bin.counts.tolist() == [100, 50]
    assert by_bin.churn_rate == pytest.approx([0.3, 0.7])


@given(judged, st.randoms(use_true_random=False), st.integers(0, 60))
@examples(40)
def test_counts_do_not_depend_on_order_or_split(pairs: list, random: st.random.Random, cut: int) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    first, second = counts(shuffled[:cut]), counts(shuffled[cut:])

    for merged in (first.merge(second), second.merge(first)):
        assert merged.to_json() == counts(pairs).to_json()


def test_counts_survive_json_to_the_bit() -> None:
    rng = np.random.default_rng(2)
    p = rng.random(1_000)
    kept = ScoreCounts.of(p, rng.random(1_000) < p)

    restored = ScoreCounts.from_json(msgspec.json.decode(msgspec.json.encode(kept.to_json())))

    assert restored.to_json() == kept.to_json()
    assert restored.log_loss == kept.log_loss


def test_a_constant_forecast_of_the_base_rate_has_its_log_loss() -> None:
    constant = ScoreCounts.of([0.25] * 8, [True, True] + [False] * 6)

    assert constant.base_rate == 0.25
    assert constant.log_loss == pytest.approx(constant.base_rate_log_loss)
    assert constant.auc == 0.5


def test_without_labels_metrics_are_undefined_rather_than_flattering() -> None:
    assert NO_COUNTS.labels == 0
    for metric in (NO_COUNTS.auc, NO_COUNTS.pr_auc, NO_COUNTS.log_loss, NO_COUNTS.brier, NO_COUNTS.ece()):
        assert math.isnan(metric)
    assert math.isnan(NO_COUNTS.base_rate_log_loss)
    assert math.isnan(counts([(0.5, True)]).auc)
    assert NO_COUNTS.merge(NO_COUNTS).to_json() == NO_COUNTS.to_json()


@pytest.mark.parametrize("p", [math.nan, -0.1, 1.1, math.inf])
def test_what_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        ScoreCounts.of([0.5, p], [True, False])


def test_probabilities_and_labels_must_pair_up() -> None:
    with pytest.raises(ValueError, match="same length"):
        ScoreCounts.of([0.5, 0.5], [True])
