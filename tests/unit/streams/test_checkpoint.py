"""Checkpoints: what is written is read, or clearly refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import checkpoint
from streams.checkpoint import CheckpointError, Identity
from tests.examples import examples

if TYPE_CHECKING:
    from pathlib import Path

MINE = Identity("customers-changelog", 3, 12)
ROWS = [(b"u1", b"one"), (b"u2", b""), (b"p", b"partition")]


@examples(25)
@given(
    rows=st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9))), offset=st.integers(0, 2**63 - 1)
)
def test_what_is_written_is_read(
    rows: list[tuple[bytes, bytes]], offset: int, tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.mktemp("state") / "3.checkpoint"

    size = checkpoint.write(path, MINE, offset, rows)

    found = checkpoint.read(path, MINE)
    assert found is not None
    assert (found.identity, found.offset, found.rows) == (MINE, offset, rows)
    assert size == path.stat().st_size


def test_none_is_read_where_there_is_none(tmp_path: Path):
    assert checkpoint.read(tmp_path / "no.checkpoint", MINE) is None


def test_a_newer_checkpoint_replaces_the_older_one_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "new" / "3.checkpoint"
    checkpoint.write(path, MINE, 1, ROWS)
    checkpoint.write(path, MINE, 2, ROWS[:1])

    found = checkpoint.read(path, MINE)

    assert found is not None
    assert (found.offset, found.rows) == (2, ROWS[:1])
    assert [each.name for each in path.parent.iterdir()] == ["3.checkpoint"]


def test_a_write_that_fails_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "3.checkpoint"
    checkpoint.write(path, MINE, 1, ROWS)

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.write(path, MINE, 2, [])

    found = checkpoint.read(path, MINE)
    assert found is not None
    assert found.offset == 1


@pytest.mark.parametrize("length", [0, 3, 11, 12, 40, -1])
def test_a_torn_file_is_refused(tmp_path: Path, length: int):
    path = tmp_path / "3.checkpoint"
    checkpoint.write(path, MINE, 1, ROWS)
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(CheckpointError, match="torn or no checkpoint"):
        checkpoint.read(path, MINE)


def test_one_changed_bit_is_found(tmp_path: Path):
    path = tmp_path / "3.checkpoint"
    checkpoint.write(path, MINE, 1, ROWS)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)

    with pytest.raises(CheckpointError, match="torn"):
        checkpoint.read(path, MINE)


def test_a_whole_file_of_another_shape_is_refused(tmp_path: Path):
    path = tmp_path / "3.checkpoint"
    body = b"\x01"
    checkpoint.replace(path, b"CWC1" + checkpoint.xxhash.xxh3_64_digest(body) + body)

    with pytest.raises(CheckpointError, match=r"3\.checkpoint"):
        checkpoint.read(path, MINE)


@pytest.mark.parametrize(
    "other",
    [
        Identity("trial-customers-changelog", 3, 12),
        Identity("customers-changelog", 4, 12),
        Identity("customers-changelog", 3, 24),
    ],
    ids=["topic", "partition", "partition count"],
)
def test_a_checkpoint_of_another_topic_partition_or_partition_count_is_refused(
    tmp_path: Path, other: Identity
):
    path = tmp_path / "3.checkpoint"
    checkpoint.write(path, other, 1, ROWS)

    with pytest.raises(CheckpointError, match="belongs to"):
        checkpoint.read(path, MINE)
