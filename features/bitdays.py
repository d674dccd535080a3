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
    whole, rest = days >> 6, (days & 63).astype(np.uint64)[:, None]
    if whole.any():
        words = _moved(words, whole)
    later = words << rest
    later[:, 1:] |= words[:, :-1] >> (np.uint64(64) - rest)
    return later


def _moved(words: Words, places: Days) -> Words:
    """The same sets, each a number of whole words later."""
    n, width = words.shape
    source = np.arange(width) - places[:, None]
    moved: Words = words[np.arange(n)[:, None], np.maximum(source, 0)]
    moved[source < 0] = 0
    return moved


def bits(age_days: Days, width: int) -> Words:
    """One set for each age, shape (n, width): that day alone, or nothing when it lies outside the width."""
    word, bit = age_days >> 6, _ONE << (age_days & 63).astype(np.uint64)
    return np.where(word[:, None] == np.arange(width), bit[:, None], np.uint64(0))


def _below(limit: Days, width: int) -> Words:
    """Masks of the bits of ages 0 .. limit-1, shape (n, width)."""
    # Word by word in memory: loops over n customers are fast, loops over a few words are not.
    reach = np.clip(limit - 64 * np.arange(width)[:, None], 0, 64)
    return np.asarray(_ALL >> (64 - reach).astype(np.uint64)).T


def count_within(words: Words, days: int, passed: Days) -> NDArray[np.uint8]:
    """How many days of each set are among the last `days` (> 0), seen `passed` (n,) days after the anchor.

    Here `words` are (width, n), each word a row, as whoever reads many records has them.
    """
    counts = np.zeros(words.shape[1], np.uint8)
    for place, word in enumerate(words[: -(-days // 64)]):
        reach = days - 64 * place
        # All that a full window holds of this word; every day that passed takes the oldest day away.
        mask = _ALL >> np.uint64(64 - min(reach, 64))
        lost = np.maximum(passed - max(reach - 64, 0), 0).astype(np.uint64)
        counts += np.bitwise_count(word & (mask >> lost))
    return counts


def any_between(words: Words, youngest_age: Days, oldest_age: Days) -> NDArray[np.bool_]:
    """Whether a day with youngest_age <= age <= oldest_age is in the set (per row)."""
    width = words.shape[1]
    mask = _below(oldest_age + 1, width) & ~_below(youngest_age, width)
    return np.asarray(((words & mask) != 0).any(axis=1))
