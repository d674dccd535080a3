from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.groups import Groups
from tests.examples import examples

entries = st.lists(st.tuples(st.integers(0, 5), st.integers(-100, 100)), min_size=1, max_size=30)


@given(entries)
@examples(20)
def test_every_reduction_is_that_of_the_entries_of_a_target(found: list[tuple[int, int]]):
    targets, values = (np.array(column) for column in zip(*found, strict=True))
    groups = Groups(targets)
    mine = {slot: [value for target, value in found if target == slot] for slot, _ in found}

    assert groups.slots.tolist() == sorted(mine)
    assert groups.max(values).tolist() == [max(mine[slot]) for slot in sorted(mine)]
    assert groups.min(values).tolist() == [min(mine[slot]) for slot in sorted(mine)]
    assert groups.sum(values).tolist() == [sum(mine[slot]) for slot in sorted(mine)]


@given(entries)
@examples(20)
def test_inverse_and_rank_find_every_entry_again(found: list[tuple[int, int]]):
    targets = [target for target, _ in found]
    groups = Groups(np.array(targets))

    assert groups.slots[groups.inverse].tolist() == targets
    assert groups.rank.tolist() == [targets[:i].count(target) for i, target in enumerate(targets)]


def test_sums_of_rows_keep_their_columns_and_their_type():
    rows = np.array([[1, 2], [3, 4], [5, 6]], np.uint32)

    total = Groups(np.array([7, 2, 7])).sum(rows)

    assert total.tolist() == [[3, 4], [6, 8]]
    assert total.dtype == np.uint32


def test_bit_sets_of_a_group_are_united():
    sets = np.array([[1, 0], [8, 4], [2, 0]], np.uint64)

    assert Groups(np.array([0, 1, 0])).bit_or(sets).tolist() == [[3, 0], [8, 4]]
