from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.events import Delivery, ProfileChange, Purchase, Refund, ViewItem
from features.mapping import FieldMapping
from features.rejection import Rejected
from tests.building import DECODERS
from tests.examples import examples

CDNOW = """
topic = "orders"
ts_format = "%Y%m%d"
day_resolution = true
[columns]
user_id = "customer"
ts = "date"
value = "dollars"
"items.quantity" = "cds"
[constants]
type = "purchase"
currency = "USD"
"items.item_id" = "cd"
"items.price" = 0
"""
ROW = {"customer": 4, "date": "19970118", "cds": "2", "dollars": "29.73"}

SEGMENT = FieldMapping(
    topic="clickstream",
    columns={
        "type": "event",
        "event_id": "messageId",
        "user_id": "userId",
        "ts": "timestamp",
        "item_id": "properties.product_id",
        "price": "properties.price",
    },
)


def event(mapping: FieldMapping, row: dict[str, Any], place: str = "file:1") -> Any:
    return DECODERS[mapping.topic].decode(mapping.translate(row, place))


def clicks(**changes: Any) -> FieldMapping:
    columns = {"type": "what", "user_id": "who", "ts": "when"}
    return FieldMapping(topic="clickstream", columns=columns, **changes)


def test_a_row_of_a_table_becomes_an_order_of_one_line_at_noon():
    purchase = event(FieldMapping.from_toml(CDNOW), ROW, "cdnow:1")

    assert isinstance(purchase, Purchase)
    assert (purchase.user_id, purchase.value, purchase.currency) == ("4", 29.73, "USD")
    assert purchase.ts == datetime(1997, 1, 18, 12, tzinfo=UTC).timestamp() * 1000
    assert [(item.item_id, item.quantity) for item in purchase.items] == [("cd", 2.0)]


def test_an_event_without_own_id_is_known_by_its_place_and_its_order_with_it():
    purchase = event(FieldMapping.from_toml(CDNOW), ROW, "cdnow:7")

    assert purchase.event_id == purchase.transaction_id == "cdnow:7"


def test_a_nested_message_of_another_platform_is_understood_live():
    message = {
        "event": "Product Viewed",
        "messageId": "m1",
        "userId": "ü",
        "timestamp": "2023-11-14T22:13:20.5Z",
        "properties": {"product_id": 17, "price": 9.5},
    }

    view = DECODERS["clickstream"].decode(SEGMENT.rewrite(json.dumps(message).encode(), "clicks-0-5"))

    assert isinstance(view, ViewItem)
    assert (view.event_id, view.user_id, view.ts) == ("m1", "ü", 1_700_000_000_500)
    assert (view.item_id, view.price) == ("17", 9.5)


def test_their_types_are_translated_and_one_without_entry_is_refused():
    mapping = FieldMapping(
        topic="orders",
        columns={
            "type": "t",
            "user_id": "u",
            "ts": "d",
            "transaction_id": "o",
            "value": "v",
            "currency": "c",
        },
        types={"RETURN": "refund", "SHIPPED": "delivery"},
    )
    row = {"u": "u1", "d": 1_700_000_000_000, "o": "o1", "v": 5, "c": "EUR"}

    assert isinstance(event(mapping, row | {"t": "RETURN"}), Refund)
    assert isinstance(event(mapping, row | {"t": "SHIPPED"}), Delivery)
    with pytest.raises(Rejected, match="unknown_type"):
        mapping.translate(row | {"t": "purchase"}, "1")


@pytest.mark.parametrize(
    ("unit", "cell"),
    [
        ("s", 1_700_000_000),
        ("s", 1_700_000_000.0),
        ("s", "1700000000"),
        ("ms", 1_700_000_000_000),
        ("ms", 1.7e12),
        ("us", 1_700_000_000_000_999),
        ("ns", 1_700_000_000_000_999_999),
        ("s", "2023-11-14T22:13:20"),
        ("s", "2023-11-14 22:13:20+00:00"),
        ("s", "2023-11-15T06:13:20+08:00"),
        ("s", datetime(2023, 11, 14, 22, 13, 20)),  # noqa: DTZ001
        ("s", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_every_usual_spelling_and_a_missing_zone_is_utc(unit: Any, cell: Any):
    row = {"what": "page_view", "who": "u", "when": cell}

    assert event(clicks(ts_unit=unit), row).ts == 1_700_000_000_000


@pytest.mark.parametrize("cell", [date(2023, 11, 14), "2023-11-14", "2023-11-14T23:59:59", 1_699_920_000_000])
def test_days_are_stamped_at_noon_utc(cell: Any):
    row = {"what": "page_view", "who": "u", "when": cell}

    assert (
        event(clicks(day_resolution=True), row).ts
        == datetime(2023, 11, 14, 12, tzinfo=UTC).timestamp() * 1000
    )


@pytest.mark.parametrize("cell", ["soon", "32/13/2023", float("inf"), True, [], {"a": 1}, 10**400])
def test_a_time_that_cannot_be_read_is_left_to_the_decoder_which_refuses_it(cell: Any):
    with pytest.raises(Rejected, match="bad_timestamp"):
        event(clicks(), {"what": "page_view", "who": "u", "when": cell})


@pytest.mark.parametrize("empty", [None, "", float("nan")])
def test_empty_cells_count_as_absent(empty: Any):
    row = {"event": "login", "messageId": "m", "userId": "u", "timestamp": 1_700_000_000_000}

    assert event(SEGMENT, row | {"properties": {"price": empty}}).price is None
    with pytest.raises(Rejected, match="missing_field"):
        event(SEGMENT, row | {"userId": empty})


@pytest.mark.parametrize(
    ("cell", "expected"), [(7, "7"), (7.0, "7"), ("007", "007"), (Decimal(7), "7"), (7.5, "7.5")]
)
def test_ids_that_tables_keep_as_numbers_become_text(cell: Any, expected: str):
    row = {"what": "page_view", "who": cell, "when": 1_700_000_000_000}

    assert event(clicks(), row).user_id == expected


@pytest.mark.parametrize("cell", ["12.5", 12.5, Decimal("12.5"), " 12.5 "])
def test_numbers_may_come_as_text(cell: Any):
    assert event(FieldMapping.from_toml(CDNOW), ROW | {"dollars": cell}).value == 12.5


@pytest.mark.parametrize("cell", ["12,50", "$12", "inf", "-3", [1]])
def test_an_amount_that_cannot_be_read_is_bad_money(cell: Any):
    with pytest.raises(Rejected, match="bad_money"):
        event(FieldMapping.from_toml(CDNOW), ROW | {"dollars": cell})


def test_text_that_is_not_unicode_is_refused():
    with pytest.raises(Rejected, match="invalid_utf8"):
        clicks().translate({"what": "page_view", "who": "\udcff", "when": 1_700_000_000_000}, "1")


def test_consents_and_groups_are_put_where_they_belong():
    mapping = FieldMapping(
        topic="customers",
        columns={
            "user_id": "id",
            "ts": "at",
            "consent.email": "newsletter",
            "consent.sms": "texts",
            "attributes.age": "age",
        },
        constants={"type": "profile", "consent.onsite": True},
    )

    profile = event(mapping, {"id": 1, "at": 1_700_000_000_000, "newsletter": "Yes", "texts": 0, "age": 30})

    assert isinstance(profile, ProfileChange)
    assert (profile.consent.email, profile.consent.sms, profile.consent.onsite) == (True, False, True)
    assert profile.attributes == {"age": "30"}


def test_a_list_of_order_lines_in_our_words_is_passed_on():
    mapping = FieldMapping(
        topic="orders",
        columns={"user_id": "u", "ts": "d", "value": "v", "items": "lines"},
        constants={"type": "purchase", "currency": "EUR"},
    )
    lines = [{"item_id": "a", "price": 1, "quantity": 2}, {"item_id": "b", "price": 3, "quantity": 4}]

    purchase = event(mapping, {"u": "u", "d": 1_700_000_000_000, "v": 14, "lines": lines})

    assert [item.quantity for item in purchase.items] == [2.0, 4.0]


def test_a_column_whose_name_has_a_dot_comes_before_a_path():
    row = {"event": "login", "messageId": "m", "userId": "u", "timestamp": 1_700_000_000_000}

    assert event(SEGMENT, row | {"properties.price": 3, "properties": {"price": 4}}).price == 3


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        ('topic = "alerts"\n[columns]', "no input topic"),
        ('topic = "orders"\n[columns]\nprice = "p"', "no field 'price'"),
        ('topic = "orders"\n[columns]\n[constants]\n"items.colour" = "red"', "no field 'items.colour'"),
        ('topic = "orders"\n[columns]\n[types]\nbuy = "page_view"', "no event type 'page_view'"),
        ('topic = "orders"\n[columns]\n[colums]', "unknown field"),
        ('topic = "orders"', "missing required field"),
        ('topic = "orders"\nts_unit = "h"\n[columns]', "Invalid enum value"),
        ("topic = ", "Invalid value"),
    ],
)
def test_a_mapping_that_the_contract_does_not_know_is_refused_with_the_fault(toml: str, fault: str):
    with pytest.raises(ValueError, match=fault):
        FieldMapping.from_toml(toml)


cells = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("9" * 5000),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@examples(50)
@given(st.dictionaries(st.sampled_from(["event", "messageId", "userId", "timestamp", "properties"]), cells))
def test_rows_of_any_shape_become_an_event_or_are_refused(row: dict[str, Any]):
    for mapping in (
        SEGMENT,
        FieldMapping.from_toml(CDNOW.replace("customer", "userId").replace("date", "timestamp")),
    ):
        try:
            found = event(mapping, row)
        except Rejected:
            continue
        assert found.user_id


@pytest.mark.parametrize(
    "value", [b"[]", b"{", b"\xff", None, b'{"a":' + b"1" * 5000 + b"}", b'{"userId":' + b"9" * 5000 + b"}"]
)
def test_a_live_message_that_is_no_json_object_or_no_event_is_refused(value: bytes | None):
    with pytest.raises(Rejected):
        DECODERS["clickstream"].decode(SEGMENT.rewrite(value, "1"))


def test_a_live_message_may_not_be_larger_than_the_limit():
    with pytest.raises(Rejected, match="oversize"):
        SEGMENT.rewrite(b" " * 101, "1", max_bytes=100)
