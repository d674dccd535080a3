"""Signatures for what is pickled: a pickle runs code when read, so only our own may be opened."""

from __future__ import annotations

import hashlib
import hmac

#: Names the format and is covered by the signature, so that a later format cannot be passed off as this one.
_PREFIX = b"churnwatch-hmac-sha256-1\n"
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


def _digest(payload: bytes, key: bytes) -> bytes:
    if not key:
        raise ValueError("a signing key must not be empty")
    return hmac.digest(key, _PREFIX + payload, "sha256")
