"""Events that speak for themselves: a bad review, refund, cancel, complaint or unsubscription.

Their customer is scored at once, after the micro-batch that holds the event, at most once per cool-down.
A trigger neither opens nor closes an episode (DESIGN 4.4, 4.8). Triggers of a replay are held until the next
sweep and answered as of its decision time, with its models: what a micro-batch holds is an accident of
polling, and a replay must end the same however it was polled (DESIGN 4.6).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from features.events import TRIGGERS, Kind
from models.alerts import Alert, ModelRef, alert_id
from models.episodes import TIERS
from models.judging import judge, reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.columns import Columns
    from models.core import CoreConfig, PartitionCore
    from models.versions import ModelSet


class Trigger(NamedTuple):
    """A trigger event: whose, which, when, and whether it comes from a replay."""

    user: str
    event_id: str
    ts: int
    replayed: bool


class Held(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A replayed trigger that waits for the next sweep, kept in its customer's row."""

    ts: int
    event_id: str


def find(core: PartitionCore, batch: Columns, replayed: NDArray[np.bool_]) -> list[Trigger]:
    """The trigger events of a batch of fresh events."""
    return [
        Trigger(event.user_id, event.event_id, ts, bool(again))
        for event, ts, again in zip(batch.events, batch.times.tolist(), replayed, strict=True)
        if _speaks(event, core.config)
    ]


def _speaks(event: Any, config: CoreConfig) -> bool:
    if event.kind in TRIGGERS:
        return True
    if event.kind == Kind.REVIEW:
        return event.rating is not None and event.rating <= config.low_rating
    return bool(event.kind == Kind.SURVEY and event.score <= config.low_survey)


def answer(core: PartitionCore, found: Sequence[Trigger], models: ModelSet, oldest: int) -> Counter[str]:
    """Score each trigger's customer; see `PartitionCore.answer`. Returns counts by what became of them."""
    counts: Counter[str] = Counter()
    for trigger in found:
        counts[_answer(core, trigger, models, oldest=oldest)] += 1
    return counts


def hold(core: PartitionCore, trigger: Trigger) -> None:
    """Keep a replayed trigger for the next sweep."""
    core.held.setdefault(trigger.user, []).append(Held(trigger.ts, trigger.event_id))
    core.dirty.add(trigger.user)


def answer_held(core: PartitionCore, ts: int, models: ModelSet) -> Counter[str]:
    """Answer the held triggers before decision time `ts`, in the order of their times."""
    due = sorted((held, user) for user, waiting in core.held.items() for held in waiting if held.ts < ts)
    counts: Counter[str] = Counter()
    for held, user in due:
        trigger = Trigger(user, held.event_id, held.ts, replayed=True)
        counts[_answer(core, trigger, models, as_of=ts)] += 1
        core.dirty.add(user)
    for user in {user for _, user in due}:
        rest = [held for held in core.held.pop(user) if held.ts >= ts]
        if rest:
            core.held[user] = rest
    return counts


def _answer(
    core: PartitionCore, trigger: Trigger, models: ModelSet, *, oldest: int = 0, as_of: int | None = None
) -> str:
    slot = core.table.slot(trigger.user)
    if slot is None:
        return "unknown"
    row = core.table.rows[slot]
    if row["triggered_at"] and trigger.ts - int(row["triggered_at"]) < core.config.trigger_cooldown_ms:
        return "cooling_down"
    core.table.rows["triggered_at"][slot] = trigger.ts
    core.dirty.add(trigger.user)
    if not core.enough_data(models):
        return "warming_up"
    if trigger.ts < oldest and not trigger.replayed:
        return "stale"
    slots = np.array([slot])
    if as_of is None:
        ts = max(trigger.ts, int(row["last_ts"])) + 1
    else:
        ts, slots = as_of, core.table.as_of(slots, as_of)
    probability = float(judge(core.table.rows, slots, ts, core.config.horizon_days, models).probabilities[0])
    tier = TIERS[int(core.config.thresholds.tiers(np.array([probability]))[0])]
    if tier == "none":
        return "below_threshold"
    alert = Alert(
        alert_id=alert_id(trigger.user, "trigger", trigger.event_id),
        kind="trigger",
        status="opened",
        user_id=trigger.user,
        ts=trigger.ts,
        probability=probability,
        tier=tier,
        reasons=reasons(core.table.rows[slots], ts, core.config.horizon_days, models)[0],
        model=ModelRef(name=models.champion, version=models.number),
        horizon_days=core.config.horizon_days,
        dry_run=trigger.replayed,
    )
    core.add_pending(trigger.user, msgspec.json.encode(alert))
    return "alert"
