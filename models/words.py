"""An operator's word on alerts that the guard holds back.

It stands on the `models` topic under its own key, beside the override of the trainer, and says who gave it
and when. It is of one hold, and means nothing to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from models.versions import ModelSet

ALARMS_KEY: Final = b"alarms"

#: Alarm those who are held back with the next decision time, or let their stay above the threshold pass.
Verdict = Literal["release", "drop"]


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What `said_by` said at `said_at` (epoch ms) of the hold that began at decision time `since`."""

    verdict: Verdict
    since: int
    said_at: int
    said_by: str


def heard(models: ModelSet, word: Word | None) -> ModelSet:
    """The models in force under what was said of their hold."""
    hold = models.hold
    if hold is None or word is None or word.since != hold.since:
        return models
    heeded = None if word.verdict == "release" else msgspec.structs.replace(hold, dropped=True)
    return msgspec.structs.replace(models, hold=heeded)
