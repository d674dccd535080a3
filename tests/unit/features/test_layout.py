from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.layout import COUNTERS, DAY_MS, LATEST, Layout, counters, gather, latest
from tests.examples import examples

widths = st.builds(
    Layout,
    purchase_words=st.integers(1, 255),
    clickstream_ids=st.integers(1, 255),
    order_ids=st.integers(2, 255),
    review_ids=st.integers(1, 255),
)


@given(widths)
@examples(20)
def test_every_field_lies_aligned_and_no_byte_is_padding(layout: Layout):
    fields = layout.dtype.fields
    assert fields is not None

    assert all(offset % field.base.alignment == 0 for field, offset in (each[:2] for each in fields.values()))
    assert sum(field.itemsize for field, *_ in fields.values()) == layout.dtype.itemsize


@given(st.integers(0, 16_000))
@examples(25)
def test_purchase_days_reach_back_as_far_as_asked(days: int):
    layout = Layout.covering(days)

    assert layout.label_days >= days
    assert layout.label_days - 64 < days or layout.purchase_words == 1


def test_the_rolling_part_stands_before_the_identity_part():
    layout = Layout()
    names = layout.dtype.names
    assert names is not None

    assert names[: len(layout.rolling)] == layout.rolling
    assert {"stamps", "user_hash", "episode_start", "tier", "orders_ids"}.isdisjoint(layout.rolling)


@pytest.mark.parametrize(
    "wrong", [{"purchase_words": 0}, {"clickstream_ids": 256}, {"order_ids": 1}, {"review_ids": -1}]
)
def test_a_width_that_cannot_be_stored_in_a_byte_is_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match="1 to 255"):
        Layout(**wrong)


def test_a_record_takes_less_than_860_bytes_by_default():
    assert Layout().dtype.itemsize < 860


def test_blocks_of_counters_and_times_are_windows_on_the_records():
    rows = np.zeros(3, Layout().dtype)

    counters(rows)[1] = np.arange(len(COUNTERS))
    latest(rows)[2] = np.arange(len(LATEST)) * DAY_MS

    assert [rows[name].tolist() for name in COUNTERS] == [[0, i, 0] for i in range(len(COUNTERS))]
    assert [rows[name].tolist() for name in LATEST] == [[0, 0, i * DAY_MS] for i in range(len(LATEST))]


def test_gathered_records_are_copies_in_the_order_asked_for():
    rows = np.zeros(4, Layout().dtype)
    rows["user_hash"] = [10, 11, 12, 13]

    found = gather(rows, np.array([3, 0, 3]))
    found["user_hash"][0] = 99

    assert found["user_hash"].tolist() == [99, 10, 13]
    assert rows["user_hash"].tolist() == [10, 11, 12, 13]
