"""Whatever stands in a record, it is an event or refused with its reason, and the records beside it live."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.clock import TopicClock
from features.inputs import EVENT_TYPES
from features.mapping import FieldMapping
from features.observing import Judged, Record, judge
from features.rejection import Rejected, Undecodable
from tests.building import DECODERS
from tests.examples import examples

if TYPE_CHECKING:
    from features.decoding import EventDecoder

NOW = 1_700_000_000_000

#: Pieces of JSON that a generator of valid documents does not come upon.
_ODD_JSON = st.sampled_from(
    [
        "1e306",
        "-1e306",
        "1e999",
        "-0",
        "9" * 30,
        "9" * 5_000,
        "0.1" + "9" * 5_000,
        str(2**63),
        str(2**64),
        str(-(2**63) - 1),
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
        '"0001-01-01T00:00:00+14:00"',
        '"9999-12-31T23:59:59-14:00"',
        '"2024-02-30T00:00:00Z"',
        '"1e306"',
        '"' + "9" * 5_000 + '"',
        "[" * 300 + "]" * 300,
        '{"a":' * 300 + "1" + "}" * 300,
        "NaN",
        "null",
        "",
    ]
)
_json = _ODD_JSON | st.one_of(
    st.integers(), st.floats(), st.text(max_size=5), st.just(NOW), st.just("u"), st.just("login")
).map(json.dumps)
_FIELDS = (
    "type",
    "event_id",
    "user_id",
    "ts",
    "value",
    "price",
    "quantity",
    "items",
    "consent",
    "attributes",
)
_objects = st.dictionaries(st.sampled_from(_FIELDS), _json).map(
    lambda found: "{" + ",".join(f'"{name}":{value}' for name, value in found.items()) + "}"
)
_values = st.none() | st.binary(max_size=20) | _objects.map(str.encode)
_headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "ce_type", "ce_time", "churnwatch-replay", "", "x"])
        | st.none()
        | st.text(),
        st.none()
        | st.binary(max_size=5)
        | st.sampled_from([b"e1", b"login", b"\xff", b"2024-01-01T00:00:00Z"]),
    ),
    max_size=4,
)
_times = st.sampled_from([0, -1, NOW, -(2**63), 2**63 - 1]) | st.integers()
_keys = st.none() | st.binary(max_size=3) | st.sampled_from([b"u", b"\xff\xfe", b"\xed\xa0\x80"])

_COLUMNS = {name: name for name in ("type", "event_id", "user_id", "ts")}
_mapped_decoders = st.builds(
    lambda unit, day, form: FieldMapping(
        topic="orders",
        columns=_COLUMNS | {"value": "value", "items.price": "price", "items.quantity": "quantity"},
        constants={"currency": "EUR"},
        types={"login": "purchase", "1": "refund"},
        ts_unit=unit,
        ts_format=form,
        day_resolution=day,
    ).decoder(DECODERS["orders"], 65_536),
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.booleans(),
    st.sampled_from(["", "%Y%m%d", "%s"]),
)
_decoders = st.sampled_from(sorted(EVENT_TYPES)).map(DECODERS.__getitem__) | _mapped_decoders


def judged(records: list[Record], decoder: EventDecoder) -> Judged:
    return judge(records, decoder, TopicClock(), 0, (), lambda _: True, follows=lambda *_: True)


@examples(300)
@given(_decoders, st.lists(st.tuples(_keys, _values, _times, _headers), max_size=6))
def test_every_record_has_one_fate_and_a_reason_that_the_rules_foresee(
    decoder: EventDecoder, found: list[tuple[Any, Any, Any, Any]]
):
    records = [Record(offset, *each) for offset, each in enumerate(found)]

    fates = judged(records, decoder)

    assert len(fates.batch) + len(fates.ticks) + len(fates.rejected) == len(records)
    assert not [why for _, why in fates.rejected if isinstance(why, Undecodable)]


_cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**17, 10**40),
    st.floats(),
    st.sampled_from([1e306, 1.7e308, 5e-324]),
    st.text(st.characters(), max_size=5),
    st.sampled_from(["\ud800", "nan", "1e306", "9" * 5_000, "inf", "2024-13-01", "²", "٣"]),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.binary(max_size=5),
    st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=2), max_leaves=3),
)


@examples(300)
@given(
    st.dictionaries(st.sampled_from(["type", "event_id", "user_id", "ts", "value", "quantity"]), _cells),
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.booleans(),
)
def test_whatever_cells_a_row_of_a_table_has_it_is_an_event_or_refused(
    row: dict[str, Any], unit: Any, day: bool
):
    columns = _COLUMNS | {"value": "value", "items.quantity": "quantity"}
    mapping = FieldMapping(topic="orders", columns=columns, ts_unit=unit, day_resolution=day)
    with suppress(Rejected):  # of any kind but the net's, which only `judge` holds out
        assert DECODERS["orders"].decode(mapping.translate(row, "file:1")).event_id


@dataclass
class Careless:
    """A decoder with a fault of its own, which one of the records meets."""

    error: Exception
    topic: str = "clickstream"
    inner: EventDecoder = field(default_factory=lambda: DECODERS["clickstream"])

    def decode(self, value: bytes | None, record_ts: int = 0, headers: Any = ()) -> Any:
        if value == b"poison":
            raise self.error
        return self.inner.decode(value, record_ts, headers)


def login(offset: int) -> Record:
    event = {"type": "login", "event_id": str(offset), "user_id": "ada", "ts": NOW}
    return Record(offset, b"ada", json.dumps(event).encode())


@pytest.mark.parametrize("error", [ValueError("ada@shop"), KeyError("ada@shop"), RecursionError(), OSError()])
def test_an_error_that_nobody_foresaw_costs_its_record_alone_and_says_nothing_of_what_it_held(
    error: Exception,
):
    records = [login(0), Record(1, b"ada", b"poison"), login(2)]

    found = judged(records, Careless(error))  # type: ignore[arg-type]

    assert [event.event_id for event in found.batch.events] == ["0", "2"]
    ((record, why),) = found.rejected
    assert (record, why.reason) == (records[1], "undecodable")
    assert why.detail.startswith(f"{type(error).__name__} at test_any_record.py:")
    assert "ada" not in str(why)


def test_a_process_without_memory_is_no_fault_of_the_record():
    with pytest.raises(MemoryError):
        judged([Record(0, b"ada", b"poison")], Careless(MemoryError()))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "field"), [("ce_id", "event_id"), ("ce_type", "type"), ("ce_time", "ts")])
def test_a_header_that_is_null_says_nothing(name: str, field: str):
    full = {"type": "login", "event_id": "e", "user_id": "ada", "ts": NOW}
    lacking = {key: value for key, value in full.items() if key != field}
    records = [
        Record(0, b"ada", json.dumps(lacking).encode(), NOW, [(name, None)]),
        Record(1, b"ada", json.dumps(full).encode(), NOW, [(name, None)]),
    ]

    found = judged(records, DECODERS["clickstream"])

    assert [why.reason for _, why in found.rejected] == ["missing_field"]
    assert len(found.batch) == 1


def test_what_is_not_looked_at_is_passed_on_as_it_came_when_headers_fill_the_envelope():
    value = b'{"type":"login","user_id":"ada","ts":%d,"theirs":%s}' % (NOW, b"9" * 5_000)

    found = judged([Record(0, b"ada", value, NOW, [("ce_id", b"e1")])], DECODERS["clickstream"])

    assert [event.event_id for event in found.batch.events] == ["e1"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("cell", [1e306, -1e306, float("inf"), 10**400, -(10**30), 2**63, Decimal("1e306")])
def test_a_number_that_is_no_time_is_a_bad_timestamp_in_every_unit(cell: Any, unit: Any):
    columns = {"ts": "at", "user_id": "who"}
    mapping = FieldMapping(topic="orders", columns=columns, constants={"type": "cancel"}, ts_unit=unit)
    with pytest.raises(Rejected) as refused:
        DECODERS["orders"].decode(mapping.translate({"at": cell, "who": "u"}, "file:1"))

    assert refused.value.reason == "bad_timestamp"


@pytest.mark.parametrize("cell", [date.min, date.max, "0001-01-01", "9999-12-31T23:59:59-14:00"])
def test_the_first_and_the_last_day_that_there_is_are_bad_timestamps(cell: Any):
    mapping = FieldMapping(
        topic="orders", columns={"ts": "at", "user_id": "who"}, constants={"type": "cancel"}
    )
    with pytest.raises(Rejected, match="bad_timestamp"):
        DECODERS["orders"].decode(mapping.translate({"at": cell, "who": "u"}, "file:1"))
