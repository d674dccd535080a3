"""What happens at a decision time: cohorts mature, everybody active is judged, episodes move."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from features.layout import DAY_MS, gather
from features.returns import ReturnHistogram
from features.view import return_statistics
from models.alarms import move_episodes
from models.answering import answer_held
from models.closings import buyers_by_day, open_time
from models.cohorts import MILLION, Cohort, churned, sample
from models.drift import InputHistogram
from models.episodes import tiers_by
from models.groups import Groups
from models.judging import chunks, judge, rhythms
from models.panel import active_at, draw
from models.parts import Matured, Part
from models.triggers import triggered_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import Slots
    from models.core import PartitionCore
    from models.judging import Judgement
    from models.versions import ModelSet


_BUYING: Final = ("first_purchase", "last_purchase", "order_days")


@dataclass
class Sweep:
    """One sweep: live `slots` (n,) of the active customers, with probabilities and tiers, and what it raised.

    `alerts` counts by status.
    """

    ts: int
    slots: Slots
    probabilities: NDArray[np.float64]
    tiers: NDArray[np.uint8]
    alerts: Counter[str]
    #: Customers above the threshold for whom no episode was opened, by why: `not_overdue`.
    withheld: Counter[str] = field(default_factory=Counter)
    #: Why no alert was raised although customers were above the threshold: `warming_up`, `stale`, or "".
    silent: str = ""
    #: Held triggers by what became of them.
    triggers: Counter[str] = field(default_factory=Counter)
    #: Episodes of another operation that ended without a word.
    handed_over: int = 0
    #: Customers whom the guard kept from being alarmed, anew or more strongly.
    held: int = 0
    #: Customers forgotten after a long silence.
    evicted: int = 0


def mature(core: PartitionCore, ts: int, models: ModelSet) -> Part:
    """The part of decision time `ts`: cohorts whose labels are known by then, buying rhythms, and the panel.

    `models` are in force before the version as of `ts` is there. May be repeated until
    `sweep(core, ts, ...)`; equal state and models give an equal part.
    """
    horizon = core.config.horizon_days
    live = core.table.live_slots()
    as_of = core.table.as_of(live, ts)
    due = sorted(start for start in core.cohorts if start + horizon * DAY_MS <= ts)
    by_hash = np.argsort(core.table.rows["user_hash"][live], kind="stable")
    matured = tuple(_matured(core, core.cohorts[start], live[by_hash], as_of[by_hash]) for start in due)
    statistics = [
        return_statistics(bought, open_time(bought["last_ts"], ts, models.closed))
        for rows in (gather(core.table.rows, as_of[chunk]) for chunk in chunks(len(as_of)))
        for bought in [rows[rows["first_purchase"] > 0]]
    ]
    x, t_x, age = (np.concatenate([each[i] for each in statistics] or [np.zeros(0)]) for i in range(3))
    core.matured = ts
    # What the last sweep was given: of one decision time in all partitions.
    last = None if core.swept is None else core.cohorts.get(core.swept)
    return Part(
        core.partition,
        ts,
        matured,
        ReturnHistogram.from_arrays(x, t_x, age),
        inputs=None if last is None else InputHistogram.of(last.inputs),
        panel=draw(core, ts, models),
        buyers=buyers_by_day(core.table.rows, as_of, ts, core.config.grid.every_days),
    )


def _matured(core: PartitionCore, cohort: Cohort, live: Slots, as_of: Slots) -> Matured:
    """Labels of a cohort's members, found by hash (`live` is in hash order); the erased ones are left out."""
    known = core.table.rows["user_hash"][live]
    place = np.searchsorted(known, cohort.hashes)
    found = np.zeros(len(cohort), bool)
    inside = place < len(known)
    found[inside] = known[place[inside]] == cohort.hashes[inside]
    cohort, place = cohort.take(found), place[found]
    start, end = cohort.decision_time, cohort.decision_time + core.config.horizon_days * DAY_MS
    treated_at = core.table.rows["treated_at"][live[place]]
    labels = np.concatenate(
        [
            churned(gather(core.table.rows, as_of[place[chunk]]), start, core.config.horizon_days)
            for chunk in chunks(len(place))
        ]
        or [np.zeros(0, bool)]
    )
    return Matured(cohort, labels, (treated_at >= start) & (treated_at < end))


def sweep(core: PartitionCore, ts: int, models: ModelSet, *, act: bool = True) -> Sweep:
    """Judge every active customer as of `ts`; `act` False raises no alert (too old, DESIGN 4.10)."""
    table, config = core.table, core.config
    slots, as_of = active_at(core, ts)
    judgement = judge(table.rows, as_of, ts, config.horizon_days, models)
    result = Sweep(
        ts=ts,
        slots=slots,
        probabilities=judgement.probabilities,
        tiers=tiers_by(core.thresholds(models), judgement.probabilities),
        alerts=Counter(),
        silent="" if act and core.enough_data(models) else ("warming_up" if act else "stale"),
    )
    # Before the episodes, which ask for triggers: a sweep that is repeated finds those answered already.
    result.triggers = answer_held(core, ts, models)
    if not result.silent:
        move_episodes(core, result, as_of, models)
    # Behind the episodes: a cohort tells who was warned.
    _keep_cohort(core, ts, judgement, slots=slots, as_of=as_of, models=models)
    result.evicted = _finish(core, ts)
    return result


def _keep_cohort(
    core: PartitionCore,
    ts: int,
    judgement: Judgement,
    *,
    slots: Slots,
    as_of: Slots,
    models: ModelSet,
) -> None:
    rows = core.table.rows
    hashes = rows["user_hash"][slots]
    keep = np.flatnonzero(sample(hashes, core.config.learn_sample))
    keep = keep[np.argsort(hashes[keep], kind="stable")]
    if len(keep):
        core.cohorts[ts] = Cohort(
            decision_time=ts,
            contenders=models.contenders,
            champion=models.champion,
            hashes=hashes[keep],
            inputs=judgement.inputs[keep],
            issued=np.rint(judgement.issued[keep] * MILLION).astype(np.uint32),
            recency=((ts - rows["last_purchase"][as_of[keep]]) // DAY_MS).astype(np.uint16),
            rhythm=rhythms(rows, as_of[keep], ts, models),
            warned=rows["tier"][slots[keep]] * (rows["episode_start"][slots[keep]] > 0),
            groups=_groups(core, slots[keep]),
        )
        core.new_cohorts.add(ts)


def _groups(core: PartitionCore, slots: Slots) -> Groups | None:
    """Groups of the customers at `slots` (live), as profiles say now; None unless audits are asked for."""
    audited, profiles = core.config.audit, core.table.profiles
    if not audited:
        return None
    silent = [None] * len(audited)
    found = [profiles[slot].groups(audited) if slot in profiles else silent for slot in slots.tolist()]
    return Groups.of(audited, found)


def _finish(core: PartitionCore, ts: int) -> int:
    """Mark the sweep, and forget matured cohorts and the long gone; how many those were."""
    core.swept = ts
    for start in [s for s in core.cohorts if s + core.config.horizon_days * DAY_MS <= ts]:
        del core.cohorts[start]
        core.new_cohorts.add(start)
    return evict(core, ts)


def evict(core: PartitionCore, ts: int) -> int:
    """Forget, as of decision time `ts`, who gave no sign for longer than the configured time; how many.

    The live record decides: who is back already, before the sweep of `ts`, keeps the old history (in a
    lock-step replay nobody can be). A profile alone is kept: consent does not grow old with the last
    visit. So is who has an alert that waits to be published: the row is all that remembers it.
    """
    rows, live = core.table.rows, core.table.live_slots()
    last = rows["last_ts"][live]
    sign = np.maximum(last, triggered_at(rows, live))
    gone = (last > 0) & (sign < ts - core.config.evict_after_days * DAY_MS)
    names = [core.table.name(slot) for slot in live[gone].tolist()]
    evicted = [user for user in names if user not in core.pending and user not in core.held]
    for user in evicted:
        core.table.remove(user)
        core.gone.add(user)
    return len(evicted)
