"""Events that speak for themselves: a bad review, refund, cancel, complaint or unsubscription.

Triggers of a replay are held until the next sweep: what a micro-batch holds is an accident of polling, and a
replay must end the same however it was polled (DESIGN 4.6). Live ones are held while consent is not known: a
command must not overtake a withdrawal that was sent before it. What follows is in `models.answering`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from features.events import TRIGGERS, TRIGGERS_IF_BAD, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from features.columns import Columns
    from models.config import CoreConfig
    from models.marks import Mark

#: Triggers of one customer that wait. More have nothing to add: one alert answers them, and the others fall
#: into its cool-down. They stand in the customer's row, which a broker takes up to a megabyte.
MAX_HELD: Final = 16

#: Where a customer's record keeps when a trigger was answered last, under each mark.
TRIGGERED_AT: Final[Mapping[Mark, str]] = {
    "live": "triggered_at",
    "shadow": "shadow_triggered_at",
    "rehearsal": "rehearsal_triggered_at",
}

_MAY_SPEAK: Final = np.zeros(max(Kind) + 1, bool)
_MAY_SPEAK[[*TRIGGERS, *TRIGGERS_IF_BAD]] = True


class Trigger(NamedTuple):
    """A trigger event: whose, which, when, and whether it comes from a replay."""

    user: str
    event_id: str
    ts: int
    replayed: bool


class Held(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A trigger that waits, kept in its customer's row: a replayed one for the next sweep."""

    ts: int
    event_id: str
    replayed: bool = True


def triggered_at(rows: NDArray[np.void], slots: NDArray[np.intp]) -> NDArray[np.int64]:
    """When a trigger of the records at `slots` (n,) was answered last, whatever its mark; 0 = never."""
    last: NDArray[np.int64] = np.maximum.reduce([rows[name][slots] for name in TRIGGERED_AT.values()])
    return last


def find(config: CoreConfig, batch: Columns, replayed: NDArray[np.bool_]) -> list[Trigger]:
    """The trigger events of a batch of fresh events."""
    times, events = batch.times, batch.events
    return [
        Trigger(event.user_id, event.event_id, int(times[i]), bool(replayed[i]))
        for i in np.flatnonzero(_MAY_SPEAK[batch.kinds]).tolist()
        if _speaks(event := events[i], config)
    ]


def _speaks(event: Any, config: CoreConfig) -> bool:
    if event.kind == Kind.REVIEW:
        return event.rating is not None and event.rating <= config.low_rating
    return bool(event.kind != Kind.SURVEY or event.score <= config.low_survey)
