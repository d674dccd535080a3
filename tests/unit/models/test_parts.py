from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.returns import ReturnHistogram
from models import cohorts
from models.cohorts import Cohort
from models.drift import InputHistogram
from models.parts import Matured, Part, PartAssembly, read_part_chunk, require_learnable
from models.wire import WireError, pack
from tests.building import day
from tests.examples import examples

if TYPE_CHECKING:
    import random

HISTOGRAM = ReturnHistogram.from_arrays([0, 2], [0, 9], [30, 40])
INPUTS = InputHistogram.of(np.array([[0.5, -1.0], [0.5, 3.0]], np.float32))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohorts, "CHUNK_MEMBERS", 3)


def matured(n: int, start: float = 1, *, seed: int = 0) -> Matured:
    rng = np.random.default_rng(seed)
    cohort = Cohort(
        decision_time=day(start),
        contenders=("logistic",),
        champion="logistic",
        hashes=np.sort(rng.integers(0, 2**64, n, np.uint64)),
        inputs=rng.normal(size=(n, 2)).astype(np.float32),
        issued=rng.integers(0, 10**6, (n, 1)).astype(np.uint32),
        recency=rng.integers(0, 100, n).astype(np.uint16),
    )
    return Matured(cohort, rng.random(n) < 0.5, rng.random(n) < 0.5)


def part(*cohorts_matured: Matured, ts: float = 9) -> Part:
    return Part(0, day(ts), cohorts_matured, HISTOGRAM, INPUTS)


def assert_same(one: InputHistogram | None, other: InputHistogram | None) -> None:
    assert one is not None
    assert other is not None
    assert one.to_json() == other.to_json()


def members(found: Part) -> list[tuple[int, int, bool, bool]]:
    return [
        (m.cohort.decision_time, *row)
        for m in found.matured
        for row in zip(m.cohort.hashes.tolist(), m.churned.tolist(), m.treated.tolist(), strict=True)
    ]


@examples(30)
@given(st.integers(0, 8), st.integers(0, 8), st.randoms(use_true_random=False))
def test_a_part_comes_back_from_its_messages_in_any_order_and_number(n: int, m: int, rng: random.Random):
    sent = part(*([matured(n)] if n else []), *([matured(m, 2, seed=1)] if m else []))
    messages = list(sent.messages())
    assembly = PartAssembly()
    for message in rng.sample(messages, len(messages)):
        assert not assembly.complete
        assembly.add(read_part_chunk(message))
        assembly.add(read_part_chunk(message))

    assert assembly.complete
    assert members(assembly.part()) == members(sent)
    assert assembly.part().histogram.to_json() == HISTOGRAM.to_json()
    assert_same(assembly.part().inputs, sent.inputs)


def test_a_repeated_part_repeats_its_bytes():
    assert list(part(matured(7)).messages()) == list(part(matured(7)).messages())


@examples(50)
@given(st.integers(0, 4), st.integers(0, 4), st.randoms(use_true_random=False))
def test_chunks_of_two_tries_are_never_mixed(torn: int, other: int, rng: random.Random):
    """The first try is torn; before the second one a customer was erased, and every chunk moved."""
    whole = matured(11)
    fewer = Matured(whole.cohort.take(np.arange(1, 11)), whole.churned[1:], whole.treated[1:])
    first, second = list(part(whole).messages()), list(part(fewer).messages())
    received = [*first[:torn], *second, *first[other:]]
    if rng.random() < 0.5:
        rng.shuffle(received)
    assembly = PartAssembly()
    for message in received:
        assembly.add(read_part_chunk(message))

    assert members(assembly.part()) in (members(part(whole)), members(part(fewer)))


def test_two_tries_whose_inputs_differ_are_never_mixed():
    """An erasure between them took one customer out of the inputs only."""
    fewer = replace(part(), inputs=InputHistogram.of(np.array([[0.5, 3.0]], np.float32)))
    contents = {read_part_chunk(message).content for each in (part(), fewer) for message in each.messages()}

    assert len(contents) == 2


def test_a_part_of_an_older_release_tells_nothing_of_inputs():
    assembly = PartAssembly()
    for message in part(matured(2)).messages():
        fields = msgspec.msgpack.decode(zlib.decompress(message[1:]))
        del fields["inputs"]
        assembly.add(read_part_chunk(message[:1] + zlib.compress(msgspec.msgpack.encode(fields))))

    assert assembly.part().inputs is None
    assert members(assembly.part()) == members(part(matured(2)))


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"columns": 3},
        {"columns": 10**9},
        {"counts": [2, 1]},
        {"counts": [2, 1, 2]},
        {"counts": [3, 1, 0]},
        {"counts": "many"},
        {"steps": [2**62, 2**62, 2**62]},
        {"steps": [-1, 5, 9]},
        {"steps": [5, 0, 2**17]},
    ],
)
def test_inputs_that_are_no_histogram_are_refused(bad: dict[str, object]):
    head = read_part_chunk(next(iter(part().messages())))
    assert head.inputs is not None
    require_learnable(head, 2)
    broken = msgspec.structs.replace(head, inputs={**head.inputs, **bad} if bad else {})

    with pytest.raises(WireError, match="inputs"):
        require_learnable(broken, 2)


def test_the_first_whole_try_counts():
    assembly = PartAssembly()
    for message in [*part(matured(5)).messages(), *part(matured(4, seed=3)).messages()]:
        assembly.add(read_part_chunk(message))

    assert members(assembly.part()) == members(part(matured(5)))


def test_a_message_that_carries_nothing_is_refused():
    head, chunk = (read_part_chunk(message) for message in part(matured(2)).messages())

    for bad in (
        msgspec.structs.replace(head, histogram=None),
        msgspec.structs.replace(chunk, labelled=None),
        msgspec.structs.replace(chunk, number=2),
        msgspec.structs.replace(chunk, number=-1),
    ):
        with pytest.raises(WireError):
            read_part_chunk(pack(bad))


def test_labels_that_do_not_fit_their_cohort_are_refused():
    short = replace(matured(3), churned=np.zeros(2, bool))
    assembly = PartAssembly()
    for message in part(short).messages():
        assembly.add(read_part_chunk(message))

    with pytest.raises(WireError, match="one label for each member"):
        assembly.part()
