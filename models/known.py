"""As of when customers are known: now, or at a stated time. No number mixes the two."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from features.layout import DAY_MS
from models.cohorts import MILLION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import Slots
    from models.core import PartitionCore


class NotKeptError(ValueError):
    """The record as of a time is not there: it is no longer kept, or that time was not reached yet."""


class Issued(NamedTuple):
    """What a decision time (epoch ms) said of a customer."""

    ts: int
    probability: float


def reached(core: PartitionCore) -> int:
    """The time that a partition has come to (epoch ms): behind its newest event, at its last decision time.

    A function of what was read, so it is right in a replay, too, and behind the wall clock in a backlog.
    """
    return max(core.newest + 1, core.swept or 0, *(clock.bound for clock in core.clocks.values()), 0)


def newest(core: PartitionCore) -> int:
    """How far event time has come, from the stored state: nobody's clock counts beyond the partition's."""
    latest = max(clock.bound for clock in core.clocks.values()) + core.config.lateness_ms
    return min(int(core.table.rows["last_ts"].max()), latest)


def now(core: PartitionCore, slots: Slots) -> NDArray[np.int64]:
    """As of when the records at live `slots` (n,) are to be read (epoch ms): they hold every event so far."""
    newest: NDArray[np.int64] = core.table.rows["last_ts"][slots]
    return np.maximum(newest + 1, reached(core))


def record_as_of(core: PartitionCore, slot: int, ts: int) -> int:
    """The slot of the record that holds exactly the events before `ts` of the customer at live `slot`.

    Records are kept as of the decision times that are not over, and as of now. Raises NotKeptError.
    """
    if ts > int(now(core, np.array([slot]))[0]):
        raise NotKeptError("that time is ahead of what was read")
    found = int(core.table.as_of(np.array([slot]), ts)[0])
    if int(core.table.rows["last_ts"][found]) >= ts:
        raise NotKeptError("the customer has done something since, and the record of then is not kept")
    return found


def decided(core: PartitionCore) -> int | None:
    """The last decision time (epoch ms); None before the first."""
    return None if core.matured is None else core.swept


def issued(core: PartitionCore, slot: int) -> Issued | None:
    """What the champion said of the customer at live `slot` at the last decision time; None as in `said`."""
    ts = decided(core)
    probability = float(said(core, np.array([slot]))[0])
    return None if ts is None or np.isnan(probability) else Issued(ts, probability)


def said(core: PartitionCore, slots: Slots) -> NDArray[np.float64]:
    """What the champion said of the customers at live `slots` (n,) at the last decision time.

    NaN for those who were not judged then, or are not among the sample that is learned from.
    """
    found = np.full(len(slots), np.nan)
    ts = decided(core)
    cohort = None if ts is None else core.cohorts.get(ts)
    if cohort is None or not len(cohort):
        return found
    codes = core.table.rows["user_hash"][slots]
    place = np.searchsorted(cohort.hashes, codes).clip(max=len(cohort) - 1)
    inside = cohort.hashes[place] == codes
    found[inside] = cohort.by_champion[place[inside]] / MILLION
    return found


def active(core: PartitionCore, slots: Slots, ts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the records at `slots` (n,), read as of `ts` (n,), are of customers whose risk is judged.

    They bought within the configured days.
    """
    last = core.table.rows["last_purchase"][slots]
    within = last >= ts - core.config.active_within_days * DAY_MS
    return np.asarray((last > 0) & within)
