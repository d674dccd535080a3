"""What follows from triggers: their customers are scored at once, at most once per cool-down.

Each mark cools down by its own book. A trigger neither opens nor closes an episode (DESIGN 4.4, 4.8). Held
ones are answered at the next sweep, as of its decision time and with its models.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from models.alerts import Alert, ModelRef, TierLevels, alert_id
from models.episodes import TIERS
from models.judging import judge
from models.marks import PUBLISHED_AS, operation
from models.reasons import customers, why
from models.triggers import MAX_HELD, TRIGGERED_AT, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from features.table import Slots
    from models.core import PartitionCore
    from models.marks import Mark
    from models.triggers import Held
    from models.versions import ModelSet


def answer(core: PartitionCore, found: Sequence[Trigger], models: ModelSet, oldest: int) -> Counter[str]:
    """Score the triggers' customers together; returns counts by what became of them.

    Those before `oldest` (epoch ms) raise no alert.
    """
    counts, admitted, slots = _admit(core, found, models, oldest)
    spoke = np.array([trigger.ts for trigger in admitted], np.int64)
    # As of everything that is known of each.
    ts = np.maximum(spoke, core.table.rows["last_ts"][slots]) + 1
    return counts + _judge(core, admitted, slots, ts, models)


def answer_held(core: PartitionCore, ts: int, models: ModelSet) -> Counter[str]:
    """Answer the replayed triggers before decision time `ts` as of it, in the order of their times."""
    found = _release(core, lambda held: held.replayed and held.ts < ts)
    counts, admitted, slots = _admit(core, found, models)
    return counts + _judge(core, admitted, core.table.as_of(slots, ts), ts, models)


def release(core: PartitionCore) -> list[Trigger]:
    """The live triggers that were held, in the order of their times; they are held no more."""
    return _release(core, lambda held: not held.replayed)


def _release(core: PartitionCore, due: Callable[[Held], bool]) -> list[Trigger]:
    found = sorted((held, user) for user, waiting in core.held.items() for held in waiting if due(held))
    for user in {user for _, user in found}:
        core.dirty.add(user)
        rest = [held for held in core.held.pop(user) if not due(held)]
        if rest:
            core.held[user] = rest
    return [Trigger(user, held.event_id, held.ts, held.replayed) for held, user in found]


def _admit(
    core: PartitionCore, found: Sequence[Trigger], models: ModelSet, oldest: int = 0
) -> tuple[Counter[str], list[Trigger], Slots]:
    """What became of those that raise nothing; the other triggers (n,); their customers' live slots (n,)."""
    counts: Counter[str] = Counter()
    admitted, slots = [], []
    raising: Counter[str] = Counter()
    for trigger in found:
        slot = core.table.slot(trigger.user)
        if slot is None:
            counts["unknown"] += 1
            continue
        if raising[trigger.user] == MAX_HELD:
            # Only without a cool-down. Their alerts would stand in the customer's row together.
            counts["too_many"] += 1
            continue
        # What was rehearsed, or raised in shadow, silences nothing that is meant.
        triggered_at = core.table.rows[TRIGGERED_AT[_mark(core, trigger)]]
        last = int(triggered_at[slot])
        if last and trigger.ts - last < core.config.trigger_cooldown_ms:
            counts["cooling_down"] += 1
            continue
        triggered_at[slot] = trigger.ts
        core.dirty.add(trigger.user)
        if not core.enough_data(models):
            counts["warming_up"] += 1
        elif trigger.ts < oldest and not trigger.replayed:
            counts["stale"] += 1
        else:
            raising[trigger.user] += 1
            admitted.append(trigger)
            slots.append(slot)
    return counts, admitted, np.array(slots, np.intp)


def _mark(core: PartitionCore, trigger: Trigger) -> Mark:
    return PUBLISHED_AS[operation(core.config.mode, replaying=trigger.replayed)]


def _judge(
    core: PartitionCore,
    found: Sequence[Trigger],
    slots: Slots,
    ts: int | NDArray[np.int64],
    models: ModelSet,
) -> Counter[str]:
    """Judge the records at `slots` (n,), one for each trigger, as of `ts`, and raise their alerts."""
    if not found:
        return Counter()
    rows, horizon = core.table.rows, core.config.horizon_days
    probabilities = judge(rows, slots, ts, horizon, models).probabilities
    thresholds = core.thresholds(models)
    assert thresholds is not None, "there is enough data"
    tiers = thresholds.tiers(probabilities)
    raised = np.flatnonzero(tiers)
    if len(raised):
        as_of = ts if isinstance(ts, int) else ts[raised]
        signals = np.array([found[i].ts for i in raised.tolist()], np.int64)
        judged = customers(rows, slots[raised], as_of, horizon, models, signals)
        for i, customer in zip(raised.tolist(), judged, strict=True):
            mark = _mark(core, found[i])
            alert = Alert(
                alert_id=alert_id(found[i].user, "trigger", found[i].event_id, mark),
                kind="trigger",
                status="opened",
                user_id=found[i].user,
                ts=found[i].ts,
                probability=float(probabilities[i]),
                tier=TIERS[tiers[i]],
                reasons=why(customer, core.config.languages),
                model=ModelRef(name=models.champion, version=models.number),
                horizon_days=horizon,
                thresholds=TierLevels.of(thresholds),
                mark=mark,
            )
            core.add_pending(found[i].user, msgspec.json.encode(alert), alert.probability)
    return Counter(alert=len(raised), below_threshold=len(found) - len(raised))
