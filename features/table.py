"""The customers of one partition: records by slot, and their forks as of decision times not yet swept.

An event with ts >= g, where g is a decision time that was not swept yet, must not be seen by the sweep
of g. The first such event of a customer *splits* a fork off: a record with `boundary` g that holds
the events < g. Later events go into every record whose boundary lies after them (DESIGN 4.2). Forks
hang in a chain from the live record by `older`, newest boundary first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.columns import Columns, transaction_ids
from features.dedupe import accept
from features.layout import LIVE, TOPIC_INDEX, Layout, rolling
from features.updates import Facts, Money, facts, update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.grid import DecisionGrid
    from features.profile import Profile

Slots = NDArray[np.intp]
_NONE = -1
#: Before every boundary.
_FIRST = np.iinfo(np.int64).min


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

    def add(self, users: Sequence[str], hashes: Sequence[int]) -> Slots:
        """Create the empty records of new, distinct customers; returns their slots."""
        slots = np.array([self._allocate(user) for user in users], np.intp)
        self.index.update(zip(users, slots.tolist(), strict=True))
        rows = self.rows
        rows["boundary"][slots], rows["stamps"][slots] = LIVE, -1
        rows["user_hash"][slots] = np.array(hashes, np.uint64)
        return slots

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

    @property
    def fork_count(self) -> int:
        """Records kept beside the live ones, as of decision times not yet swept."""
        return len(self.names) - len(self._free) - len(self.index)

    @property
    def nbytes(self) -> int:
        """Bytes of all records in use."""
        return len(self.names) * self.layout.dtype.itemsize

    def live_slots(self) -> Slots:
        """Slots of all customers, in order of their creation."""
        return np.fromiter(self.index.values(), np.intp, len(self.index))

    def _allocate(self, name: str | None) -> int:
        if self._free:
            slot = self._free.pop()
            self.names[slot] = name
            return slot
        slot = len(self.names)
        self.names.append(name)
        self._make_room()
        return slot

    def _allocate_many(self, users: list[str]) -> None:
        """Give slots to customers (distinct) who have none."""
        reused, start = len(self._free), len(self.names)
        for user in users[:reused]:
            self.index[user] = self._allocate(user)
        self.names += users[reused:]
        self.index.update(zip(users[reused:], range(start, len(self.names)), strict=True))
        self._make_room()

    def _allocate_forks(self, n: int) -> Slots:
        reused = [self._free.pop() for _ in range(min(n, len(self._free)))]
        start = len(self.names)
        self.names += [None] * (n - len(reused))
        self._make_room()
        return np.array([*reused, *range(start, len(self.names))], np.intp)

    def _make_room(self) -> None:
        used = size = len(self.rows)
        while size < len(self.names):
            size *= 2
        if size > used:
            self._grow(used, size)

    def _grow(self, used: int, size: int) -> None:
        # Pages of zeros take no memory until they are written to.
        rows, older = np.zeros(size, self.layout.dtype), np.full(size, _NONE, np.int32)
        # As plain bytes: numpy copies records field by field otherwise.
        plain = f"V{self.layout.dtype.itemsize}"
        rows.view(plain)[:used], older[:used] = self.rows.view(plain), self.older
        self.rows, self.older = rows, older

    def _release(self, slot: int) -> None:
        self.names[slot] = None
        self._empty(np.array([slot]))

    def _empty(self, slots: Slots) -> None:
        """Give slots that have no name back."""
        self.rows.view(f"V{self.layout.dtype.itemsize}")[slots] = b""
        self.older[slots] = _NONE
        self._free += slots.tolist()

    # -- events

    def fresh(self, batch: Columns, slots: Slots) -> NDArray[np.bool_]:
        """Which events of `batch` (all of known customers, none late) count: neither seen nor retried.

        Stamps and rings change: an event is fresh once.
        """
        topic = TOPIC_INDEX[batch.topic]
        stamps = self.rows["stamps"]
        known = stamps[slots, topic]
        fresh = batch.offsets > known
        # Of a customer's several events the last is assigned, which has the greatest offset.
        stamps[slots, topic] = np.maximum(known, batch.offsets)
        size = self.layout.rings.get(batch.topic)
        if size and fresh.any():
            index = fresh.nonzero()[0]
            chosen = batch.take(index)
            ids = [chosen.ids, transaction_ids(chosen)] if batch.topic == "orders" else [chosen.ids]
            ring, head = self.rows[f"{batch.topic}_ids"], self.rows[f"{batch.topic}_head"]
            fresh[index] = accept(ring, head, slots[index], np.stack(ids, axis=1))
        return np.asarray(fresh)

    def apply(self, batch: Columns, slots: Slots, swept: int) -> None:
        """Add fresh events (of a topic that features are made of) to all records they belong to."""
        if not len(batch):
            return
        if int(batch.times.max()) >= self.grid.after(swept):
            self._split(batch.times, slots, swept)
        added = facts(batch, self.money)
        update(self.rows, slots, added)
        self._update_forks(added, self.older[slots])

    def note_signals(self, slots: Slots, times: NDArray[np.int64], swept: int) -> None:
        """Remember when customers at live `slots` (n,) showed dissatisfaction, in all records it belongs to.

        It is told by topics that features are not made of, too. `times` (n,) are theirs.
        """
        if not len(times):
            return
        if int(times.max()) >= self.grid.after(swept):
            self._split(times, slots, swept)
        targets = slots
        while len(targets):
            np.maximum.at(self.rows["signalled_at"], targets, times)
            older = self.older[targets].astype(np.intp)
            earlier = (older != _NONE) & (self.rows["boundary"][older] > times)
            targets, times = older[earlier], times[earlier]

    def _split(self, times: NDArray[np.int64], slots: Slots, swept: int) -> None:
        """Make sure that a record as of g exists for every event at or after an unswept decision time g."""
        grid = self.grid
        boundaries = times - (times - grid.anchor) % grid.every_ms
        for boundary in np.unique(boundaries[boundaries > swept]).tolist():
            self._fork(np.unique(slots[boundaries == boundary]), boundary)

    def _fork(self, slots: Slots, boundary: int) -> None:
        """Set apart what the customers at live `slots` (distinct) have before `boundary`."""
        newer = self.as_of(slots, boundary)
        newer = newer[self.rows["boundary"][newer] != boundary]
        if not len(newer):
            return
        forks = self._allocate_forks(len(newer))
        parts = rolling(self.rows, self.layout)
        parts[forks] = parts[newer]
        self.rows["boundary"][forks] = boundary
        self.older[forks] = self.older[newer]
        self.older[newer] = forks

    def _update_forks(self, added: Facts, targets: NDArray[np.int32]) -> None:
        """Add each fact to the forks that lie after it, one link of all chains at a time."""
        index = np.arange(len(added))
        while True:
            later = (targets != _NONE).nonzero()[0]
            later = later[self.rows["boundary"][targets[later]] > added.times[index[later]]]
            if not len(later):
                return
            index, targets = index[later], targets[later]
            update(self.rows, targets.astype(np.intp), added.take(index))
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
        boundary = self.rows["boundary"]
        newer = np.flatnonzero(self.older[: len(self.names)] != _NONE)
        owners = newer[boundary[newer] == LIVE]
        changed = owners[boundary[self.as_of(owners, _FIRST)] <= ts]
        older = self.older[newer].astype(np.intp)
        settled = boundary[older] <= ts
        self.older[newer[settled]] = _NONE
        self._empty(older[settled])
        slots: list[int] = changed.tolist()
        return slots

    def thin(self, slot: int, most: int) -> None:
        """Leave the customer at live `slot` no forks but the `most` newest."""
        chain = [slot, *self.forks(slot)]
        self._empty(np.array(chain[most + 1 :], np.intp))
        self.older[chain[: most + 1][-1]] = _NONE

    def _release_chain(self, slot: int) -> None:
        self._empty(np.array(self.forks(slot), np.intp))
        self.older[slot] = _NONE

    # -- rows as they are stored

    def forks(self, slot: int) -> list[int]:
        """Fork slots of a live slot, newest boundary first."""
        chain = [slot]
        while (older := int(self.older[chain[-1]])) != _NONE:
            chain.append(older)
        return chain[1:]

    def forks_of(self, slots: Slots) -> tuple[Slots, NDArray[np.intp]]:
        """All forks of the live `slots` (n,) in their order, newest boundary first, and how many each has."""
        owners: list[NDArray[np.intp]] = [np.zeros(0, np.intp)]
        links: list[Slots] = [np.zeros(0, np.intp)]
        owner, link = np.arange(len(slots)), slots
        while True:
            older = self.older[link]
            deeper = (older != _NONE).nonzero()[0]
            if not len(deeper):
                break
            owner, link = owner[deeper], older[deeper].astype(np.intp)
            owners.append(owner)
            links.append(link)
        owner = np.concatenate(owners)
        in_order = np.argsort(owner, kind="stable")
        return np.concatenate(links)[in_order], np.bincount(owner, minlength=len(slots))

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

    def put_many(self, users: Sequence[str], records: NDArray[np.void]) -> Slots:
        """Replace customers (distinct) that have no forks, one record each: the bulk path of recovery."""
        self._allocate_many([user for user in users if user not in self.index])
        slots = np.fromiter(map(self.index.__getitem__, users), np.intp, len(users))
        for slot in slots[self.older[slots] != _NONE].tolist():
            self._release_chain(slot)
        # As plain bytes: numpy copies records field by field otherwise.
        plain = f"V{self.layout.dtype.itemsize}"
        self.rows.view(plain)[slots] = records.view(plain)
        return slots
