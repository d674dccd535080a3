"""What comes of a fetch in which something is broken: one record, or a whole batch."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from features.clock import TopicClock
from features.observing import Unreadable, judge
from features.rejection import REASONS
from streams import fetching
from streams.batches import BatchError, BrokenBatch, batch_at, salvage
from tests.building import DECODERS
from tests.examples import examples

fetching.use_plain_records()

CODECS = range(5)
TP = TopicPartition("orders", 0)
HEADERS: list[tuple[str, bytes | None]] = [("ce_id", b"7"), ("none", None)]


def batch(base: int, count: int = 3, codec: int = 0, stamp: int = 1_000) -> bytes:
    """A batch of records b"v<offset>"."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 20)
    for number in range(count):
        builder.append(number, stamp + number, b"key", b"v%d" % (base + number), HEADERS)
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, base)
    return bytes(raw)


def signed(raw: bytes) -> bytes:
    """With the checksum of what stands in it now: a producer meant it so."""
    changed = bytearray(raw)
    struct.pack_into(">I", changed, 17, calc_crc32c(bytes(changed[21:])))
    return bytes(changed)


def replaced(raw: bytes, at: int, byte: int) -> bytes:
    changed = bytearray(raw)
    changed[at] = byte
    return bytes(changed)


def fetched(data: bytes, offset: int = 0) -> tuple[list[Any], int]:
    """What a consumer that stood at `offset` is given of a fetch, and where it stands then."""
    records = fetcher.PartitionRecords(TP, fetcher.MemoryRecords(data), None, offset, None, None, True, 1)
    found = list(records)
    return found, records.next_fetch_offset


def offsets(found: list[Any]) -> list[int]:
    return [record.offset for record in found]


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_whole_is_read_here_as_the_library_reads_it(codec: int):
    whole = batch(5, 20, codec)
    found, place = fetched(whole, 7)

    assert (offsets(found), place) == (list(range(7, 25)), 25)
    fields = ("offset", "key", "value", "timestamp", "timestamp_type")
    mine = salvage(whole)[2:]
    assert [[getattr(each, name) for name in fields] for each in mine] == [
        [getattr(each, name) for name in fields] for each in found
    ]
    assert [list(each.headers) for each in mine] == [list(each.headers) for each in found]


def test_a_header_whose_name_is_no_text_costs_its_record_alone():
    plain = batch(3, 4)
    bad = signed(replaced(plain, plain.index(b"ce_id"), 0xFF))
    found, place = fetched(batch(0) + bad + batch(7))

    assert offsets(found) == list(range(7))
    assert place == 7
    (broken,) = [record for record in found if isinstance(record, Unreadable)]
    assert (broken.offset, broken.key, broken.value) == (3, b"key", b"v3")
    assert broken.why.reason == "invalid_utf8"
    assert offsets(fetched(batch(7), place)[0]) == [7, 8, 9]


def test_a_record_whose_fields_do_not_fit_it_costs_itself_alone():
    plain = batch(3, 4)
    # The length of the second key, which claims more than its record holds.
    second = plain.index(b"key", plain.index(b"key") + 1)
    found, _ = fetched(signed(replaced(plain, second - 1, 0x7E)))

    assert offsets(found) == [3, 4, 5, 6]
    assert [record.value for record in found if not isinstance(record, Unreadable)] == [b"v3", b"v5", b"v6"]
    assert [r.why.reason for r in found if isinstance(r, Unreadable)] == ["undecodable"]


def test_a_record_that_could_not_be_read_is_refused_with_its_reason_and_the_others_are_judged():
    plain = batch(3, 2)
    found, _ = fetched(signed(replaced(plain, plain.index(b"ce_id"), 0xFF)))

    judged = judge(found, DECODERS["orders"], TopicClock(), 0, (), lambda _: True, follows=lambda *_: True)

    assert [(record.offset, why.reason) for record, why in judged.rejected] == [
        (3, "invalid_utf8"),
        (4, "malformed_json"),
    ]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (replaced(batch(3), -1, 0x55), "its checksum is another"),
        (signed(replaced(batch(3), 22, 7)), "codec 7 is unknown"),
        (signed(replaced(batch(3), 22, 4)), "it cannot be decompressed"),
        (signed(replaced(batch(3, codec=4), 22, 3)), "it cannot be decompressed"),
        (signed(replaced(batch(3), 61, 0x7E)), "behind its last record"),
    ],
)
def test_a_batch_that_is_broken_as_a_whole_comes_behind_what_was_fetched_before_it(broken: bytes, why: str):
    found, place = fetched(batch(0) + broken + batch(6))

    assert offsets(found[:-1]) == [0, 1, 2]
    assert isinstance(found[-1], BrokenBatch)
    assert (found[-1].offset, found[-1].until, found[-1].raw) == (3, 6, broken)
    assert why in found[-1].why
    assert place == 3
    again, place = fetched(broken + batch(6), place)
    assert (again, place) == ([found[-1]], 3)
    assert offsets(fetched(batch(6), 6)[0]) == [6, 7, 8]


def claiming(raw: bytes, delta: int) -> bytes:
    """With another last offset delta, and the checksum that it had."""
    changed = bytearray(raw)
    struct.pack_into(">i", changed, 23, delta)
    return bytes(changed)


@pytest.mark.parametrize("delta", [0, 1, 3, 5, 400, 2**31 - 1, -1, -(2**31)])
def test_what_a_batch_with_a_wrong_checksum_says_of_its_end_is_not_believed(delta: int):
    """Else good batches behind it would be passed over with it."""
    broken = claiming(batch(3), delta)
    found, place = fetched(batch(0) + broken + batch(6) + batch(9))

    assert offsets(found[:-1]) == [0, 1, 2]
    assert (found[-1].offset, found[-1].until, found[-1].raw, place) == (3, 6, broken, 3)


@pytest.mark.parametrize("delta", [0, 3, 400])
def test_where_nothing_follows_it_only_its_next_offset_is_passed_over(delta: int):
    """What stands last in a fetch need not stand last in the log; the rest is met again."""
    (found,), _ = fetched(claiming(batch(3), delta), 3)

    assert (found.until, found.start) == (4, 3)


def test_where_its_length_hides_the_end_only_its_next_offset_is_passed_over():
    """What is left of it is met again, and the same word stands."""
    short = bytearray(replaced(batch(3), -1, 0x55))
    struct.pack_into(">i", short, 8, len(short) - 12 - 5)
    long = bytearray(short)
    struct.pack_into(">i", long, 8, 1 << 20)
    large = batch(3, codec=0)[:-1] + b"x" * (1 << 20)
    huge = bytearray(large)
    struct.pack_into(">i", huge, 8, len(large) - 12)

    # The library takes a batch that claims to be longer for one that was cut: it asks for more.
    assert batch_at(bytes(long) + batch(6), 3).following == 0
    for raw in (bytes(short) + batch(6), bytes(huge)):
        (found,), _ = fetched(raw, 3)
        assert (found.offset, found.until, found.start) == (3, 4, 3)


def test_a_batch_that_was_passed_over_and_comes_again_hides_nothing_behind_it():
    """A broker finds what to answer by the same wrong header."""
    found, place = fetched(claiming(batch(3), 400) + batch(6) + batch(9), 6)

    assert offsets(found) == [6, 7, 8]
    assert place == 9


@examples(200)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=6), st.data())
def test_whatever_is_changed_in_one_batch_no_record_of_another_is_passed_over(
    counts: list[int], data: st.DataObject
):
    """Reading as a worker does, where an operator passes over whatever stands in its way."""
    bases = [sum(counts[:number]) for number in range(len(counts) + 1)]
    batches = [batch(base, count) for base, count in zip(bases, counts, strict=False)]
    spoilt = data.draw(st.integers(0, len(counts) - 1), label="batch")
    at = data.draw(st.integers(17, len(batches[spoilt]) - 1), label="byte")
    batches[spoilt] = replaced(batches[spoilt], at, data.draw(st.integers(0, 255), label="becomes"))
    end, place, read = bases[-1], 0, []

    while place < end:
        first = next(number for number, base in enumerate(bases[1:]) if base > place)
        found, reached = fetched(b"".join(batches[first:]), place)
        if found and isinstance(found[-1], BrokenBatch):
            *found, broken = found
            reached = broken.until
        assert reached > place
        read += [record.offset for record in found]
        place = reached

    others = {
        o
        for number, base in enumerate(bases[:-1])
        if number != spoilt
        for o in range(base, bases[number + 1])
    }
    assert others <= {*read}
    assert read == sorted({*read})


def test_what_the_library_has_handed_out_of_a_batch_before_it_stumbled_does_not_come_again():
    """It finds out at the end that there is more than the header counts."""
    found, place = fetched(signed(replaced(batch(3), 60, 2)))

    assert (offsets(found), place) == ([3, 4, 5], 5)
    assert isinstance(found[-1], BrokenBatch)
    assert found[-1].until == 6


def test_reading_that_stands_within_a_broken_batch_stays_there():
    (found,), place = fetched(replaced(batch(3), -1, 0x55), 4)

    assert (found.offset, found.start, found.until, place) == (4, 3, 5, 4)


@examples(300)
@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(12, 400), st.integers(0, 255)), max_size=4),
    st.booleans(),
)
def test_whatever_stands_in_a_batch_reading_goes_on_or_stands_before_it(
    codec: int, changes: list[tuple[int, int]], meant: bool
):
    changed = batch(3, 5, codec)
    for at, byte in changes:
        changed = replaced(changed, at % len(changed) if at % len(changed) > 11 else 12, byte)
    found, place = fetched(batch(0) + (signed(changed) if meant else changed) + batch(8))

    assert offsets(found)[:3] == [0, 1, 2]
    assert offsets(found) == sorted(set(offsets(found)))
    if found and isinstance(found[-1], BrokenBatch):
        assert place == found[-1].offset < found[-1].until
    else:
        assert place > found[-1].offset
    assert all(r.why.reason in REASONS for r in found if isinstance(r, Unreadable))


@examples(200)
@given(st.binary(max_size=120))
def test_bytes_that_are_no_batch_are_no_records(data: bytes):
    with pytest.raises(BatchError):
        salvage(data)
