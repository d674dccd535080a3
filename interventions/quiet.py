"""Quiet hours: when a phone may ring, in the customer's own time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo


def earliest(ts: int, timezone: str | None, start: int, end: int) -> int:
    """The first moment at or after `ts` (epoch ms) outside the local hours [start, end).

    The span wraps midnight when `start` > `end` and is empty when they are equal. A zone that is
    absent or not in the time zone database counts as UTC.

    >>> evening = 72_000_000  # 1970-01-01 20:00 UTC, 21:00 in Berlin
    >>> earliest(evening, "Europe/Berlin", 21, 9) - evening == 12 * 3_600_000
    True
    >>> earliest(evening, None, 21, 9) == evening
    True
    """
    local = datetime.fromtimestamp(ts / 1000, _zone(timezone))
    if not _within(local.hour, start, end):
        return ts
    wake = local.replace(hour=end, minute=0, second=0, microsecond=0)
    if local.hour >= end:
        wake += timedelta(days=1)
    return int(wake.timestamp()) * 1000


def _within(hour: int, start: int, end: int) -> bool:
    if start <= end:
        return start <= hour < end
    return hour >= start or hour < end


@lru_cache(maxsize=1024)
def _zone(name: str | None) -> tzinfo:
    # The name comes from outside: it may be unknown (KeyError), malformed (ValueError), or the name
    # of a folder of the database (OSError).
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC
