from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from models.operating import Calls, at_capacity, at_threshold, curve
from models.progressive import NO_COUNTS, ScoreCounts
from tests.examples import examples

#: Probabilities with many ties, also such as no binary fraction is equal to.
issued = st.sampled_from([0.0, 1e-6, 0.1, 0.25, 0.250001, 0.3, 0.5, 0.8, 0.9, 0.999999, 1.0])
judged = st.lists(st.tuples(issued, st.booleans()), min_size=1, max_size=60)
Pairs = list[tuple[float, bool]]


def columns(pairs: Pairs) -> tuple[list[float], list[bool]]:
    return [p for p, _ in pairs], [y for _, y in pairs]


def counts(pairs: Pairs) -> ScoreCounts:
    return ScoreCounts.of(*columns(pairs))


def both_kinds(pairs: Pairs) -> bool:
    return len({y for _, y in pairs}) == 2


@given(judged, issued | st.floats(0, 1))
@examples(20)
def test_metrics_at_a_threshold_are_scikit_learns(pairs: Pairs, threshold: float):
    p, y = columns(pairs)
    called = np.array(p) >= threshold
    calls = at_threshold(counts(pairs), threshold)
    expected = [
        metrics.accuracy_score(y, called),
        metrics.precision_score(y, called, zero_division=np.nan),
        metrics.recall_score(y, called, zero_division=np.nan),
        metrics.f1_score(y, called, zero_division=np.nan),
        metrics.recall_score(~np.array(y), ~called, zero_division=np.nan),
    ]
    found = [calls.accuracy, calls.precision, calls.recall, calls.f1, 1 - calls.false_positive_rate]

    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert calls.selection_rate == pytest.approx(called.mean(), abs=1e-12)


@given(judged, st.floats(0, 1))
@examples(40)
def test_a_capacity_is_filled_to_the_last_place(pairs: Pairs, share: float):
    calls = at_capacity(counts(pairs), share)

    assert calls.called == pytest.approx(round(share * len(pairs)), abs=1e-9)
    assert calls.labels == pytest.approx(len(pairs))
    assert min(calls.true_positives, calls.false_positives) >= -1e-9
    assert min(calls.false_negatives, calls.true_negatives) >= -1e-9


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.7]), st.booleans()), min_size=1, max_size=6), st.data())
@examples(30)
def test_ties_at_the_cut_count_by_the_mean_over_their_orders(pairs: Pairs, data: st.DataObject):
    room = data.draw(st.integers(0, len(pairs)))
    found = [
        sum(y for _, y in sorted(order, key=lambda each: -each[0])[:room]) for order in permutations(pairs)
    ]

    assert at_capacity(counts(pairs), room / len(pairs)).true_positives == pytest.approx(np.mean(found))


def test_a_capacity_that_cuts_no_tie_is_a_threshold():
    rng = np.random.default_rng(3)
    p = rng.permutation(1_000) / 1_000
    all_counts = ScoreCounts.of(p, rng.random(1_000) < p)

    assert at_capacity(all_counts, 0.1) == at_threshold(all_counts, 0.9)


def test_lift_is_how_many_times_more_churners_the_called_hold():
    pairs = [(0.9, True)] * 8 + [(0.9, False)] * 2 + [(0.1, True)] * 12 + [(0.1, False)] * 78

    assert at_capacity(counts(pairs), 0.1).lift == pytest.approx(0.8 / 0.2)
    assert at_capacity(counts(pairs), 0.05).lift == pytest.approx(0.8 / 0.2)
    assert at_capacity(counts(pairs), 1.0).lift == pytest.approx(1.0)


@given(judged.filter(both_kinds))
@examples(40)
def test_the_whole_curve_is_scikit_learns_roc_and_precision_recall(pairs: Pairs):
    p, y = columns(pairs)
    found = curve(counts(pairs))
    fpr, tpr, thresholds = metrics.roc_curve(y, p, drop_intermediate=False)
    precision, recall, _ = metrics.precision_recall_curve(y, p)

    assert found.thresholds.tolist() == thresholds.tolist()
    assert found.recall == pytest.approx(tpr)
    assert found.false_positive_rate == pytest.approx(fpr)
    assert found.precision == pytest.approx(precision[::-1])
    assert found.recall == pytest.approx(recall[::-1])


@given(judged.filter(both_kinds), st.integers(2, 12))
@examples(40)
def test_a_thinned_curve_has_true_points_and_both_ends(pairs: Pairs, most: int):
    whole, thin = curve(counts(pairs)), curve(counts(pairs), most)
    kept = np.isin(whole.thresholds, thin.thresholds)

    assert len(thin) == kept.sum() <= most
    assert thin.recall.tolist() == whole.recall[kept].tolist()
    assert thin.precision.tolist() == whole.precision[kept].tolist()
    assert (thin.recall[0], thin.false_positive_rate[0]) == (0, 0)
    assert (thin.recall[-1], thin.false_positive_rate[-1]) == (1, 1)


def test_a_thinned_curve_encloses_the_same_area():
    rng = np.random.default_rng(4)
    p = rng.beta(1, 20, 100_000)
    all_counts = ScoreCounts.of(p, rng.random(100_000) < p)
    found = curve(all_counts)

    assert len(found) <= 300
    area = np.trapezoid(found.recall, found.false_positive_rate)
    assert area == pytest.approx(all_counts.auc, abs=2e-4)
    assert metrics.auc(found.recall, found.precision) == pytest.approx(all_counts.pr_auc, abs=2e-3)


def test_without_labels_nothing_is_claimed():
    calls = at_threshold(NO_COUNTS, 0.5)

    assert calls == at_capacity(NO_COUNTS, 0.5) == Calls(0, 0, 0, 0)
    for metric in (calls.accuracy, calls.precision, calls.recall, calls.f1, calls.lift, calls.selection_rate):
        assert math.isnan(metric)
    assert len(curve(NO_COUNTS)) == len(curve(counts([(0.5, True)]))) == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_capacity_that_is_no_share_is_refused(share: float):
    with pytest.raises(ValueError, match="share"):
        at_capacity(NO_COUNTS, share)
