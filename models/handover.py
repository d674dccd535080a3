"""What becomes of open episodes when the operation changes: a rehearsal ends, a shop goes live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.marks import CODES, DROPPED

if TYPE_CHECKING:
    from features.table import Slots
    from models.core import PartitionCore


def end_foreign_episodes(core: PartitionCore, slots: Slots) -> int:
    """End the episodes at `slots` (n,) that were opened under another operation than today's; how many.

    No alert says so. Whoever is still above the threshold is opened again by the same decision time, as a new
    alert under today's mark: what was rehearsed, or raised in shadow, was never acted upon.
    """
    rows = core.table.rows
    mark = rows["episode_mark"][slots]
    foreign = (rows["episode_start"][slots] > 0) & (mark != CODES[core.operation]) & (mark != DROPPED)
    ended = slots[foreign]
    for name in ("episode_start", "episode_mark", "tier"):
        rows[name][ended] = 0
    core.dirty.update(core.table.name(slot) for slot in ended.tolist())
    return len(ended)
