from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import events
from features.events import TRIGGERS, TRIGGERS_IF_BAD, Event, Kind, PageView, Purchase, Tick, ts_ms
from features.fields import epoch_ms
from features.inputs import ALIASES, EVENT_TYPES, TOPIC_OF, type_name, wire_types
from tests.examples import examples

ALL_TYPES = [kind for kinds in EVENT_TYPES.values() for kind in kinds]


def test_every_kind_but_the_tick_is_one_event_type_of_one_topic():
    assert sorted(kind.kind for kind in ALL_TYPES) == list(Kind)[1:]


def test_kinds_are_dense_from_zero_so_that_they_can_index_columns():
    assert [int(kind) for kind in Kind] == list(range(len(Kind)))


def test_the_name_of_every_type_is_its_kind_in_small_letters():
    assert [type_name(kind) for kind in ALL_TYPES] == [kind.kind.name.lower() for kind in ALL_TYPES]


def test_kind_numbers_stay_because_stored_columns_hold_them():
    assert (Kind.TICK, Kind.LOGIN, Kind.PURCHASE, Kind.REVIEW, Kind.PROFILE, Kind.REPLIED) == (
        0,
        8,
        9,
        13,
        16,
        24,
    )


def test_refund_cancel_complaint_and_unsubscribe_are_triggers_and_bad_reviews_and_surveys_may_be():
    assert {kind.name for kind in TRIGGERS} == {"REFUND", "CANCEL", "COMPLAINED", "UNSUBSCRIBED"}
    assert {kind.name for kind in TRIGGERS_IF_BAD} == {"REVIEW", "SURVEY"}


def test_every_alias_names_a_type_of_the_topic_it_stands_in():
    for name, kind in ALIASES.items():
        assert kind in EVENT_TYPES[TOPIC_OF[name]]
        assert any(alias.__struct_config__.tag == name for alias in wire_types(TOPIC_OF[name]))


def test_an_alias_is_an_instance_of_its_type_with_its_kind():
    (alias,) = [kind for kind in wire_types("orders") if kind.__struct_config__.tag == "Order Completed"]

    assert issubclass(alias, Purchase)
    assert alias.kind is Kind.PURCHASE


def test_every_topic_carries_ticks():
    assert all(Tick in wire_types(topic) for topic in EVENT_TYPES)


def test_events_that_say_nothing_beyond_the_envelope_are_encoded_short():
    event = PageView(event_id="e", user_id="u", ts=852_120_000_000)

    assert msgspec.json.encode(event) == (
        b'{"type":"page_view","event_id":"e","user_id":"u","ts":852120000000}'
    )


def test_no_event_is_watched_by_the_garbage_collector():
    structs = [each for each in vars(events).values() if isinstance(each, type) and issubclass(each, Event)]

    assert all(not each.__struct_config__.gc and each.__struct_config__.frozen for each in structs)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1997, 1, 1, 12, tzinfo=UTC), 852_120_000_000),
        (datetime(1997, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))), 852_120_000_000),
        (datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC), 1_709_251_199_999),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), -1),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-23))), 253_402_383_599_000),
    ],
)
def test_epoch_milliseconds_round_down_and_are_defined_beyond_year_9999(time: datetime, expected: int):
    assert epoch_ms(time) == expected


@examples(50)
@given(st.datetimes(timezones=st.timezones()))
def test_epoch_milliseconds_do_not_depend_on_the_time_zone(time: datetime):
    event = PageView(event_id="e", user_id="u", ts=time)  # type: ignore[arg-type]

    assert ts_ms(event) == epoch_ms(time)
    assert abs(ts_ms(event) - time.timestamp() * 1000) <= 1
