from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.clock import BEGINNING, TopicClock
from tests.examples import examples

if TYPE_CHECKING:
    import random

logs = st.lists(st.integers(0, 50), max_size=20)


@examples(20)
@given(logs, st.randoms(use_true_random=False))
def test_bounds_are_the_same_wherever_polls_cut_the_log(log: list[int], rng: random.Random):
    whole = TopicClock().pass_over(np.array(log, np.int64)).tolist()
    clock, bounds, start = TopicClock(), [], 0
    while start < len(log):
        end = rng.randint(start, len(log))
        bounds += clock.pass_over(np.array(log[start:end], np.int64)).tolist()
        start = end

    assert bounds == whole


@examples(20)
@given(logs)
def test_the_bound_before_an_entry_is_the_greatest_promise_before_it(log: list[int]):
    clock = TopicClock()

    assert clock.pass_over(np.array(log, np.int64)).tolist() == [
        max(log[:i], default=BEGINNING) for i in range(len(log))
    ]
    assert clock.bound == max(log, default=BEGINNING)
