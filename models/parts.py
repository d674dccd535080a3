"""What a partition sends the trainer at each decision time: the `examples` topic.

A part holds every cohort of the partition that matured by then, with labels and without user ids, and
the histogram of buying rhythms. It travels in chunks; the trainer needs all chunks of all partitions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
import xxhash

from features.returns import ReturnHistogram
from models.closings import MEMORY_DAYS
from models.cohorts import MILLION, Cohort, chunk_slices, read_chunk
from models.drift import InputHistogram
from models.panel import Panel, PanelForm
from models.versions import ADDED, COLUMNS
from models.wire import WireError, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True)
class Matured:
    """A cohort with its labels: `churned` (n,), and `treated` (n,) whether a command really reached them."""

    cohort: Cohort
    churned: NDArray[np.bool_]
    treated: NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """What one partition knows at decision time `ts`.

    `inputs` are those of the cohort of the decision time before, to watch for drift; None if nobody was
    active then. `panel` is a sample of those who are active now, `buyers` how many customers bought on each
    day of the step that ends here.
    """

    partition: int
    ts: int
    matured: tuple[Matured, ...]
    histogram: ReturnHistogram
    inputs: InputHistogram | None = None
    panel: Panel = field(default_factory=Panel.nobody)
    buyers: tuple[int, ...] = ()

    def messages(self) -> Iterator[bytes]:
        """The part as `examples` values, deterministic: a repeated part repeats its bytes."""
        histogram = self.histogram.to_json()
        inputs = None if self.inputs is None else self.inputs.to_json()
        labelled = [chunk for matured in self.matured for chunk in _labelled(matured)]
        panel, active = list(self.panel.forms()), self.panel.active
        content = msgspec.msgpack.encode((histogram, inputs, labelled, panel, active, self.buyers))
        total = 1 + len(labelled) + len(panel)
        head = PartChunk(self.partition, self.ts, xxhash.xxh3_64_intdigest(content), 0, total)
        told = {"inputs": inputs, "active": active, "buyers": self.buyers}
        yield pack(msgspec.structs.replace(head, histogram=histogram, **told))
        for number, chunk in enumerate(labelled, start=1):
            yield pack(msgspec.structs.replace(head, number=number, labelled=chunk), compressed=True)
        for number, form in enumerate(panel, start=1 + len(labelled)):
            yield pack(msgspec.structs.replace(head, number=number, panel=form))


def _labelled(matured: Matured) -> Iterator[_Labelled]:
    for chunk, members in zip(matured.cohort.chunks(), chunk_slices(len(matured.cohort)), strict=True):
        yield _Labelled(chunk, matured.churned[members].tobytes(), matured.treated[members].tobytes())


class _Labelled(msgspec.Struct):
    chunk: bytes
    churned: bytes
    treated: bytes


class PartChunk(msgspec.Struct):
    """One message of a part: number 0 carries the histograms, the others labelled cohort chunks or the panel.

    `content` is a hash of the whole part: a part that is sent again after a crash may differ from the
    first try (a customer was erased meanwhile), and chunks of two tries must never be mixed.
    """

    partition: int
    ts: int
    content: int
    number: int
    total: int
    histogram: dict[str, list[Any]] | None = None
    labelled: _Labelled | None = None
    inputs: dict[str, Any] | None = None
    active: int = 0
    panel: PanelForm | None = None
    buyers: tuple[int, ...] = ()

    def cohort(self) -> Cohort | None:
        """The piece of a cohort that it carries, if any; raises WireError."""
        return None if self.labelled is None else read_chunk(self.labelled.chunk)

    def hollow(self) -> PartChunk:
        """The same message without what it carries: its part is complete without that."""
        histogram: dict[str, list[Any]] | None = None if self.histogram is None else {"cells": [], "sums": []}
        return msgspec.structs.replace(
            self, histogram=histogram, labelled=None, inputs=None, panel=None, buyers=()
        )


def read_part_chunk(value: bytes) -> PartChunk:
    """A message of the `examples` topic; raises WireError."""
    chunk = unpack(value, PartChunk)
    empty = chunk.histogram is None if chunk.number == 0 else chunk.labelled is None and chunk.panel is None
    if not 0 <= chunk.number < chunk.total or empty or chunk.active < 0:
        raise WireError(f"chunk {chunk.number} of {chunk.total} does not carry what it should")
    return chunk


def require_learnable(chunk: PartChunk, width: int) -> None:
    """Raises WireError when a trainer of `width` columns cannot learn from this message."""
    if chunk.labelled is not None:
        cohort = _matured(chunk.labelled).cohort
        if cohort.inputs.shape[1] != width:
            raise WireError(f"vectors of {cohort.inputs.shape[1]} columns instead of {width}")
        if not np.isfinite(cohort.inputs).all():
            raise WireError("a vector that is not finite")
        if (cohort.issued > MILLION).any():
            raise WireError("a probability above 1")
    if chunk.histogram is not None:
        found = _read(ReturnHistogram.from_json, chunk.histogram, "no histogram of buying rhythms")
        if (found.sums < 0).any() or (found.sums[:, 0] == 0).any():
            raise WireError("a histogram of buying rhythms that counts nobody or less")
    if chunk.inputs is not None:
        _require_inputs(chunk.inputs, width)
    if chunk.panel is not None:
        Panel.read(chunk.panel)
    if min(chunk.buyers, default=0) < 0 or len(chunk.buyers) > MEMORY_DAYS:
        raise WireError("days on which fewer than none bought, or too many days")


def _read(read: Callable[[dict[str, Any]], T], kept: dict[str, Any], otherwise: str) -> T:
    try:
        return read(kept)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WireError(f"{otherwise}: {error!r}") from error


def _read_inputs(kept: dict[str, Any]) -> InputHistogram:
    """The histogram, with the columns that an older release did not have."""
    found = InputHistogram.from_json(kept)
    if found.columns == len(COLUMNS) - len(ADDED) and len(found):
        for name in ADDED:
            found = found.with_zeros(COLUMNS.index(name))
    return found


def _require_inputs(kept: dict[str, Any], width: int) -> None:
    inputs = _read(_read_inputs, kept, "no histogram of inputs")
    if inputs.columns != width:
        raise WireError(f"a histogram of {inputs.columns} columns of inputs instead of {width}")
    if np.ptp(inputs.rows()):
        raise WireError("a histogram of inputs that counts more rows in one column than in another")


@dataclass
class PartAssembly:
    """Chunks of one part as they arrive, in any order and any number of times; the first whole try counts."""

    _tries: dict[tuple[int, int], dict[int, PartChunk]] = field(default_factory=dict)
    _whole: dict[int, PartChunk] | None = None

    def add(self, chunk: PartChunk) -> None:
        """Take one chunk; a repetition changes nothing, and nothing is added to a complete part."""
        if self._whole is None:
            chunks = self._tries.setdefault((chunk.content, chunk.total), {})
            chunks[chunk.number] = chunk
            if len(chunks) == chunk.total:
                self._whole = chunks
                self._tries = {}

    @property
    def complete(self) -> bool:
        """Whether every chunk is here."""
        return self._whole is not None

    def part(self) -> Part:
        """The part, once complete. Raises WireError for a chunk that is not learnable."""
        chunks = self._whole
        assert chunks is not None, "a part without all its chunks"
        head = chunks[0]
        assert head.histogram is not None
        found = [chunks[n] for n in range(1, head.total)]
        panel = [Panel.read(chunk.panel) for chunk in found if chunk.panel is not None]
        return Part(
            partition=head.partition,
            ts=head.ts,
            matured=tuple(_matured(chunk.labelled) for chunk in found if chunk.labelled is not None),
            histogram=ReturnHistogram.from_json(head.histogram),
            inputs=None if head.inputs is None else _read_inputs(head.inputs),
            panel=Panel.join([Panel.nobody(head.active), *panel]),
            buyers=head.buyers,
        )


def _matured(labelled: _Labelled) -> Matured:
    cohort = read_chunk(labelled.chunk)
    churned, treated = (np.frombuffer(labels, bool) for labels in (labelled.churned, labelled.treated))
    if not len(cohort) == len(churned) == len(treated):
        raise WireError("a cohort chunk needs one label for each member")
    return Matured(cohort, churned, treated)
