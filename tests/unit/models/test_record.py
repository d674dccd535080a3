from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cohorts import Cohort
from models.parts import Matured
from models.progressive import NO_COUNTS, ScoreCounts
from models.record import CHAMPION, RECENCY_RULE, Record, judge, merged, quality
from tests.building import day
from tests.examples import examples

if TYPE_CHECKING:
    import random


def matured(n: int, seed: int, champion: str = "a", contenders: tuple[str, ...] = ("a", "b")) -> Matured:
    rng = np.random.default_rng(seed)
    cohort = Cohort(
        decision_time=day(1),
        contenders=contenders,
        champion=champion,
        hashes=np.sort(rng.integers(0, 2**64, n, np.uint64)),
        inputs=np.zeros((n, 1), np.float32),
        issued=rng.integers(0, 10**6, (n, len(contenders))).astype(np.uint32),
        recency=rng.integers(0, 100, n).astype(np.uint16),
    )
    return Matured(cohort, rng.random(n) < 0.5, np.zeros(n, bool))


def test_everyone_is_judged_by_what_was_issued():
    found = judge([one := matured(50, 1)])

    assert found.keys() == {"a", "b", CHAMPION, RECENCY_RULE}
    expected = ScoreCounts.of(one.cohort.issued[:, 1] / 1e6, one.churned)
    assert found["b"].to_json() == expected.to_json()
    assert found["b"].log_loss == expected.log_loss


def test_the_champion_is_who_was_it_when_the_probability_was_issued():
    """Two partitions swept one decision time with versions of different champions, as they may when live."""
    one, other = matured(30, 1, "a"), matured(30, 2, "b")
    found = judge([one, other])
    issued = np.concatenate([one.cohort.issued[:, 0], other.cohort.issued[:, 1]]) / 1e6
    expected = ScoreCounts.of(issued, np.concatenate([one.churned, other.churned]))

    assert found[CHAMPION].to_json() == expected.to_json()


def test_cohorts_with_different_contenders_are_judged_together():
    found = judge([matured(10, 1), matured(10, 2, "c", ("c",))])

    assert (found["a"].labels, found["c"].labels, found[CHAMPION].labels) == (10, 10, 20)


def test_the_recency_rule_ranks_by_days_since_purchase():
    one = matured(4, 0)
    silent = replace(one.cohort, recency=np.array([1, 2, 50, 60], np.uint16))
    found = judge([Matured(silent, np.array([False, False, True, True]), one.treated)])

    assert found[RECENCY_RULE].auc == 1.0


@examples(20)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_looking_in_between_and_another_order_change_nothing(seeds: list[int], rng: random.Random):
    looked, unseen = Record(), Record()
    for seed in seeds:
        looked.judge(judge([matured(5, seed)]))
        assert looked["a"].labels > 0
    for seed in rng.sample(seeds, len(seeds)):
        unseen.judge(judge([matured(5, seed)]))

    assert looked.to_json() == unseen.to_json()
    assert Record.from_json(looked.to_json()).to_json() == looked.to_json()
    assert looked["a"].labels == 5 * len(seeds)


def test_an_unknown_name_has_no_counts():
    assert Record()["nobody"] is NO_COUNTS


@pytest.mark.parametrize("n", range(1, 8))
def test_merging_loses_no_count(n: int):
    counts = [ScoreCounts.of([0.1 * seed], [True]) for seed in range(n)]

    assert merged(counts).labels == n


def test_quality_sums_a_decision_time_up():
    champion = ScoreCounts.of([0.9, 0.2, 0.4], [True, False, True])
    rule = ScoreCounts.of([0.1, 0.2, 0.3], [True, False, True])
    found = quality(day(1), {CHAMPION: champion, "a": champion, RECENCY_RULE: rule})

    assert (found.decision_time, found.labels, found.churned) == (day(1), 3, 2)
    assert (found.auc, found.log_loss) == (1.0, champion.log_loss)
    assert found.by_name["a"] == found.by_name[CHAMPION] == (1.0, champion.log_loss)
    assert found.by_name[RECENCY_RULE] == (0.5, pytest.approx(math.nan, nan_ok=True))


def test_labels_of_one_kind_have_a_log_loss_and_no_auc():
    found = quality(day(1), {CHAMPION: ScoreCounts.of([0.9, 0.2], [True, True])})

    assert math.isnan(found.by_name[CHAMPION][0])
    assert found.by_name[CHAMPION][1] > 0
