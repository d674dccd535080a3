"""The customers of one partition: records by slot, and their forks as of decision times not yet swept.

An event with ts >= g, where g is a decision time that was not swept yet, must not be seen by the sweep
of g. The first such event of a customer *splits* a fork off: a record with `boundary` g that holds
the events < g. Later events go into every record whose boundary lies after them (DESIGN 4.2). Forks
hang in a chain from the live record by `older`, newest boundary first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features.columns import Columns, transaction_ids
from features.dedupe import accept
from features.grid import DecisionGrid
from features.layout import LIVE, TOPIC_INDEX, Layout
from features.profile import Profile
from features.updates import Entries, Money, update

Slots = NDArray[np.intp]
_NONE = -1


@dataclass(slots=True)
class UserTable:
    """Records of customers, addressed by slot (int); `index` finds the live slot of a user id."""

    layout: Layout
    grid: DecisionGrid
    money: Money
    index: dict[str, int] = field(default_factory=dict)
    names: list[str | None] = field(default_factory=list)
    profiles: dict[int, Profile] = field(default_factory=dict)
    rows: NDArray[np.void] = field(init=False)
    older: NDArray[np.int32] = field(init=False)
    _free: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = np.zeros(256, self.layout.dtype)
        self.older = np.full(256, _NONE, np.int32)

    def __len__(self) -> int:
        return len(self.index)

    # -- slots

    def slot(self, user: str) -> int | None:
        """The live slot of `user`, if the customer is known."""
        return self.index.get(user)

    def add(self, user: str, user_hash: int) -> int:
        """Create the empty record of a new customer."""
        slot = self._allocate(user)
        self.index[user] = slot
        row = self.rows[slot]
        row["boundary"], row["user_hash"] = LIVE, user_hash
        row["stamps"] = -1
        return slot

    def remove(self, user: str) -> None:
        """Forget a customer with all forks; unknown ones are ignored."""
        slot = self.index.pop(user, None)
        if slot is not None:
            self._release_chain(slot)
            self.profiles.pop(slot, None)
            self._release(slot)

    def name(self, slot: int) -> str:
        """The user id of a live slot."""
        name = self.names[slot]
        assert name is not None, "a fork has no name"
        return name

    def live_slots(self) -> Slots:
        """Slots of all customers, in order of their creation."""
        return np.fromiter(self.index.values(), np.intp, len(self.index))

    def _allocate(self, name: str | None) -> int:
        if self._free:
            slot = self._free.pop()
            self.names[slot] = name
            return slot
        slot = len(self.names)
        if slot == len(self.rows):
            self._grow()
        self.names.append(name)
        return slot

    def _grow(self) -> None:
        size = len(self.rows)
        extra = max(size // 2, 256)
        self.rows = np.concatenate([self.rows, np.zeros(extra, self.layout.dtype)])
        self.older = np.concatenate([self.older, np.full(extra, _NONE, np.int32)])

    def _release(self, slot: int) -> None:
        self.rows[slot] = np.zeros((), self.layout.dtype)
        self.older[slot] = _NONE
        self.names[slot] = None
        self._free.append(slot)

    # -- events

    def fresh(self, batch: Columns, slots: Slots) -> NDArray[np.bool_]:
        """Which events of `batch` (all of known customers, none late) count: neither seen nor retried.

        Stamps and rings change: an event is fresh once.
        """
        topic = TOPIC_INDEX[batch.topic]
        stamps = self.rows["stamps"]
        fresh = batch.offsets > stamps[slots, topic]
        np.maximum.at(stamps, (slots, topic), batch.offsets)
        size = self.layout.rings.get(batch.topic)
        if size and fresh.any():
            index = np.flatnonzero(fresh)
            chosen = batch.take(index)
            ids = [chosen.ids, transaction_ids(chosen)] if batch.topic == "orders" else [chosen.ids]
            ring, head = self.rows[f"{batch.topic}_ids"], self.rows[f"{batch.topic}_head"]
            fresh[index] = accept(ring, head, slots[index], np.stack(ids, axis=1))
        return fresh

    def apply(self, batch: Columns, slots: Slots, swept: int) -> None:
        """Add fresh events (of a topic that features are made of) to all records they belong to."""
        if not len(batch):
            return
        entries = [Entries(slots, batch)]
        if int(batch.times.max()) >= self.grid.after(swept):
            self._split(batch.times, slots, swept)
        if (self.older[slots] != _NONE).any():
            entries += self._forked(batch, slots)
        for entry in entries:
            update(self.rows, entry, self.money)

    def _split(self, times: NDArray[np.int64], slots: Slots, swept: int) -> None:
        """Make sure that a record as of g exists, for every event at or after an unswept decision time g."""
        grid = self.grid
        boundaries = times - (times - grid.anchor) % grid.every_ms
        ahead = boundaries > swept
        for slot, boundary in sorted(set(zip(slots[ahead].tolist(), boundaries[ahead].tolist(), strict=True))):
            self._fork(slot, boundary)

    def _fork(self, slot: int, boundary: int) -> None:
        newer, older = slot, int(self.older[slot])
        while older != _NONE and self.rows["boundary"][older] >= boundary:
            newer, older = older, int(self.older[older])
        if self.rows["boundary"][newer] == boundary:
            return
        fork = self._allocate(None)
        self.rows[fork] = self.rows[newer]
        self.rows["boundary"][fork] = boundary
        self.older[fork], self.older[newer] = older, fork

    def _forked(self, batch: Columns, slots: Slots) -> Iterator[Entries]:
        """Entries of the forks that lie after each event."""
        index, targets = np.arange(len(slots)), self.older[slots]
        while True:
            index, targets = index[targets != _NONE], targets[targets != _NONE]
            index, targets = _where(self.rows["boundary"][targets] > batch.times[index], index, targets)
            if not len(index):
                return
            yield Entries(targets.astype(np.intp), batch.take(index))
            targets = self.older[targets]

    # -- as of a decision time

    def as_of(self, slots: Slots, ts: int) -> Slots:
        """The slots whose records hold exactly the events < ts of the customers at live `slots`."""
        current = slots.copy()
        if len(self._free) + len(self.index) == len(self.names):
            return current
        while True:
            older = self.older[current]
            deeper = (older != _NONE) & (self.rows["boundary"][older] >= ts)
            if not deeper.any():
                return current
            current[deeper] = older[deeper]

    def drop_forks(self, ts: int) -> list[int]:
        """Drop all forks with boundary <= ts, once ts is swept; returns the live slots that had any."""
        changed = []
        for slot in np.flatnonzero(self.older[: len(self.names)] != _NONE).tolist():
            if self.names[slot] is not None and self._drop_tail(slot, ts):
                changed.append(slot)
        return changed

    def _drop_tail(self, slot: int, ts: int) -> bool:
        while self.older[slot] != _NONE:
            older = int(self.older[slot])
            if self.rows["boundary"][older] <= ts:
                self._release_chain(slot)
                return True
            slot = older
        return False

    def _release_chain(self, slot: int) -> None:
        older = int(self.older[slot])
        self.older[slot] = _NONE
        while older != _NONE:
            following = int(self.older[older])
            self._release(older)
            older = following

    # -- rows as they are stored

    def forks(self, slot: int) -> list[int]:
        """Fork slots of a live slot, newest boundary first."""
        chain = []
        while (slot := int(self.older[slot])) != _NONE:
            chain.append(slot)
        return chain

    def put(self, user: str, records: NDArray[np.void]) -> int:
        """Replace a customer by stored records: the live one, then its forks, newest boundary first."""
        self.remove(user)
        slot = self._allocate(user)
        self.index[user] = slot
        self.rows[slot] = records[0]
        newer = slot
        for record in records[1:]:
            fork = self._allocate(None)
            self.rows[fork] = record
            self.older[newer], newer = fork, fork
        return slot

    def put_many(self, users: Iterable[str], records: NDArray[np.void]) -> Slots:
        """Replace customers that have no forks, one record each: the bulk path of recovery."""
        slots = []
        for user in users:
            slot = self.index.get(user)
            if slot is None:
                slot = self.index[user] = self._allocate(user)
            elif self.older[slot] != _NONE:
                self._release_chain(slot)
            slots.append(slot)
        found = np.array(slots, np.intp)
        self.rows[found] = records
        return found


def _where(mask: NDArray[np.bool_], *arrays: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    return tuple(array[mask] for array in arrays)
