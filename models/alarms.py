"""Who is alarmed at a sweep: episodes open, escalate and end, and each move is an alert.

The guard may hold moves back (`models.holding`), and what was opened under another operation ends without a
word (`models.handover`). Alerts stand in the rows of their customers until they are published.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from models import known
from models.alerts import Alert, ModelRef, TierLevels, alert_id
from models.episodes import TIERS, Moves
from models.episodes import judge as judge_episodes
from models.handover import end_foreign_episodes
from models.holding import end_dropped, hold_back
from models.marks import CODES, PUBLISHED_AS
from models.reasons import End, customers, why, why_ended
from models.rhythm import not_overdue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import Slots
    from models.alerts import Reason, Status
    from models.core import PartitionCore
    from models.sweeping import Sweep
    from models.versions import ModelSet


def move_episodes(core: PartitionCore, sweep: Sweep, as_of: Slots, models: ModelSet) -> None:
    """Open, escalate and end the episodes of those judged, with records at `as_of` (n,), and raise alerts.

    Counts what it does in `sweep`.
    """
    moves = _moves(core, sweep, as_of, models)
    statuses: tuple[Status, ...] = ("opened", "escalated", "resolved")
    for status, mask in zip(statuses, (moves.opened, moves.escalated, moves.resolved), strict=True):
        chosen = np.flatnonzero(mask)
        if len(chosen):
            _move(core, sweep, chosen, status, as_of=as_of, models=models)


def _moves(core: PartitionCore, sweep: Sweep, as_of: Slots, models: ModelSet) -> Moves:
    """What this decision time does to whom."""
    rows, slots, ts = core.table.rows, sweep.slots, sweep.ts
    # A rehearsal raises what it would have raised: nothing follows from it.
    hold = None if core.replaying else models.hold
    if hold is None:
        sweep.handed_over = end_foreign_episodes(core, slots)
    since, tier = rows["episode_start"][slots], rows["tier"][slots]
    thresholds = core.thresholds(models)
    assert thresholds is not None, "there is enough data"
    moves = judge_episodes(thresholds, sweep.probabilities, since, tier, rows["last_purchase"][as_of])
    moves = end_dropped(core, slots, moves)
    # A row may be durable although the sweep that changed it is not: what this decision time did stays done.
    undecided = rows["judged_at"][slots] < ts
    opened = moves.opened & undecided
    if core.config.only_overdue:
        above = np.flatnonzero(opened)
        early = above[not_overdue(rows, as_of[above], ts, models.rhythm, models.closed)]
        opened[early] = False
        sweep.withheld += Counter(not_overdue=len(early))
    moves = Moves(opened, moves.escalated & undecided, moves.resolved & undecided)
    if hold is None:
        return moves
    sweep.held = int((moves.opened | moves.escalated).sum())
    return hold_back(core, slots, ts, moves, hold)


def _move(
    core: PartitionCore,
    sweep: Sweep,
    chosen: NDArray[np.intp],
    status: Status,
    *,
    as_of: Slots,
    models: ModelSet,
) -> None:
    """Raise the alerts of the `chosen` (k,) of those judged, and keep in their records where they stand."""
    rows, moved = core.table.rows, sweep.slots[chosen]
    if status == "opened":
        rows["episode_start"][moved] = sweep.ts
        rows["episode_mark"][moved] = CODES[core.operation]
    because = _because(core, sweep, chosen, status, as_of=as_of, models=models)
    _raise(core, sweep, chosen, status, because=because, models=models)
    rows["tier"][moved] = 0 if status == "resolved" else sweep.tiers[chosen]
    rows["judged_at"][moved] = sweep.ts
    if status == "resolved":
        rows["episode_start"][moved] = 0
        rows["episode_mark"][moved] = 0
    sweep.alerts[status] += len(chosen)


def _because(
    core: PartitionCore,
    sweep: Sweep,
    chosen: NDArray[np.intp],
    status: Status,
    *,
    as_of: Slots,
    models: ModelSet,
) -> list[tuple[Reason, ...]]:
    """The reasons of each of the `chosen` (k,)."""
    rows, moved, languages = core.table.rows, sweep.slots[chosen], core.config.languages
    signals = rows["signalled_at"][as_of[chosen]]
    judged = customers(rows, as_of[chosen], sweep.ts, core.config.horizon_days, models, signals)
    if status != "resolved":
        return [why(customer, languages) for customer in judged]
    thresholds = core.thresholds(models)
    assert thresholds is not None, "there is enough data"
    bought = rows["last_purchase"][as_of[chosen]] >= rows["episode_start"][moved]
    before = known.said(core, moved)
    ends = [End(b, p, thresholds.closes) for b, p in zip(bought.tolist(), before.tolist(), strict=True)]
    return [why_ended(customer, languages, end) for customer, end in zip(judged, ends, strict=True)]


def _raise(
    core: PartitionCore,
    sweep: Sweep,
    chosen: NDArray[np.intp],
    status: Status,
    *,
    because: list[tuple[Reason, ...]],
    models: ModelSet,
) -> None:
    thresholds = TierLevels.of(core.thresholds(models))
    model, mark = ModelRef(name=models.champion, version=models.number), PUBLISHED_AS[core.operation]
    for i, told in zip(chosen.tolist(), because, strict=True):
        slot = int(sweep.slots[i])
        user = core.table.name(slot)
        alert = Alert(
            alert_id=alert_id(user, "episode", str(core.table.rows["episode_start"][slot]), mark),
            kind="episode",
            status=status,
            user_id=user,
            ts=sweep.ts,
            probability=float(sweep.probabilities[i]),
            tier=TIERS[sweep.tiers[i]],
            reasons=told,
            model=model,
            horizon_days=core.config.horizon_days,
            thresholds=thresholds,
            mark=mark,
        )
        core.add_pending(user, msgspec.json.encode(alert), alert.probability)
