"""Quiet hours: when a phone may ring, in the customer's own time."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

#: Local clocks are put forward and back by whole multiples of this in every zone of our days.
_STEP_MS: Final = 300_000


def earliest(ts: int, timezone: str, start: int, end: int) -> int:
    """The first moment at or after `ts` (epoch ms) outside the local hours [start, end).

    The span wraps midnight when `start` > `end` and is empty when they are equal. `timezone` is a name for
    which `is_zone` holds.

    >>> evening = 72_000_000  # 1970-01-01 20:00 UTC, 21:00 in Berlin
    >>> earliest(evening, "Europe/Berlin", 21, 9) - evening == 12 * 3_600_000
    True
    """
    zone = _zone(timezone)
    assert zone is not None, f"{timezone} is no time zone"
    local = datetime.fromtimestamp(ts / 1000, zone)
    if not _within(local.hour, start, end):
        return ts
    wake = local.replace(hour=end, minute=0, second=0, microsecond=0, fold=0)
    if local.hour >= end:
        wake += timedelta(days=1)
    moment = max(int(wake.timestamp()) * 1000, ts)
    # Where clocks are put back over the end of the quiet hours, these begin once more.
    while _within(datetime.fromtimestamp(moment / 1000, zone).hour, start, end):
        moment += _STEP_MS - moment % _STEP_MS
    return moment


def is_zone(name: str) -> bool:
    """Whether the time zone database knows this name."""
    return _zone(name) is not None


def _within(hour: int, start: int, end: int) -> bool:
    if start <= end:
        return start <= hour < end
    return hour >= start or hour < end


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    # The name comes from outside: it may be unknown (KeyError), malformed (ValueError), or the name
    # of a folder of the database (OSError).
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
