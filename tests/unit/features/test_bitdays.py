from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.bitdays import Words, any_between, bits, count_within, shifted
from tests.examples import examples

WORDS = 3
WIDTH = 64 * WORDS

# Ages near the seams between words are where shifts and masks go wrong.
ages = st.integers(0, WIDTH - 1) | st.sampled_from([0, 1, 62, 63, 64, 65, 127, 128, WIDTH - 1])
sets = st.frozensets(ages, max_size=12)
limits = st.integers(-10, WIDTH + 80) | st.sampled_from([0, 1, 63, 64, 65, 128, WIDTH])


def packed(*each: frozenset[int]) -> Words:
    return np.array(
        [[sum(1 << age - 64 * w for age in one if age // 64 == w) for w in range(WORDS)] for one in each],
        np.uint64,
    )


def unpacked(words: Words) -> list[frozenset[int]]:
    return [frozenset(a for a in range(WIDTH) if int(row[a // 64]) >> a % 64 & 1) for row in words]


@given(st.lists(st.tuples(sets, limits.map(abs)), min_size=1, max_size=4))
@examples(40)
def test_seen_from_a_later_day_every_day_is_older_and_the_oldest_are_forgotten(
    rows: list[tuple[frozenset[int], int]],
):
    seen = shifted(packed(*(one for one, _ in rows)), np.array([days for _, days in rows]))

    assert unpacked(seen) == [frozenset(a + days for a in one if a + days < WIDTH) for one, days in rows]


@given(sets, st.integers(0, 300), st.integers(0, 300))
@examples(25)
def test_two_steps_forward_are_one_long_step(one: frozenset[int], first: int, second: int):
    words = packed(one)

    by_steps = shifted(shifted(words, np.array([first])), np.array([second]))

    assert (by_steps == shifted(words, np.array([first + second]))).all()


@given(st.lists(limits, min_size=1, max_size=8))
@examples(25)
def test_the_bits_of_an_age_are_that_day_alone_and_nothing_outside_the_width(found: list[int]):
    assert unpacked(bits(np.array(found), WORDS)) == [frozenset({a} & set(range(WIDTH))) for a in found]


@given(st.lists(st.tuples(sets, limits.map(abs)), min_size=1, max_size=4), st.integers(1, WIDTH + 80))
@examples(25)
def test_days_within_a_window_are_counted_from_a_later_day(rows: list[tuple[frozenset[int], int]], days: int):
    words = packed(*(one for one, _ in rows))

    within = count_within(words.T, days, np.array([passed for _, passed in rows]))

    assert within.tolist() == [sum(age + passed < days for age in one) for one, passed in rows]


@given(st.lists(st.tuples(sets, limits, limits), min_size=1, max_size=4))
@examples(40)
def test_a_window_holds_a_day_from_its_youngest_to_its_oldest_age_both_included(
    rows: list[tuple[frozenset[int], int, int]],
):
    found = any_between(
        packed(*(one for one, *_ in rows)),
        np.array([youngest for _, youngest, _ in rows]),
        np.array([oldest for *_, oldest in rows]),
    )

    assert found.tolist() == [any(young <= age <= old for age in one) for one, young, old in rows]


# The set {3, 64} seen through windows of ages:
#
#   age        0  1  2  3  4 ... 62 63 64 65
#   in it               x              x
@pytest.mark.parametrize(
    ("youngest", "oldest", "found"),
    [
        (0, 2, False),  # [0 1 2]
        (0, 3, True),  #  [0 1 2 3]
        (3, 3, True),  #         [3]
        (4, 63, False),  #         [4 ... 63]
        (4, 64, True),  #          [4 ... 63 64]
        (65, 400, False),  #                   [65 ...
        (-5, -1, False),  # days after the newest one
        (3, 2, False),  # nothing lies between
    ],
)
def test_windows_beside_the_seam_of_two_words(youngest: int, oldest: int, found: bool):
    words = packed(frozenset({3, 64}))

    assert any_between(words, np.array([youngest]), np.array([oldest])).tolist() == [found]
