"""Events come into a partition: one poll of one input topic at a time, judged and put where they belong.

Events of feature topics go into the table, as long as they are not late; profiles, consent, treatments and
erasures apply however late they come.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from features.clock import BEGINNING
from features.events import Kind, Tick, ts_ms
from features.layout import TOPICS
from features.observing import ANY_TIME, is_replay, judge
from features.profile import Profile, merge
from models.erasure import Erased
from models.marks import mark_of_command
from models.triggers import Trigger, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from features.columns import Columns
    from features.observing import Judged, RecordLike
    from features.rejection import Rejected
    from features.table import Slots
    from models.core import PartitionCore

#: Topics whose events become features; the others change profile, consent and treatment.
FEATURE_TOPICS: Final = frozenset({"clickstream", "orders", "reviews"})


#: As plain numbers: reading an enum's member takes microseconds.
_ERASURE, _DELIVERED = int(Kind.ERASURE), int(Kind.DELIVERED)
_UNKNOWN: Final = Profile()


@dataclass
class Observed:
    """What one poll did: events by fate, rejected records, and customers who spoke for themselves.

    `present` tells whether there were events that no replay has sent.
    """

    counts: Counter[str]
    rejected: list[tuple[RecordLike, Rejected]]
    triggered: list[Trigger] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    newest: int = 0
    present: bool = False
    erased: list[tuple[str, int]] = field(default_factory=list)
    #: Triggers that were to be held and are too many.
    unheld: int = 0
    #: Outcomes taken, by the mark of their commands.
    outcomes: Counter[str] = field(default_factory=Counter)


def take_poll(
    core: PartitionCore, topic: str, records: Sequence[RecordLike], now: int | None = None
) -> Observed:
    """Take one poll of one input topic. Idempotent: what was seen before changes nothing.

    Without `now` (epoch ms) nobody asks what time it is at the records' producers.
    """
    clock = core.clocks[topic]
    known, owned = core.table.index, core.owns
    judged = judge(
        records,
        core.decoders[topic],
        clock,
        core.config.lateness_ms,
        known,
        owned,
        follows=core.follows,
        now=now,
    )
    _begin(core, judged, featured=topic in FEATURE_TOPICS)
    observed = Observed(Counter(skipped=judged.skipped, late=int(judged.late.sum())), judged.rejected)
    observed.ticks = judged.ticks
    if len(judged.batch):
        observed.newest = int(judged.batch.times.max())
        core.newest = max(core.newest, judged.reached)
        observed.present = not judged.replayed.all()
        _take(core, judged, observed)
    if core.replaying:
        _count_lost(core, judged)
    return observed


def _count_lost(core: PartitionCore, judged: Judged) -> None:
    refused = sum(is_replay(record.headers) for record, _ in judged.rejected)
    core.replayed.add(refused=refused)
    if judged.batch.topic in FEATURE_TOPICS:
        core.replayed.add(late=int((judged.late & judged.replayed).sum()))


def _begin(core: PartitionCore, judged: Judged, *, featured: bool) -> None:
    """Start on the grid before the earliest event or tick.

    The first part settles it: by then the watermark has passed a decision time, so that no earlier
    event can come, and the start is the same however the topics were interleaved. An event that no
    replay has sent starts nothing long before its own record: who bought then is not judged any more,
    and one wrong date would cost a sweep for each day of decades.
    """
    if core.matured is not None:
        return
    starts = [core.config.grid.before(ts_ms(tick)) for tick in judged.ticks[:1]]
    if featured and not judged.late.all():
        present = ~judged.replayed & (judged.stamps < ANY_TIME)
        bounds = np.where(present, judged.stamps - core.config.looks_back_ms, BEGINNING)
        times = np.maximum(judged.batch.times, bounds)[~judged.late]
        starts.append(core.config.grid.floor(int(times.min())))
    if starts:
        core.swept = min(starts) if core.swept is None else min(core.swept, *starts)


def _take(core: PartitionCore, judged: Judged, observed: Observed) -> None:
    topic = judged.batch.topic
    # Consent, unsubscription and erasure apply however late they come; features do not change any more.
    if topic in FEATURE_TOPICS:
        pieces: Iterable[NDArray[np.intp]] = [(~judged.late).nonzero()[0]]
    else:
        pieces = _cut_behind_erasures(judged.batch)
    for piece in pieces:
        if len(piece):
            _take_piece(core, judged.batch.take(piece), judged.replayed[piece], observed)


def _take_piece(core: PartitionCore, batch: Columns, replayed: NDArray[np.bool_], observed: Observed) -> None:
    kept = _surviving(core, batch)
    observed.counts["erased"] += len(batch) - len(kept)
    batch, replayed = batch.take(kept), replayed[kept]
    slots = _slots(core, batch)
    # An erasure that comes again after a torn write is carried out again, upon whatever that write left:
    # stamps tell what is in a row, and an erasure is in none.
    fresh = (core.table.fresh(batch, slots) | (batch.kinds == _ERASURE)).nonzero()[0]
    observed.counts["duplicate"] += len(batch) - len(fresh)
    observed.counts["accepted"] += len(fresh)
    core.dirty.update(batch.users)
    if core.replaying:
        again = int(replayed.sum()) - (new := int(replayed[fresh].sum()))
        core.replayed.add(accepted=new, duplicate=again)
    batch, slots, replayed = batch.take(fresh), slots[fresh], replayed[fresh]
    if batch.topic in FEATURE_TOPICS:
        # Not `swept`: that sweep may have to be repeated after a crash, upon rows that are durable.
        core.table.apply(batch, slots, core.durable_swept)
    else:
        _personal(core, batch, slots, observed)
    found = find(core.config, batch, replayed)
    _note_signals(core, found)
    for trigger in found:
        if trigger.replayed:
            observed.unheld += core.hold(trigger)
        else:
            observed.triggered.append(trigger)


def _note_signals(core: PartitionCore, found: Iterable[Trigger]) -> None:
    """Whoever was erased by the same batch is gone."""
    index = core.table.index
    known = [(index[each.user], each.ts) for each in found if each.user in index]
    slots, times = np.array(known, np.int64).reshape(-1, 2).T
    core.table.note_signals(slots, times, core.durable_swept)


def _slots(core: PartitionCore, batch: Columns) -> Slots:
    index = core.table.index
    found = [index.get(user, -1) for user in batch.users]
    if -1 in found:
        strangers = dict.fromkeys(user for user, slot in zip(batch.users, found, strict=True) if slot < 0)
        core.table.add(list(strangers), [core.hash(user) for user in strangers])
        found = [index[user] for user in batch.users]
    return np.array(found, np.intp)


def _personal(core: PartitionCore, batch: Columns, slots: Slots, observed: Observed) -> None:
    """Profile, consent, treatment and erasure: registers in which the newest event wins."""
    if batch.topic == "outcomes":
        _outcomes(core, batch, slots, observed)
    profiles = core.table.profiles
    for event, slot in zip(batch.events, slots.tolist(), strict=True):
        profile = merge(profiles.get(slot), event)
        if profile != _UNKNOWN:
            profiles[slot] = profile
    if len(batch) and batch.kinds[-1] == _ERASURE:
        user, ts = batch.users[-1], int(batch.times[-1])
        _erase(core, user, ts, int(batch.offsets[-1]))
        observed.erased.append((user, ts))


def _outcomes(core: PartitionCore, batch: Columns, slots: Slots, observed: Observed) -> None:
    """Who was treated: nobody by a command that must not be sent, whatever a gateway made of it."""
    marks = [mark_of_command(event.command_id) for event in batch.events]
    observed.outcomes.update(marks)
    sent = np.array([mark == "live" for mark in marks], bool) & (batch.kinds == _DELIVERED)
    np.maximum.at(core.table.rows["treated_at"], slots[sent], batch.times[sent])


def _surviving(core: PartitionCore, batch: Columns) -> NDArray[np.intp]:
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


def _erase(core: PartitionCore, user: str, ts: int, offset: int) -> None:
    """Forget `user`, whose erasure of time `ts` stands at `offset` of `customers`."""
    code = core.hash(user)
    core.forget(user)
    offsets = tuple(offset if topic == "customers" else core.clocks[topic].offset for topic in TOPICS)
    before = core.erased.get(code)
    core.erased[code] = Erased(ts if before is None else max(ts, before.ts), offsets)
    core.new_erased.add(code)
    for start, cohort in list(core.cohorts.items()):
        keep = cohort.hashes != np.uint64(code)
        if not keep.all():
            core.cohorts[start] = cohort.take(keep)
            core.new_cohorts.add(start)


def _cut_behind_erasures(batch: Columns) -> list[NDArray[np.intp]]:
    """All events in pieces that have an erasure, if any, as their last event: what follows starts anew."""
    ends = np.flatnonzero(batch.kinds == _ERASURE) + 1
    return np.split(np.arange(len(batch)), ends)
