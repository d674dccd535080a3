from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.caps import DAY_MS
from interventions.policy import OFFERINGS, CustomerView, PolicyConfig
from interventions.quiet import earliest, is_zone
from tests.examples import examples

HOUR_MS = 3_600_000
#: Every zone that the database knows, and the years whose changes of the clock are looked at.
ZONES = sorted(available_timezones())
YEARS = (2025, 2028)


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("at", "zone", "expected"),
    [
        ("2026-03-02T12:00", "UTC", "2026-03-02T12:00"),
        ("2026-03-02T20:59:59", "UTC", "2026-03-02T20:59:59"),
        ("2026-03-02T21:00", "UTC", "2026-03-03T09:00"),  # quiet begins
        ("2026-03-02T00:00", "UTC", "2026-03-02T09:00"),  # the same day's morning
        ("2026-03-02T08:59:59", "UTC", "2026-03-02T09:00"),
        ("2026-03-02T12:30", "Asia/Tokyo", "2026-03-03T00:00"),  # 21:30 there, 09:00 there
        ("2026-03-07T22:00", "America/New_York", "2026-03-07T22:00"),  # 17:00 there
        ("2026-03-08T03:00", "America/New_York", "2026-03-08T13:00"),  # clocks go forward that night
    ],
)
def test_an_audible_contact_waits_for_the_customers_morning(at: str, zone: str, expected: str):
    assert earliest(_ms(at), zone, 21, 9) == _ms(expected)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "America", "", "a\0b", "x" * 5_000])
def test_a_hostile_or_unknown_name_is_no_time_zone(zone: str):
    assert not is_zone(zone)


def test_quiet_hours_within_one_day_do_not_wrap():
    assert earliest(_ms("2026-03-02T13:15"), "UTC", 13, 15) == _ms("2026-03-02T15:00")
    assert earliest(_ms("2026-03-02T15:00"), "UTC", 13, 15) == _ms("2026-03-02T15:00")


def test_equal_hours_mean_no_quiet_hours():
    assert earliest(_ms("2026-03-02T03:00"), "UTC", 9, 9) == _ms("2026-03-02T03:00")


@cache
def _changes(zone: str) -> list[int]:
    """Every half day (its start, epoch ms) of the years in which the clocks of a zone change."""
    info = ZoneInfo(zone)
    hours = range(_ms(f"{YEARS[0]}-01-01"), _ms(f"{YEARS[1]}-01-01"), 12 * HOUR_MS)
    offsets = [(at, datetime.fromtimestamp(at / 1000, info).utcoffset()) for at in hours]
    return [at for (at, before), (_, after) in pairwise(offsets) if before != after]


def _hour(zone: str, at: int) -> int:
    return datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).hour


def _quiet(hour: int, start: int, end: int) -> bool:
    """By counting on from the first quiet hour."""
    return (hour - start) % 24 < (end - start) % 24


def _by_search(at: int, zone: str, start: int, end: int) -> int:
    """The first moment outside the quiet hours: looked for at every full five minutes."""
    while _quiet(_hour(zone, at), start, end):
        at += 300_000 - at % 300_000
    return at


@pytest.mark.parametrize("zone", ZONES)
def test_in_no_zone_an_audible_contact_is_due_in_quiet_hours_nor_later_than_it_could_be(zone: str):
    """On every night on which the clocks change, and on one on which they do not."""
    for change in [*_changes(zone), _ms("2026-11-11")]:
        for at in range(change - DAY_MS, change + DAY_MS, 5 * HOUR_MS):
            assert earliest(at, zone, 21, 9) == _by_search(at, zone, 21, 9)


@examples(150)
@given(
    zone=st.sampled_from(ZONES),
    place=st.floats(0, 1, exclude_max=True),
    off=st.integers(-30 * 3_600_000, 30 * 3_600_000),
    start=st.integers(0, 23),
    end=st.integers(0, 23),
)
def test_whatever_the_quiet_hours_are_they_are_kept(zone: str, place: float, off: int, start: int, end: int):
    changes = _changes(zone) or [_ms("2026-11-11")]
    at = changes[int(place * len(changes))] + off

    assert earliest(at, zone, start, end) == _by_search(at, zone, start, end)


@examples(100)
@given(zone=st.sampled_from([*ZONES, None]), at=st.integers(_ms("2024-01-01"), _ms("2029-01-01")))
def test_no_command_expires_before_it_could_be_sent(zone: str | None, at: int):
    policy = PolicyConfig(timezone=zone or "Europe/Berlin")
    unknown = CustomerView(1, None, 50.0, 500.0)
    for offering in OFFERINGS:
        plan = policy.plan(offering, unknown, at)

        assert plan is not None
        assert at <= plan.at < plan.expires_at <= at + policy.longest_life_ms(offering)
        assert plan.expires_at - plan.at >= DAY_MS
        if offering.audible:
            assert not _quiet(_hour(policy.timezone or "", plan.at), policy.quiet_start, policy.quiet_end)


def test_zones_are_known_on_a_machine_without_any():
    reset_tzpath(())
    try:
        ZoneInfo.clear_cache()
        assert ZoneInfo("Europe/Berlin").key == "Europe/Berlin"
    finally:
        reset_tzpath()
