"""Sets of days as bits, anchored at the customer's newest day: bit k of word w is day `anchor - (64 w + k)`.

Shifting by the days passed and or-ing new days in is commutative for events within the width, so the
set does not depend on arrival order. All functions work on arrays of shape (n, words) of uint64.
numpy defines a shift by the whole width of a word: nothing is left of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Days = NDArray[np.int64]

_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def shifted(words: Words, days: Days) -> Words:
    """The same sets seen from an anchor `days` (>= 0) later; what leaves the width is forgotten."""
    if not days.any():
        return words
    n, width = words.shape
    whole = (days // 64)[:, None]
    rest = (days % 64).astype(np.uint64)[:, None]
    # A word of zeros stands for all words beyond either end.
    padded = np.concatenate([words, np.zeros((n, 1), np.uint64)], axis=1)
    source = np.arange(width)[None, :] - whole
    same = np.take_along_axis(padded, np.where(source >= 0, source, width), axis=1)
    younger = np.take_along_axis(padded, np.where(source >= 1, source - 1, width), axis=1)
    return np.asarray((same << rest) | (younger >> (np.uint64(64) - rest)))


def bits(age_days: Days, width: int) -> Words:
    """One set for each age, shape (n, width): that day alone, or nothing when it lies outside the width."""
    word, bit = age_days >> 6, _ONE << (age_days & 63).astype(np.uint64)
    return np.where(word[:, None] == np.arange(width), bit[:, None], np.uint64(0))


def _below(limit: Days, width: int) -> Words:
    """Masks of the bits of ages 0 .. limit-1, shape (n, width)."""
    # Word by word in memory: loops over n customers are fast, loops over a few words are not.
    reach = np.clip(limit - 64 * np.arange(width)[:, None], 0, 64)
    return np.asarray(_ALL >> (64 - reach).astype(np.uint64)).T


def count_within(words: Words, oldest_age: Days) -> Days:
    """How many days of the set have an age below `oldest_age` (per row)."""
    inside = np.bitwise_count(words & _below(oldest_age, words.shape[1]))
    return np.asarray(inside.sum(axis=1, dtype=np.int64))


def any_between(words: Words, youngest_age: Days, oldest_age: Days) -> NDArray[np.bool_]:
    """Whether a day with youngest_age <= age <= oldest_age is in the set (per row)."""
    width = words.shape[1]
    mask = _below(oldest_age + 1, width) & ~_below(youngest_age, width)
    return np.asarray(((words & mask) != 0).any(axis=1))
