from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.wire import WireError, pack, unpack
from tests.examples import examples


class Thing(msgspec.Struct):
    name: str
    data: bytes


class Other(msgspec.Struct):
    number: int


@examples(50)
@given(st.text("aé😀"), st.binary())
def test_what_was_packed_is_unpacked(name: str, data: bytes):
    assert unpack(pack(Thing(name, data)), Thing) == Thing(name, data)


def test_equal_things_are_equal_bytes():
    assert pack(Thing("a", b"b" * 100)) == pack(Thing("a", b"b" * 100))


@examples(50)
@given(st.binary(max_size=40))
def test_foreign_bytes_are_refused_and_nothing_else_happens(data: bytes):
    with pytest.raises(WireError):
        unpack(b"\x01" + data, Thing)


@examples(50)
@given(st.integers(0, 200))
def test_a_torn_value_is_refused(size: int):
    whole = pack(Thing("a", bytes(range(256))))

    with pytest.raises(WireError):
        unpack(whole[: min(size, len(whole) - 1)], Thing)


def test_another_kind_and_a_newer_version_are_refused():
    with pytest.raises(WireError, match="not a Other"):
        unpack(pack(Thing("a", b"")), Other)
    with pytest.raises(WireError, match="version 2"):
        unpack(b"\x02" + pack(Thing("a", b""))[1:], Thing)
    with pytest.raises(WireError, match="none"):
        unpack(b"", Thing)
