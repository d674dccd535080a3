"""What becomes of those whom the guard holds back, at a sweep."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.marks import CODES, DROPPED

if TYPE_CHECKING:
    from features.table import Slots
    from models.core import PartitionCore
    from models.episodes import Mask, Moves
    from models.guard import Hold


def hold_back(core: PartitionCore, slots: Slots, ts: int, moves: Moves, hold: Hold) -> Moves:
    """The moves of the customers at `slots` (n,) that are left while `hold` is in force.

    Nobody is alarmed anew or more strongly; who bought, or is at risk no more, is resolved as ever. Who was
    dropped by an operator stays inside an episode without alerts, until it ends.
    """
    nobody = np.zeros(len(slots), bool)
    if hold.dropped:
        rows, dropped = core.table.rows, slots[moves.opened]
        rows["episode_start"][dropped], rows["episode_mark"][dropped] = ts, DROPPED
        rows["judged_at"][dropped] = ts
        core.dirty.update(core.table.name(slot) for slot in dropped.tolist())
    return replace(moves, opened=nobody, escalated=nobody)


def end_dropped(core: PartitionCore, slots: Slots, moves: Moves) -> Moves:
    """Without the moves of those at `slots` whose episode an operator dropped: it ends without a word.

    So does one that was opened under another operation and could not be handed over, because of a hold.
    """
    rows = core.table.rows
    dropped: Mask = rows["episode_mark"][slots] != CODES[core.operation]
    ended = slots[dropped & moves.resolved]
    for name in ("episode_start", "episode_mark", "tier"):
        rows[name][ended] = 0
    core.dirty.update(core.table.name(slot) for slot in ended.tolist())
    return replace(moves, escalated=moves.escalated & ~dropped, resolved=moves.resolved & ~dropped)
