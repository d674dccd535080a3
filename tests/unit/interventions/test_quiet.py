from __future__ import annotations

from datetime import UTC, datetime

import pytest

from interventions.quiet import earliest, is_zone


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
