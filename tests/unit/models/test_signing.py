from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.signing import SignatureError, check_signature, open_signed, sign, signature

KEY = b"a key from the environment"


@given(st.binary())
def test_what_was_signed_can_be_opened(payload: bytes) -> None:
    assert open_signed(sign(payload, KEY), KEY) == payload


@given(st.binary(min_size=1), st.data())
def test_a_changed_byte_is_noticed_wherever_it_is(payload: bytes, data: st.DataObject) -> None:
    blob = bytearray(sign(payload, KEY))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SignatureError):
        open_signed(bytes(blob), KEY)


def test_a_shortened_or_foreign_blob_is_refused() -> None:
    blob = sign(b"payload", KEY)

    for broken in (b"", b"payload", blob[:10], blob[:-1], blob + b"x"):
        with pytest.raises(SignatureError):
            open_signed(broken, KEY)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SignatureError):
        open_signed(sign(b"payload", KEY), b"another key")


def test_an_empty_key_signs_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        sign(b"payload", b"")


@pytest.mark.parametrize(
    ("key", "value"), [(b"k", b"value"), (b"kv", b"alue"), (b"", b"kvalue"), (b"k", b""), (b"k", None)]
)
def test_the_signature_of_a_record_fits_no_other_record(key: bytes, value: bytes | None) -> None:
    records = [(b"k", b"value"), (b"kv", b"alue"), (b"", b"kvalue"), (b"k", b""), (b"k", None)]
    fitting = []
    for other in records:
        try:
            check_signature(signature(key, value, KEY), *other, KEY)
        except SignatureError:
            continue
        fitting.append(other)

    assert fitting == [(key, value)]


def test_a_record_without_a_signature_or_signed_by_somebody_else_is_refused() -> None:
    with pytest.raises(SignatureError, match="is not signed"):
        check_signature(None, b"k", b"v", KEY)
    with pytest.raises(SignatureError, match="does not match"):
        check_signature(signature(b"k", b"v", b"another key"), b"k", b"v", KEY)
