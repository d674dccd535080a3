"""What strangers write on internal topics is none of ours, whatever its bytes: it is left out."""

from __future__ import annotations

import pytest

from features.observing import Record
from models.wire import UNREADABLE
from streams.control import Sessions, ticks_of
from streams.progress import ProgressBoard
from streams.skips import Skips
from streams.telemetry import Metrics

DEEP = b'{"x":' + b"[" * 5_000
NO_UTF8 = b'{"type":"\xff\xfe"}'
FOREIGN = (b"", b"null", b"no JSON", b"[]", b'{"type":1}', NO_UTF8, DEEP)


@pytest.mark.parametrize("value", FOREIGN)
def test_a_record_without_a_key_that_is_no_tick_is_none(value: bytes) -> None:
    assert ticks_of([Record(0, None, value, 1)]) == []


@pytest.mark.parametrize("value", FOREIGN)
def test_a_board_leaves_out_what_is_no_progress(value: bytes) -> None:
    board = ProgressBoard(2)

    board.read(value)

    assert board.waiting(1) == ProgressBoard(2).waiting(1)


@pytest.mark.parametrize("value", FOREIGN)
def test_no_foreign_record_passes_a_batch_over(value: bytes) -> None:
    skips = Skips("skips", {}, Metrics())

    skips.take(value)

    assert not skips._said


@pytest.mark.parametrize("value", FOREIGN)
def test_an_announcement_that_cannot_be_read_is_refused_by_its_name(value: bytes) -> None:
    with pytest.raises(UNREADABLE):
        Sessions().read(value, 1)
