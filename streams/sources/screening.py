"""What of a recorded log may be believed: the one gate before every backtest, report, search and replay.

Rows dated ahead of now, and rows that lie apart from all others, are left out, counted and named; holes
within the log are named. What is left out would make a log last decades, and all its customers leave.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np

from features.layout import DAY_MS
from models.observation import holes, observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.sources import Source, SourceEvent

#: Purchases make the labels.
_OF_LABELS: Final = "orders"
#: Holes named one by one; a log with more is full of them.
_NAMED_HOLES: Final = 5


@runtime_checkable
class Locating(Protocol):
    """A source that knows where its events stand."""

    def where(self, event: SourceEvent) -> str:
        """The place of the first such event, for people; "" if there is none."""


class Screened(NamedTuple):
    """The `events` of a log that may be believed, by time, and `notes` on what may not, a line each."""

    events: Iterable[SourceEvent]
    notes: list[str]


def screened(source: Source, now: int, horizon_days: int) -> Screened:
    """The events of `source` as far as they lie within what it observed, none of them after `now` (epoch ms).

    A source that is `ordered` is known to us row by row: it is passed on as it is, and not held in memory.
    Unreadable rows, whose time nobody knows, stay. Raises SourceError.
    """
    if source.ordered:
        return Screened(source, [])
    events = sorted(source, key=attrgetter("ts"))
    readable = np.array([event.ts for event in events if event.user_id], np.int64)
    past = readable[: np.searchsorted(readable, now, "right")]
    if not len(past):
        return Screened(*_without_any(source, events, now))
    seen = observation(past, horizon_days)
    kept: list[SourceEvent] = []
    early: list[SourceEvent] = []
    apart: list[SourceEvent] = []
    ahead: list[SourceEvent] = []
    for event in events:
        if not event.user_id:
            kept.append(event._replace(ts=min(max(event.ts, seen.first), seen.last)))
        elif seen.first <= event.ts <= seen.last:
            kept.append(event)
        else:
            (ahead if event.ts > now else early if event.ts < seen.first else apart).append(event)
    kept.sort(key=attrgetter("ts"))
    notes = [
        *_left_out(source, ahead, f"dated ahead of now, {_day(now)}"),
        *_left_out(source, early, f"far from all others: a gap until {_day(seen.first)}"),
        *_left_out(source, apart, f"far from all others: a gap since {_day(seen.last)}"),
        *_holes(kept),
    ]
    return Screened(kept, notes)


def _without_any(source: Source, events: list[SourceEvent], now: int) -> tuple[list[SourceEvent], list[str]]:
    ahead = [event for event in events if event.user_id]
    return [event for event in events if not event.user_id], _left_out(
        source, ahead, f"dated ahead of now, {_day(now)}"
    )


def _left_out(source: Source, events: Sequence[SourceEvent], why: str) -> list[str]:
    if not events:
        return []
    first = events[0]
    where = source.where(first) if isinstance(source, Locating) else ""
    place = where and f", {where}"
    rows = "1 row" if len(events) == 1 else f"{len(events):,} rows"
    newest = "" if len(events) == 1 else f", the last of {_day(events[-1].ts)}"
    return [f"left out: {rows} {why} (the first of {_day(first.ts)}{place}{newest})"]


def _holes(events: Sequence[SourceEvent]) -> list[str]:
    """A line for each hole in what makes labels, or in all there is if nothing does."""
    times = np.array([event.ts for event in events if event.topic == _OF_LABELS and event.user_id], np.int64)
    what = "no order"
    if not len(times):
        times, what = np.array([event.ts for event in events], np.int64), "nothing"
    found = holes(times)
    named = sorted(sorted(found, key=lambda hole: hole.days)[-_NAMED_HOLES:])
    more = [f"and {len(found) - len(named)} shorter ones"] if len(found) > len(named) else []
    return [
        f"gap: {what} from {_day(hole.first * DAY_MS)} to {_day(hole.last * DAY_MS)} ({hole.days} days). "
        "If the export failed then, labels that lie in it are wrong: everybody seems to leave"
        for hole in named
    ] + more


def _day(ts: int) -> str:
    return str(np.datetime64(ts, "ms").astype("datetime64[D]"))
