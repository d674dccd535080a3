from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.budget import DailyBudget, DaySpend
from interventions.caps import Contact
from interventions.rows import (
    VERSION,
    BrokenRowError,
    Decided,
    Episode,
    LedgerRow,
    NewerRowError,
    Outcome,
    PartitionRow,
    Pending,
    decode_row,
    encode_row,
    erased_key,
    user_key,
)
from tests.examples import examples

FULL = LedgerRow(
    stamp=7,
    episode=Episode("a", "high", 1, ("email",), 2),
    decided=(Decided("a", "opened", "high", 1, "none", "cool_down", mark="rehearsal"),),
    contacts=[Contact(5, "sms", "c", mark="live")],
    outcomes=(Outcome(6, "c", "clicked"),),
    pending=(Pending(3, 7, (("decisions", b"{}"),), 0, 80_000, mark="live"),),
)


@pytest.mark.parametrize(
    "row",
    [
        LedgerRow(),
        FULL,
        PartitionRow(),
        PartitionRow(4, 3, 99, DailyBudget(20_000, {20_000: DaySpend(10, 4)})),
    ],
)
def test_a_row_survives_the_round_trip(row: LedgerRow | PartitionRow):
    assert decode_row(encode_row(row), type(row)) == row


def test_a_row_that_ends_early_reads_as_one_of_an_older_version():
    older = b"u" + bytes([VERSION]) + msgspec.msgpack.encode([42])

    assert decode_row(older, LedgerRow) == LedgerRow(stamp=42)


def test_a_row_of_the_first_version_says_dry_run_where_its_entries_have_a_mark_now():
    fields = msgspec.to_builtins(FULL, builtin_types=(bytes,))
    decided, contacts, pending = fields[2], fields[3], fields[5]
    decided[0][6], contacts[0][3], pending[0][5] = True, False, False
    older = b"u\x01" + msgspec.msgpack.encode(fields[:6])

    assert decode_row(older, LedgerRow) == FULL


def test_the_books_of_an_older_partition_row_are_those_of_live_and_rehearsed_alerts():
    book = [20_000, {20_000: [10, 4]}]
    older = b"p\x01" + msgspec.msgpack.encode([4, 3, 99, book, [1, {}], 7])

    row = decode_row(older, PartitionRow)

    spent = DailyBudget(20_000, {20_000: DaySpend(10, 4)})
    assert (row.book("live"), row.book("rehearsal"), row.book("shadow")) == (
        spent,
        DailyBudget(1),
        DailyBudget(),
    )


def test_a_row_of_a_newer_version_is_refused_by_its_number():
    newer = encode_row(FULL)[:1] + bytes([VERSION + 1]) + encode_row(FULL)[2:]

    with pytest.raises(NewerRowError, match=f"version {VERSION + 1}") as caught:
        decode_row(newer, LedgerRow)
    assert caught.value.version == VERSION + 1


@pytest.mark.parametrize("value", [b"", b"u", b"u\x01", b"p\x01\x90", b"u\x01\xc1", b"u\x01\xa1x"])
def test_what_the_ledger_never_wrote_is_refused(value: bytes):
    with pytest.raises(BrokenRowError):
        decode_row(value, LedgerRow)


@examples(60)
@given(st.binary(max_size=40))
def test_no_bytes_do_anything_but_decode_or_be_refused(value: bytes):
    with suppress(BrokenRowError):
        decode_row(b"u\x01" + value, LedgerRow)


def test_keys_of_customers_and_erasures_never_meet():
    assert user_key("é") == b"u\xc3\xa9"
    assert erased_key(2**64 - 1) == b"e" + b"\xff" * 8
