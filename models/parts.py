"""What a partition sends the trainer at each decision time: the `examples` topic.

A part holds every cohort of the partition that matured by then, with labels and without user ids, and
the histogram of buying rhythms. It travels in chunks; the trainer needs all chunks of all partitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.returns import ReturnHistogram
from models.cohorts import Cohort, read_chunk
from models.wire import pack, unpack


@dataclass(frozen=True)
class Matured:
    """A cohort with its labels: `churned` (n,), and `treated` (n,) whether a command really reached them."""

    cohort: Cohort
    churned: NDArray[np.bool_]
    treated: NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """What one partition knows at decision time `ts`."""

    partition: int
    ts: int
    matured: tuple[Matured, ...]
    histogram: ReturnHistogram

    def messages(self) -> Iterator[bytes]:
        """The part as `examples` values, deterministic: a repeated part repeats its bytes."""
        chunks = [
            _Labelled(chunk, m.churned[start : start + n].tobytes(), m.treated[start : start + n].tobytes())
            for m in self.matured
            for chunk, start, n in _sliced(m.cohort)
        ]
        total = len(chunks) + 1
        yield pack(PartChunk(self.partition, self.ts, 0, total, histogram=self.histogram.to_json()))
        for number, chunk in enumerate(chunks, start=1):
            yield pack(PartChunk(self.partition, self.ts, number, total, labelled=chunk))


def _sliced(cohort: Cohort) -> Iterator[tuple[bytes, int, int]]:
    start = 0
    for chunk in cohort.chunks():
        n = len(read_chunk(chunk))
        yield chunk, start, n
        start += n


class _Labelled(msgspec.Struct):
    chunk: bytes
    churned: bytes
    treated: bytes


class PartChunk(msgspec.Struct):
    """One message of a part: number 0 carries the histogram, the others labelled cohort chunks."""

    partition: int
    ts: int
    number: int
    total: int
    histogram: dict[str, list[Any]] | None = None
    labelled: _Labelled | None = None


def read_part_chunk(value: bytes) -> PartChunk:
    """A message of the `examples` topic; raises WireError."""
    return unpack(value, PartChunk)


@dataclass
class PartAssembly:
    """Chunks of one part as they arrive, in any order and any number of times."""

    chunks: dict[int, PartChunk] = field(default_factory=dict)

    def add(self, chunk: PartChunk) -> None:
        """Take one chunk; a repetition changes nothing, and nothing is added to a complete part."""
        if not self.complete:
            self.chunks[chunk.number] = chunk

    @property
    def complete(self) -> bool:
        """Whether every chunk is here."""
        return bool(self.chunks) and len(self.chunks) == next(iter(self.chunks.values())).total

    def part(self) -> Part:
        """The part, once complete."""
        head = self.chunks[0]
        assert head.histogram is not None
        labelled = [self.chunks[n].labelled for n in range(1, head.total)]
        return Part(
            partition=head.partition,
            ts=head.ts,
            matured=tuple(_matured(chunk) for chunk in labelled if chunk is not None),
            histogram=ReturnHistogram.from_json(head.histogram),
        )


def _matured(labelled: _Labelled) -> Matured:
    return Matured(
        cohort=read_chunk(labelled.chunk),
        churned=np.frombuffer(labelled.churned, bool),
        treated=np.frombuffer(labelled.treated, bool),
    )
