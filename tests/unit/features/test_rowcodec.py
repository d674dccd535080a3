from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import layout, rowcodec
from features.layout import ADDED, Layout, rolling
from features.rowcodec import HEADER_BYTES, RowError, decode, encode, encode_many, header
from tests.examples import examples

layouts = st.builds(
    Layout,
    purchase_words=st.integers(1, 4),
    clickstream_ids=st.integers(1, 20),
    order_ids=st.integers(2, 20),
    review_ids=st.integers(1, 20),
)


def random_records(widths: Layout, count: int = 1, seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).integers(0, 256, count * widths.dtype.itemsize, np.uint8)
    return raw.view(widths.dtype)


@given(layouts, st.integers(1, 4), st.binary(max_size=30), st.integers(0, 99))
@examples(20)
def test_a_row_comes_back_with_all_records_and_its_tail(widths: Layout, count: int, tail: bytes, seed: int):
    records = random_records(widths, count, seed)

    found, rest = decode(widths, encode(widths, records, tail))

    assert found.dtype == widths.dtype
    assert found[0].tobytes() == records[0].tobytes()
    for name in widths.rolling:
        assert found[name].tobytes() == records[name].tobytes()
    assert rest == tail


def test_only_the_rolling_parts_of_forks_are_kept():
    found, _ = decode(Layout(), encode(Layout(), random_records(Layout(), 3)))

    for name in set(Layout().dtype.names or ()) - set(Layout().rolling):
        assert found[name][0].any()
        assert not found[name][1:].any()


def test_rows_in_bulk_are_those_written_one_by_one_with_their_own_forks_and_tails():
    widths, tails, counts = Layout(), [b"", b"a tail", b"", b"other"], [0, 2, 1, 0]
    customers = [random_records(widths, 1 + count, seed) for seed, count in enumerate(counts)]
    live = np.concatenate([records[:1] for records in customers])
    forks = rolling(np.concatenate([records[1:] for records in customers]), widths)

    found = encode_many(widths, live, forks, counts, tails)

    assert found == [encode(widths, records, tail) for records, tail in zip(customers, tails, strict=True)]
    assert found[0].startswith(header(widths))


def test_no_rows_in_bulk_are_no_rows():
    nobody = np.zeros(0, Layout().dtype)
    assert encode_many(Layout(), nobody, rolling(nobody, Layout()), [], []) == []


@given(layouts, layouts)
@examples(20)
def test_a_row_of_other_widths_keeps_all_that_fits(old: Layout, new: Layout):
    records = random_records(old, 2)
    # Of a fork nothing but the rolling part is kept.
    for name in set(old.dtype.names or ()) - set(old.rolling):
        records[name][1:] = 0
    found, _ = decode(new, encode(old, records))
    words = min(old.purchase_words, new.purchase_words)

    assert (found["purchase_days"][:, :words] == records["purchase_days"][:, :words]).all()
    assert not found["purchase_days"][:, words:].any()
    for topic, size in old.rings.items():
        kept = size == new.rings[topic]
        for name in (f"{topic}_ids", f"{topic}_head"):
            assert found[name].tobytes() == (records[name].tobytes() if kept else bytes(found[name].nbytes))
    resized = {"purchase_days", *(f"{t}_{part}" for t in old.rings for part in ("ids", "head"))}
    for name in set(new.dtype.names or ()) - resized:
        assert found[name].tobytes() == records[name].tobytes()


def test_a_field_that_an_older_row_lacks_reads_as_never(monkeypatch: pytest.MonkeyPatch):
    version = layout.VERSION
    old = np.ones(2, Layout().dtype)
    value = encode(Layout(), old, b"tail")
    without, part = (
        np.dtype([(name, dtype[name]) for name in dtype.names or () if name != "supports"])
        for dtype in (old.dtype, Layout().rolling_dtype)
    )
    records = np.ones(1, without).tobytes() + np.ones(1, part).tobytes()
    shorter = header(Layout(), 2, 4) + records + b"tail"

    # The next version brings `supports`: rows of today's have no such field.
    monkeypatch.setitem(ADDED, "supports", version + 1)
    monkeypatch.setattr(layout, "VERSION", version + 1)
    monkeypatch.setattr(rowcodec, "VERSION", version + 1)

    found, tail = decode(Layout(), shorter)
    assert tail == b"tail"
    assert found.dtype == Layout().dtype
    assert found["supports"].tolist() == [0, 0]
    assert all((found[name] == 1).all() for name in Layout().rolling if name != "supports")
    assert found["user_hash"].tolist() == [1, 0]
    with pytest.raises(RowError):
        decode(Layout(), value)


@given(st.integers(0, 5000))
@examples(25)
def test_a_torn_row_is_refused(cut: int):
    value = encode(Layout(), random_records(Layout(), 2), b"tail")

    with pytest.raises(RowError):
        decode(Layout(), value[: cut % len(value)])


def test_a_row_with_something_behind_it_is_refused():
    with pytest.raises(RowError, match="does not hold"):
        decode(Layout(), encode(Layout(), random_records(Layout())) + b"x")


def test_a_row_without_records_is_refused():
    with pytest.raises(RowError, match="does not hold 0 records"):
        decode(Layout(), header(Layout(), records=0))


def test_a_row_of_a_newer_version_is_refused_with_what_to_do():
    value = bytearray(encode(Layout(), random_records(Layout())))
    value[0] = rowcodec.VERSION + 1

    with pytest.raises(RowError, match="upgrade this worker"):
        decode(Layout(), bytes(value))


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES + 40))
@examples(25)
def test_foreign_bytes_are_refused_and_nothing_else_is_raised(value: bytes):
    with pytest.raises(RowError):
        decode(Layout(), value)
