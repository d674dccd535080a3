"""What of a log is believed, and how people hear of what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from features.layout import DAY_MS
from streams.sources.files import FileSource
from streams.sources.screening import screened
from tests.building import START, day

if TYPE_CHECKING:
    from pathlib import Path

NOW = day(101)


def order(number: int, ts: int | str) -> str:
    return json.dumps(
        {
            "type": "purchase",
            "event_id": f"e{number}",
            "user_id": f"u{number % 9}",
            "ts": ts,
            "transaction_id": f"t{number}",
            "value": 5,
            "currency": "EUR",
        }
    )


def log(folder: Path, *more: str, days: int = 100) -> FileSource:
    path = folder / "history.jsonl"
    path.write_text("\n".join([*(order(n, day(n / 2)) for n in range(2 * days)), *more]))
    return FileSource((path,))


def test_a_log_in_order_is_believed_whole_and_without_a_word(tmp_path: Path):
    source = log(tmp_path)

    assert screened(source, NOW, 30) == (list(source), [])


def test_rows_ahead_of_now_are_left_out_and_named_with_number_place_and_day(tmp_path: Path):
    source = log(tmp_path, order(900, "2097-12-03T12:00:00Z"), order(901, NOW + 1), order(902, NOW))

    events, notes = screened(source, NOW, 30)

    assert max(event.ts for event in events) == NOW
    (note,) = notes
    assert note.startswith("left out: 2 rows dated ahead of now, ")
    assert "record 202 of history.jsonl" in note
    assert "2097-12-03" in note


def test_rows_far_from_all_others_are_left_out_on_either_side(tmp_path: Path):
    old, late = order(900, "1995-01-01T00:00:00Z"), order(901, day(100 + 70))
    events, notes = screened(log(tmp_path, old, late), day(900), 30)

    assert len(list(events)) == 200
    assert [note.split(" (")[0] for note in notes] == [
        "left out: 1 row far from all others: a gap until 2022-01-08",
        "left out: 1 row far from all others: a gap since 2022-04-17",
    ]
    assert "the first of 1995-01-01, record 201 of history.jsonl" in notes[0]


def test_a_time_that_is_refused_is_no_beginning(tmp_path: Path):
    """1970 is what an empty cell becomes in many an export."""
    zero = order(900, "1970-01-01T00:00:00Z")
    events, notes = screened(log(tmp_path, zero, order(901, 0)), NOW, 30)

    kept = list(events)
    assert (kept[0].ts, len(kept), notes) == (START, 202, [])
    assert [event.user_id for event in kept].count("") == 2


def test_an_unreadable_line_stays_for_whoever_refuses_it_though_its_neighbour_goes(tmp_path: Path):
    events, _ = screened(log(tmp_path, order(900, NOW + DAY_MS), "{"), NOW, 30)

    kept = list(events)
    assert len(kept) == 201
    assert kept[-1].value == b"{"
    assert kept[-1].ts <= NOW


def test_a_log_that_is_all_ahead_of_now_is_empty_and_says_why(tmp_path: Path):
    events, notes = screened(log(tmp_path), START - DAY_MS, 30)

    assert (events, len(notes)) == ([], 1)
    assert notes[0].startswith("left out: 200 rows dated ahead of now")


def test_an_outage_of_the_export_is_named_with_its_days(tmp_path: Path):
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(order(n, day(n / 2)) for n in range(200) if not 60 <= n < 110))

    _, notes = screened(FileSource((path,)), NOW, 60)

    (note,) = notes
    assert note.startswith("gap: no order from 2022-02-07 to 2022-03-03 (25 days).")


def test_clicks_do_not_hide_that_no_order_was_exported(tmp_path: Path):
    path = tmp_path / "history.jsonl"
    click = '{{"type":"login","event_id":"c{0}","user_id":"u","ts":{1}}}'
    orders = (order(n, day(n / 2)) for n in range(200) if not 60 <= n < 110)
    path.write_text("\n".join([*orders, *(click.format(n, day(n / 2)) for n in range(200))]))

    _, notes = screened(FileSource((path,)), NOW, 60)

    assert [note.split(" from ")[0] for note in notes] == ["gap: no order"]
