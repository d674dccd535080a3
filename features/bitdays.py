"""Sets of days as bits, anchored at the customer's newest day: bit k of word w is day `anchor - (64 w + k)`.

Shifting by the days passed and or-ing new days in is commutative for events within the width, so the
set does not depend on arrival order. All functions work on arrays of shape (n, words) of uint64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Days = NDArray[np.int64]

_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def shifted(words: Words, days: Days) -> Words:
    """The same sets seen from an anchor `days` (>= 0) later; what leaves the width is forgotten."""
    n, width = words.shape
    whole = np.minimum(days // 64, width)
    rest = (days % 64).astype(np.uint64)[:, None]
    source = np.arange(width)[None, :] - whole[:, None]
    padded = np.concatenate([words, np.zeros((n, 1), np.uint64)], axis=1)
    low = np.take_along_axis(padded, np.where(source >= 0, source, width), axis=1)
    below = np.take_along_axis(padded, np.where(source >= 1, source - 1, width), axis=1)
    carry = np.where(rest > 0, below >> ((np.uint64(64) - rest) & np.uint64(63)), np.uint64(0))
    return (low << rest) | carry


def insert(words: Words, rows: NDArray[np.intp], age_days: Days) -> NDArray[np.bool_]:
    """Set the bit of `age_days` before the anchor in each of `rows`, in place.

    Returns which entries were new days: not yet in the set, and the first of their (row, day) in this
    call. Ages outside the width are ignored and not new.
    """
    width = words.shape[1]
    inside = (age_days >= 0) & (age_days < 64 * width)
    new = np.zeros(len(rows), bool)
    index = np.flatnonzero(inside)
    if not len(index):
        return new
    row, age = rows[index], age_days[index]
    word, bit = age // 64, np.uint64(1) << (age % 64).astype(np.uint64)
    absent = (words[row, word] & bit) == 0
    cell = row.astype(np.int64) * (64 * width) + age
    _, first = np.unique(cell, return_index=True)
    is_first = np.zeros(len(index), bool)
    is_first[first] = True
    np.bitwise_or.at(words, (row, word), bit)
    new[index] = absent & is_first
    return new


def _below(limit: Days, width: int) -> Words:
    """Masks of the bits of ages 0 .. limit-1, shape (n, width)."""
    reach = np.clip(limit[:, None] - 64 * np.arange(width)[None, :], 0, 64)
    partial = (np.uint64(1) << np.minimum(reach, 63).astype(np.uint64)) - np.uint64(1)
    return np.where(reach >= 64, _ALL, partial)


def count_within(words: Words, oldest_age: Days) -> NDArray[np.int64]:
    """How many days of the set have an age below `oldest_age` (per row)."""
    return np.bitwise_count(words & _below(oldest_age, words.shape[1])).sum(axis=1).astype(np.int64)


def any_between(words: Words, youngest_age: Days, oldest_age: Days) -> NDArray[np.bool_]:
    """Whether a day with youngest_age <= age <= oldest_age is in the set (per row)."""
    width = words.shape[1]
    mask = _below(oldest_age + 1, width) & ~_below(np.maximum(youngest_age, 0), width)
    return ((words & mask) != 0).any(axis=1)
