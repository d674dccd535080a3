from __future__ import annotations

import json
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.decoding import DAY_MS, MAX_DEPTH, EventDecoder, check_key, json_object
from features.events import Erasure, Event, Kind, Purchase, Tick
from features.inputs import ALIASES, EVENT_TYPES, TOPIC_OF, type_name
from features.money import Currencies
from features.rejection import REASONS, Rejected
from tests.examples import examples
from tests.strategies import fuzz_corpus, payloads

TS = 1_700_000_000_000
VIEW = {"type": "page_view", "event_id": "e1", "user_id": "u1", "ts": TS}
PURCHASE = {
    "type": "purchase",
    "event_id": "e1",
    "user_id": "u1",
    "ts": TS,
    "transaction_id": "t1",
    "value": 20.5,
    "currency": "EUR",
    "items": [{"item_id": "sku-1", "price": 10.25, "quantity": 2}],
}
CLICKS = EventDecoder("clickstream")
ORDERS = EventDecoder("orders")
DECODERS = {topic: EventDecoder(topic) for topic in EVENT_TYPES}


def encoded(payload: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({k: v for k, v in (payload | changes).items() if v is not ...}).encode()


def raw(payload: dict[str, Any], field: str, text: str) -> bytes:
    """The payload with one value replaced by raw text, which JSON may not know."""
    return encoded(payload, **{field: "@"}).replace(b'"@"', text.encode())


def refusal(decoder: EventDecoder, value: bytes | None, record_ts: int = 0) -> Rejected:
    with pytest.raises(Rejected) as refused:
        decoder.decode(value, record_ts)
    return refused.value


# what is accepted


@examples(50)
@given(st.sampled_from(sorted(EVENT_TYPES)).flatmap(lambda topic: st.tuples(st.just(topic), payloads(topic))))
def test_a_valid_message_becomes_the_event_it_spells(message: tuple[str, dict[str, Any]]):
    topic, payload = message

    event = DECODERS[topic].decode(encoded(payload))

    assert isinstance(event, Event)
    assert (
        msgspec.to_builtins(event).items()
        >= {
            key: value
            for key, value in payload.items()
            if value is not None and not isinstance(value, list | dict)
        }.items()
    )


def test_a_purchase_is_read_with_its_lines():
    event = ORDERS.decode(encoded(PURCHASE))

    assert isinstance(event, Purchase)
    assert (event.kind, event.value, event.currency, event.coupon) == (Kind.PURCHASE, 20.5, "EUR", None)
    assert [(item.item_id, item.price, item.quantity) for item in event.items] == [("sku-1", 10.25, 2.0)]


@pytest.mark.parametrize(
    "spelling", [TS, "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000999+00:00", "2023-11-15T06:13:20+08:00"]
)
def test_time_is_epoch_milliseconds_or_rfc_3339_and_an_int_afterwards(spelling: int | str):
    event = CLICKS.decode(encoded(VIEW, ts=spelling))

    assert event.ts == TS
    assert type(event.ts) is int


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_a_segment_name_stands_for_its_type(name: str):
    kind = ALIASES[name]
    fields = {"query": "q", "transaction_id": "t", "value": 1, "currency": "EUR", "command_id": "c"}

    event = DECODERS[TOPIC_OF[name]].decode(encoded(VIEW | fields, type=name))

    assert isinstance(event, kind)
    assert event.kind is kind.kind


def test_unknown_fields_and_nulls_for_optional_ones_are_ignored():
    value = encoded(VIEW, nobody_asked={"a": [1, {"b": None}]}, item_id=None, price=None)

    assert CLICKS.decode(value) == CLICKS.decode(encoded(VIEW))


@pytest.mark.parametrize("topic", sorted(EVENT_TYPES))
def test_every_topic_carries_ticks_which_belong_to_nobody(topic: str):
    tick = DECODERS[topic].decode(b'{"type":"tick","ts":%d,"session":"s"}' % TS, record_ts=1)

    assert tick == Tick(ts=TS, session="s")


@pytest.mark.parametrize(
    "user_id", ["x" * 256, "é" * 128, "😀" * 64, '"', "\\", "a\u200bb", "\u00a0", "'; --"]
)
def test_strange_but_harmless_ids_are_accepted(user_id: str):
    event = CLICKS.decode(encoded(VIEW, user_id=user_id))

    assert not isinstance(event, Tick)
    assert event.user_id == user_id


# what is refused, and why


@pytest.mark.parametrize(
    "value", [b"", b" ", b"null", b"[]", b'"text"', b"17", b"{", b"\xef\xbb\xbf{}", b"\x00", None]
)
def test_what_is_not_one_json_object_is_malformed(value: bytes | None):
    assert refusal(CLICKS, value).reason == "malformed_json"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "01", "0x1f", "+1", ".5", "1_000"])
@pytest.mark.parametrize("field", ["price", "nobody_asked"])
def test_numbers_that_json_does_not_know_make_it_malformed(number: str, field: str):
    assert refusal(CLICKS, raw(VIEW, field, number)).reason == "malformed_json"


@pytest.mark.parametrize("field", ["user_id", "device", "nobody_asked"])
@pytest.mark.parametrize("junk", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_bytes_that_are_not_utf8_are_refused_even_in_ignored_fields(field: str, junk: bytes):
    value = encoded(VIEW, **{field: "@"}).replace(b"@", junk)

    assert refusal(CLICKS, value).reason == "invalid_utf8"


@pytest.mark.parametrize("control", [*range(32)])
def test_control_characters_in_strings_must_be_escaped(control: int):
    assert refusal(CLICKS, raw(VIEW, "user_id", f'"a{chr(control)}b"')).reason == "malformed_json"


def test_an_escaped_lone_surrogate_is_malformed():
    assert refusal(CLICKS, raw(VIEW, "user_id", '"\\ud800"')).reason == "malformed_json"


@pytest.mark.parametrize("field", ["type", "event_id", "user_id", "ts"])
def test_a_message_without_a_field_of_the_envelope_is_refused(field: str):
    refused = refusal(CLICKS, encoded(VIEW, **{field: ...}))

    assert refused.reason == "missing_field"
    assert field in refused.detail


@pytest.mark.parametrize("field", ["transaction_id", "value", "currency"])
def test_a_purchase_without_a_required_field_is_refused(field: str):
    refused = refusal(ORDERS, encoded(PURCHASE, **{field: ...}))

    assert refused.reason == "missing_field"
    assert field in refused.detail


@pytest.mark.parametrize("name", ["", "Purchase", "page_view ", "click", 7, None, ["page_view"]])
def test_a_type_that_nobody_knows_is_refused(name: Any):
    assert refusal(CLICKS, encoded(VIEW, type=name)).reason == "unknown_type"


def test_a_type_of_another_topic_is_refused_with_the_name_of_that_topic():
    refused = refusal(CLICKS, encoded(PURCHASE))

    assert (refused.reason, refused.detail) == ("unknown_type", "'purchase' belongs to topic orders")


@pytest.mark.parametrize(
    "identity",
    ["", "x" * 257, "é" * 129, "a\x00b", "a\nb", "\x7f", "\x80", "\x9f", 7, None, True, ["u1"], {"id": 1}],
)
@pytest.mark.parametrize("field", ["user_id", "event_id", "item_id"])
def test_ids_are_text_of_1_to_256_bytes_without_control_characters(field: str, identity: Any):
    if field == "item_id" and identity is None:
        return
    for ensure_ascii in (True, False):
        value = json.dumps(VIEW | {field: identity}, ensure_ascii=ensure_ascii).encode()
        assert refusal(CLICKS, value).reason == "bad_id"


def test_the_ids_of_order_lines_are_checked_like_all_others():
    value = encoded(PURCHASE, items=[{"item_id": "a\x00", "price": 1, "quantity": 1}])

    assert refusal(ORDERS, value).reason == "bad_id"


@pytest.mark.parametrize(
    "time",
    [
        "631151999999",
        "4102444800000",
        "0",
        "-1",
        "1" * 4000,
        "1.7e12",
        "1700000000000.0",
        "true",
        "null",
        '"1700000000000"',
        '"2023-11-14"',
        '"2023-11-14T22:13:20"',
        '"2023-02-30T00:00:00Z"',
        '"1989-12-31T23:59:59Z"',
        '"2100-01-01T00:00:00Z"',
        '"9999-12-31T23:59:59-23:59"',
        '"0001-01-01T00:00:00+23:59"',
        '"yesterday"',
        "[]",
    ],
)
def test_times_without_zone_or_out_of_range_are_refused(time: str):
    assert refusal(CLICKS, raw(VIEW, "ts", time)).reason == "bad_timestamp"
    assert refusal(CLICKS, raw({"type": "tick", "ts": 0}, "ts", time)).reason == "bad_timestamp"


def test_the_first_and_the_last_believed_millisecond_are_accepted():
    for ts in (631_152_000_000, 4_102_444_799_999, "1990-01-01T00:00:00Z", "2099-12-31T23:59:59.999Z"):
        CLICKS.decode(encoded(VIEW, ts=ts))


def test_an_event_may_lie_a_day_ahead_of_its_record_and_not_a_millisecond_more():
    CLICKS.decode(encoded(VIEW), record_ts=TS - DAY_MS)

    assert refusal(CLICKS, encoded(VIEW), record_ts=TS - DAY_MS - 1).reason == "bad_timestamp"


@pytest.mark.parametrize("record_ts", [0, -1])
def test_a_record_without_timestamp_sets_no_such_limit(record_ts: int):
    CLICKS.decode(encoded(VIEW), record_ts=record_ts)


@pytest.mark.parametrize("amount", ["-0.01", "1e999", "1e13", "1" * 4000, '"12.50"', "null", "true", "[]"])
def test_amounts_are_numbers_from_0_to_1e12(amount: str):
    assert refusal(ORDERS, raw(PURCHASE, "value", amount)).reason == "bad_money"


@pytest.mark.parametrize("price", ["-1", '"9.99"', "1e13"])
def test_a_bad_price_is_bad_money_in_clicks_and_in_order_lines(price: str):
    line = raw(PURCHASE, "items", f'[{{"item_id":"a","quantity":1,"price":{price}}}]')

    assert refusal(ORDERS, line).reason == "bad_money"
    assert refusal(CLICKS, raw(VIEW, "price", price)).reason == "bad_money"


@pytest.mark.parametrize("kind", ["purchase", "refund", "Order Completed", "Order Refunded"])
def test_a_currency_without_rate_is_refused_once_a_currency_is_configured(kind: str):
    decoder = EventDecoder("orders", currencies=Currencies("EUR", {"USD": 0.9}))
    decoder.decode(encoded(PURCHASE, type=kind, currency="USD"))

    assert refusal(decoder, encoded(PURCHASE, type=kind, currency="GBP")).reason == "unknown_currency"
    ORDERS.decode(encoded(PURCHASE, type=kind, currency="GBP"))


@pytest.mark.parametrize("currency", ["", 978, None, "x" * 17])
def test_a_currency_is_a_short_text(currency: Any):
    assert refusal(ORDERS, encoded(PURCHASE, currency=currency)).reason == "unknown_currency"


@pytest.mark.parametrize(
    ("topic", "name", "fields"),
    [
        ("clickstream", "add_to_cart", {"quantity": -1}),
        ("clickstream", "page_view", {"dwell_ms": "12"}),
        ("clickstream", "search", {"query": 5}),
        ("orders", "delivery", {"transaction_id": "t", "late_days": 4000}),
        ("orders", "purchase", PURCHASE | {"items": [{"item_id": "a", "price": 1, "quantity": -1}]}),
        ("orders", "purchase", PURCHASE | {"items": [{"item_id": "a", "price": 1, "quantity": 1}] * 1001}),
        ("orders", "purchase", PURCHASE | {"items": {}}),
        ("reviews", "review", {"rating": 5.1}),
        ("reviews", "review", {"rating": -0.1}),
        ("reviews", "survey", {"score": 10.1}),
        ("reviews", "survey", {"score": True}),
        ("customers", "profile", {"consent": {"email": "yes"}}),
        ("customers", "profile", {"tier": "x" * 65}),
        ("customers", "profile", {"attributes": {"a": 1}}),
        ("customers", "profile", {"attributes": {str(i): "x" for i in range(17)}}),
        ("outcomes", "opened", {"command_id": "c", "channel": "pigeon"}),
    ],
)
def test_other_fields_have_their_types_and_ranges(topic: str, name: str, fields: dict[str, Any]):
    assert refusal(DECODERS[topic], encoded(VIEW | fields, type=name)).reason == "bad_value"


def test_the_largest_message_is_accepted_and_one_byte_more_is_oversize():
    value = encoded(VIEW)
    padded = value[:-1] + b" " * (65_536 - len(value)) + b"}"
    CLICKS.decode(padded)

    assert refusal(CLICKS, padded + b" ").reason == "oversize"
    assert refusal(CLICKS, b"x" * 1_000_000).reason == "oversize"


# CloudEvents

ATTRIBUTES = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"from-header"),
    ("ce_type", b"com.example.shop.view_item"),
    ("ce_time", b"2023-11-14T22:13:21Z"),
]


def test_what_the_envelope_lacks_is_taken_from_cloudevents_headers():
    event = CLICKS.decode(b'{"user_id":"u1","item_id":"i"}', headers=ATTRIBUTES)

    assert event == CLICKS.decode(
        encoded(VIEW, type="view_item", event_id="from-header", ts=TS + 1000, item_id="i")
    )


def test_what_the_envelope_says_goes_before_cloudevents_headers():
    assert CLICKS.decode(encoded(VIEW), headers=ATTRIBUTES) == CLICKS.decode(encoded(VIEW))
    assert CLICKS.decode(encoded(VIEW, event_id=...), headers=ATTRIBUTES).ts == TS


def test_headers_do_not_stand_in_for_anything_else():
    for value in (encoded(VIEW, user_id=...), encoded(VIEW, ts=...)):
        with pytest.raises(Rejected, match="missing_field"):
            CLICKS.decode(value, headers=[("ce_id", b"e"), ("ce_subject", b"u1"), ("other", b"\xff")])


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (("ce_id", b"\xff"), "invalid_utf8"),
        (("ce_id", b""), "bad_id"),
        (("ce_id", b"a\x00"), "bad_id"),
        (("ce_time", b"now"), "bad_timestamp"),
        (("ce_type", b"com.example.unknown"), "unknown_type"),
    ],
)
def test_headers_are_judged_like_fields(header: tuple[str, bytes], reason: str):
    with pytest.raises(Rejected, match=reason):
        CLICKS.decode(b'{"user_id":"u1"}', headers=[*ATTRIBUTES, header])


# whatever the bytes


def nested(depth: int) -> bytes:
    return encoded(VIEW)[:-1] + b',"deep":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("frames", [0, 400])
def test_nesting_has_a_limit_of_its_own_wherever_the_stack_stands(frames: int):
    def below(remaining: int) -> str:
        if remaining:
            return below(remaining - 1)
        CLICKS.decode(nested(MAX_DEPTH))
        return refusal(CLICKS, nested(MAX_DEPTH + 1)).reason

    assert below(frames) == "malformed_json"


def test_brackets_within_strings_are_no_nesting():
    CLICKS.decode(encoded(VIEW, note="[{" * 1000, other='\\"[' * 500))


def test_many_flat_brackets_are_no_nesting():
    CLICKS.decode(encoded(VIEW, note=[[] for _ in range(1000)]))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_endless_nesting_does_not_end_the_interpreter(opening: bytes):
    assert sys.getrecursionlimit() < 10_000
    assert refusal(CLICKS, (opening * 60_000)[:60_000]).reason == "malformed_json"


@given(st.sampled_from(sorted(EVENT_TYPES)), st.binary(max_size=60))
def test_random_bytes_are_refused_and_nothing_else_happens(topic: str, value: bytes):
    assert refusal(DECODERS[topic], value).reason in REASONS


@examples(50)
@given(
    st.sampled_from(sorted(EVENT_TYPES)),
    st.sampled_from([type_name(kind) for kinds in EVENT_TYPES.values() for kind in kinds]),
    st.dictionaries(
        st.sampled_from(["event_id", "user_id", "ts", "value", "items", "consent", "currency", "score", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    ),
)
def test_json_of_any_shape_is_an_event_or_refused(topic: str, name: str, fields: dict[str, Any]):
    try:
        event = DECODERS[topic].decode(encoded(VIEW | fields, type=name))
    except Rejected:
        return
    assert TOPIC_OF[name] == topic
    assert type(event.ts) is int


def test_the_fuzz_corpus_is_judged_as_it_was_meant_and_uses_every_reason_there_is():
    seen = set()
    for record in fuzz_corpus(seed=3, n=4000):
        reason = "valid"
        try:
            event = DECODERS[record.topic].decode(record.value)
            assert isinstance(event, Event)
            assert not isinstance(event, Erasure)
            check_key(record.key, event.user_id)
        except Rejected as refused:
            reason = refused.reason
        seen.add(reason)
        assert (reason == "valid") == record.expected_valid, record

    # None of the contract's.
    ours = {"unknown_channel", "not_live", "bad_example", "row_too_large", "undecodable", "stray_tick"}
    ours |= {"unreadable_batch"}
    assert seen == {"valid", *REASONS} - ours


def test_the_fuzz_corpus_is_the_same_for_the_same_seed():
    assert list(fuzz_corpus(5, 300)) == list(fuzz_corpus(5, 300)) != list(fuzz_corpus(6, 300))


def test_a_long_detail_is_cut():
    refused = refusal(CLICKS, encoded(VIEW, type="t" * 9000))

    assert len(refused.detail) == 200
    assert refused.detail.endswith("…")


# keys and foreign messages


@pytest.mark.parametrize("key", [None, b"", b"u2", b"u1\x00", "ü".encode("latin-1")])
def test_a_key_that_is_not_the_user_is_misrouted(key: bytes | None):
    with pytest.raises(Rejected, match="misrouted"):
        check_key(key, "u1")


def test_the_key_is_the_users_id_in_utf8():
    check_key("ü1".encode(), "ü1")


@given(
    st.binary(max_size=40)
    | st.recursive(st.none(), st.lists, max_leaves=3).map(lambda x: json.dumps(x).encode())
)
def test_what_is_no_json_object_cannot_be_mapped(value: bytes):
    with pytest.raises(Rejected):
        json_object(value, 1000)


def test_a_json_object_of_any_fields_can_be_mapped_unless_it_is_too_large():
    assert json_object(b'{"a":[1]}', 9) == {"a": [1]}
    with pytest.raises(Rejected, match="oversize"):
        json_object(b'{"a":[1]}', 8)
    with pytest.raises(Rejected, match="levels deep"):
        json_object(nested(MAX_DEPTH + 1), 1000)


def test_an_unknown_topic_has_no_decoder():
    with pytest.raises(KeyError):
        EventDecoder("churn-alerts")
