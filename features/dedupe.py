"""Recognising what was counted before: platform retries among a customer's last K ids of a topic.

An event is a duplicate when its id (or, for orders, its transaction) is among the last K ids that were
*accepted* for its customer and topic. That is a function of the topic's log alone, wherever the polls
cut it: customers without any equal pair take a vectorised path, the few others are judged one by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.groups import Groups

Ids = NDArray[np.uint64]
Slots = NDArray[np.intp]


def accept(ring: Ids, head: NDArray[np.uint8], slots: Slots, ids: Ids) -> NDArray[np.bool_]:
    """Judge entries in log order, and push the accepted ones' ids; `ring` and `head` change in place.

    `ring` (rows, K) and `head` (rows,) cover the whole table, `slots` (n,) names each entry's row, `ids`
    (n, w) its w identities, w <= K, any of which makes it a duplicate. Returns (n,) which are new.
    """
    accepted = np.ones(len(slots), bool)
    suspect = _suspects(ring, slots, ids)
    if suspect.any():
        for slot in np.unique(slots[suspect]).tolist():
            mine = np.flatnonzero(slots == slot)
            accepted[mine] = _one_by_one(ring[slot], int(head[slot]), ids[mine])
        slots, ids = slots[accepted], ids[accepted]
    if len(slots):
        _push(ring, head, slots, ids)
    return accepted


def _suspects(ring: Ids, slots: Slots, ids: Ids) -> NDArray[np.bool_]:
    """Entries with an identity in their ring already or twice in this batch: a superset of the duplicates."""
    kept = ring[slots]
    suspect = np.zeros(len(slots), bool)
    for column in ids.T:
        suspect |= (kept == column[:, None]).any(axis=1)
    # An identity may stand in any column, so all of them are compared with all.
    owner = np.repeat(np.arange(len(slots)), ids.shape[1])
    order = np.argsort(ids, axis=None, kind="stable")
    ordered = ids.ravel()[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    earlier, later = owner[order[same]], owner[order[same + 1]]
    suspect[later[earlier != later]] = True
    return suspect


def _one_by_one(ring: Ids, head: int, ids: Ids) -> list[bool]:
    """Judge one customer's entries against a copy of their ring."""
    size = len(ring)
    recent = ring.tolist()
    accepted = []
    for entry in ids.tolist():
        new = not any(identity in recent for identity in entry)
        accepted.append(new)
        if new:
            for identity in entry:
                recent[head % size] = identity
                head += 1
    return accepted


def _push(ring: Ids, head: NDArray[np.uint8], slots: Slots, ids: Ids) -> None:
    size, width = ring.shape[1], ids.shape[1]
    groups = Groups(slots)
    first = head[slots].astype(np.int64) + groups.rank * width
    places = (first[:, None] + np.arange(width)) % size
    # Repeated places keep the last value, which is the newest: entries are in log order.
    ring[np.repeat(slots, width), places.ravel()] = ids.ravel()
    pushed = np.bincount(groups.inverse, minlength=len(groups)) * width
    head[groups.slots] = (head[groups.slots] + pushed) % size
