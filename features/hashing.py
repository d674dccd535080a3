"""The hashes that must never change: partitions, identities, and coin flips that can be repeated."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import Final

import xxhash

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_MASK: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """32-bit murmur2 of `key` with Kafka's seed, as the signed integer that Java prints.

    Same function as org.apache.kafka.common.utils.Utils.murmur2. Pure Python, about 3 µs for a key of
    16 bytes: meant for the creation of a customer's row and for samples, not for every event.

    >>> murmur2(b"foobar")
    -790332482
    """
    length = len(key)
    words = length // 4
    h = _SEED ^ length
    for word in struct.unpack_from(f"<{words}I", key):
        k = word * _M & _MASK
        h = h * _M & _MASK ^ (k ^ k >> 24) * _M & _MASK
    if tail := key[4 * words :]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    h ^= h >> 15
    return h - (h >> 31 << 32)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's Java default partitioner gives to `key`, in [0, `partitions`).

    >>> partition_of(b"foobar", 12)
    6
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def id_hash(text: str) -> int:
    """Unsigned 64-bit hash (XXH3) by which an id is remembered. Unsalted: equal ids are equal everywhere.

    >>> id_hash("order-1")
    6900751593513035894
    """
    return xxhash.xxh3_64_intdigest(text.encode())


def salted_hash(user_id: str, salt: str) -> int:
    """Unsigned 64-bit pseudonym of a customer (BLAKE2b keyed with `salt`, RFC 7693).

    Holdout, learning order, sampling and pseudonyms in logs all start from it. Nobody without the salt
    can tell whose it is by trying ids. Raises ValueError when `salt` is empty (an empty key is no key)
    or longer than 64 bytes of UTF-8.
    """
    key = salt.encode()
    if not 0 < len(key) <= 64:
        raise ValueError(f"a salt has 1 to 64 bytes, this one has {len(key)}")
    return int.from_bytes(blake2b(user_id.encode(), digest_size=8, key=key).digest(), "big")


def unit_interval(user_hash: int, purpose: str) -> float:
    """A number in [0, 1) drawn once and for all from `user_hash` (unsigned 64 bits) for one `purpose`.

    Draws for different purposes are independent of each other, so that, say, the customers held out are
    no special choice among those sampled for learning. All 53 bits of the mantissa are used.

    >>> unit_interval(7, "holdout")
    0.29596926397845225
    """
    mixed = xxhash.xxh3_64_intdigest(user_hash.to_bytes(8, "big") + purpose.encode())
    return (mixed >> 11) * 2.0**-53
