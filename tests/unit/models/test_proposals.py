from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.progressive import ScoreCounts
from models.proposals import SHARES, propose


def test_each_threshold_says_what_it_would_have_caught():
    rng = np.random.default_rng(1)
    p = np.round(rng.random(5_000), 6)
    left = rng.random(5_000) < p

    found = propose(ScoreCounts.of(p, left))

    assert [each.calls.selection_rate for each in found] == pytest.approx(list(SHARES), abs=1e-3)
    for each in found:
        warned = p >= each.threshold
        assert each.calls.precision == left[warned].mean()
        assert each.calls.recall == left[warned].sum() / left.sum()


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), max_size=50))
def test_no_proposal_warns_of_more_than_it_may(judged: list[tuple[int, bool]]):
    counts = ScoreCounts.of([p / 10 for p, _ in judged], [left for _, left in judged])

    found = propose(counts)

    assert all(0 < each.calls.selection_rate <= max(SHARES) for each in found)
    assert [each.threshold for each in found] == sorted({each.threshold for each in found}, reverse=True)


def test_each_threshold_says_how_many_it_would_alarm_now():
    counts = ScoreCounts.of([n / 100 for n in range(1, 101)], [True] * 100)

    found = propose(counts, lambda threshold: 1 - threshold)

    assert [each.alarmed for each in found] == [1 - each.threshold for each in found]


def test_without_labels_nothing_is_proposed():
    assert propose(ScoreCounts.of([], [])) == ()
