"""Signatures: of what is pickled, which runs code when read, and of the versions that alerts come from."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

#: Names the format and is covered by the signature, so that a later format cannot be passed off as this one.
_PREFIX = b"churnwatch-hmac-sha256-1\n"
_RECORD_PREFIX = b"churnwatch-record-hmac-sha256-1\n"
#: Kafka header of a signed record.
HEADER: Final = "churnwatch-signature"
_DIGEST_BYTES = hashlib.sha256().digest_size


class SignatureError(ValueError):
    """The bytes were not signed with this key, or were changed since; nothing of them may be used."""


def sign(payload: bytes, key: bytes) -> bytes:
    """`payload` behind its HMAC-SHA256 (RFC 2104) under `key`, which must not be empty (ValueError)."""
    return _PREFIX + _digest(payload, key) + payload


def open_signed(blob: bytes, key: bytes) -> bytes:
    """The payload that `sign` put into `blob`; raises `SignatureError` if it was tampered with."""
    if not blob.startswith(_PREFIX):
        raise SignatureError("the bytes carry no signature of a known version")
    body = blob[len(_PREFIX) :]
    digest, payload = body[:_DIGEST_BYTES], body[_DIGEST_BYTES:]
    if not hmac.compare_digest(digest, _digest(payload, key)):
        raise SignatureError("the signature does not match the bytes")
    return payload


def signature(key: bytes, value: bytes | None, secret: bytes) -> bytes:
    """What proves that a record with this key and value comes from whoever has the secret (not empty)."""
    # The length tells apart where the key ends, and the mark a tombstone from an empty value.
    parts = (len(key).to_bytes(4, "big"), key, b"-" if value is None else b"+" + value)
    return _hmac(b"".join((_RECORD_PREFIX, *parts)), secret)


def check_signature(found: bytes | None, key: bytes, value: bytes | None, secret: bytes) -> None:
    """Raises `SignatureError` unless `found` is the `signature` of this record."""
    if found is None:
        raise SignatureError("the record is not signed")
    if not hmac.compare_digest(found, signature(key, value, secret)):
        raise SignatureError("the signature does not match the record")


def _digest(payload: bytes, key: bytes) -> bytes:
    return _hmac(_PREFIX + payload, key)


def _hmac(message: bytes, key: bytes) -> bytes:
    if not key:
        raise ValueError("a signing key must not be empty")
    return hmac.digest(key, message, "sha256")
