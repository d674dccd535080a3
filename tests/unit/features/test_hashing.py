from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.hashing import id_hash, murmur2, partition_of, salted_hash, unit_interval


# org.apache.kafka.common.utils.UtilsTest#testMurmur2, and Akka's Murmur2Spec against the same class
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
        (b"1", -1993445489),
        (b"12", 126087238),
        (b"123", -267702483),
        (b"1234", -1614185708),
        (b"12345", -1188365604),
    ],
)
def test_murmur2_gives_what_kafkas_java_client_gives(key: bytes, expected: int):
    assert murmur2(key) == expected


@given(st.binary(max_size=70))
def test_murmur2_agrees_with_a_client_that_was_written_by_others(key: bytes):
    from aiokafka.partitioner import murmur2 as aiokafkas

    assert murmur2(key) & 0xFFFFFFFF == aiokafkas(key) & 0xFFFFFFFF


def test_the_partition_of_a_negative_hash_drops_the_sign_bit_as_java_does():
    assert murmur2(b"foobar") == -790332482

    assert partition_of(b"foobar", 12) == (-790332482 & 0x7FFFFFFF) % 12 == 6


@given(st.text(min_size=1, max_size=30), st.integers(1, 200))
def test_partitions_agree_with_aiokafkas_default_partitioner(user_id: str, partitions: int):
    from aiokafka.partitioner import DefaultPartitioner

    every = list(range(partitions))

    assert partition_of(user_id.encode(), partitions) == DefaultPartitioner()(user_id.encode(), every, every)


def test_hashes_stay_what_they_were_because_states_and_holdouts_rest_on_them():
    assert id_hash("order-1") == 6900751593513035894
    assert salted_hash("u1", "salt") == 3813172042214420748
    assert unit_interval(7, "holdout") == 0.29596926397845225


@pytest.mark.parametrize("salt", ["", "x" * 65, "é" * 33])
def test_a_salt_that_would_not_be_used_in_full_is_refused(salt: str):
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        salted_hash("u1", salt)


def test_another_salt_draws_another_holdout():
    first = {user for user in range(1000) if unit_interval(salted_hash(str(user), "a"), "holdout") < 0.1}
    second = {user for user in range(1000) if unit_interval(salted_hash(str(user), "b"), "holdout") < 0.1}

    assert 60 < len(first) < 140
    assert len(first & second) < 40


@given(st.integers(0, 2**64 - 1), st.text(max_size=10))
def test_a_draw_lies_in_the_half_open_unit_interval(user_hash: int, purpose: str):
    assert 0.0 <= unit_interval(user_hash, purpose) < 1.0


def test_draws_for_two_purposes_are_uniform_and_uncorrelated():
    rng = random.Random(5)
    hashes = [rng.getrandbits(64) for _ in range(5000)]
    holdout = [unit_interval(each, "holdout") for each in hashes]
    sample = [unit_interval(each, "sample") for each in hashes]

    # standard errors are 0.004 and 0.014
    assert abs(statistics.mean(holdout) - 0.5) < 0.02
    assert abs(statistics.correlation(holdout, sample)) < 0.06
