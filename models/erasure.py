"""Erasure: a customer is forgotten everywhere, and what happened up to then cannot come back (DESIGN 4.13).

Whatever arrived before the erasure goes, for sums cannot be taken apart; what arrives later counts if it
happened after the erasure. Only the salted hash stays, with the time and the place of the erasure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from features.clock import BEGINNING
from features.layout import TOPICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.columns import Columns
    from models.core import PartitionCore


class Erased(NamedTuple):
    """What remains: when (epoch ms), and how far each of TOPICS was read when it was taken.

    `offsets` tell a stored row of the forgotten customer, whose stamps all lie within them, from the row
    of the new customer of that name. In `customers` it is the offset of the erasure itself.
    """

    ts: int
    offsets: tuple[int, ...]

    def covers(self, stamps: NDArray[np.int64]) -> bool:
        """Whether a row with these `stamps` was made of what came before the erasure."""
        return bool((stamps <= np.array(self.offsets)).all())


def erase(core: PartitionCore, user: str, ts: int, offset: int) -> None:
    """Forget `user`, whose erasure of time `ts` stands at `offset` of `customers`."""
    code = core.hash(user)
    forget(core, user)
    offsets = tuple(offset if topic == "customers" else core.clocks[topic].offset for topic in TOPICS)
    before = core.erased.get(code)
    core.erased[code] = Erased(ts if before is None else max(ts, before.ts), offsets)
    for start, cohort in list(core.cohorts.items()):
        keep = cohort.hashes != np.uint64(code)
        if not keep.all():
            core.cohorts[start] = cohort.take(keep)
            core.new_cohorts.add(start)


def forget(core: PartitionCore, user: str) -> None:
    """Drop a customer's rows and what waits to be published."""
    core.table.remove(user)
    core.pending.pop(user, None)
    core.held.pop(user, None)
    core.gone.add(user)


def surviving(core: PartitionCore, batch: Columns) -> NDArray[np.intp]:
    """Which events of `batch` no erasure of their customer covers."""
    erased = core.erased
    if not erased:
        return np.arange(len(batch))
    slots = [core.table.index.get(user, -1) for user in batch.users]
    stored = core.table.rows["user_hash"][slots].tolist()
    codes = [
        code if slot >= 0 else core.hash(user)
        for code, slot, user in zip(stored, slots, batch.users, strict=True)
    ]
    until = [erased[code].ts if code in erased else BEGINNING for code in codes]
    return np.flatnonzero(batch.times > np.array(until, np.int64))


def recover(core: PartitionCore) -> None:
    """After a crash: finish erasures whose tombstones were not written, and take back torn ones.

    An erasure beyond what the partition row knows comes again, and is carried out then.
    """
    place = TOPICS.index("customers")
    durable = core.clocks["customers"].offset
    core.erased = {code: e for code, e in core.erased.items() if e.offsets[place] <= durable}
    if not core.erased:
        return
    rows = core.table.rows
    for user, slot in list(core.table.index.items()):
        erased = core.erased.get(int(rows["user_hash"][slot]))
        if erased is not None and erased.covers(rows["stamps"][slot]):
            forget(core, user)
