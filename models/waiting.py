"""Parts of the trainer's decision times while they wait for those of the other partitions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from models.parts import PartAssembly

if TYPE_CHECKING:
    from models.parts import Part, PartChunk

#: Decision times whose parts are kept whole. In step all partitions are within one or two; while one is mute
#: for weeks, what the others send of later times stands in the log, from which it is read again.
KEPT_TIMES: Final = 4


@dataclass
class _DecisionTime:
    """Parts of one decision time, and the smallest offset of `examples` that any of them needs.

    `left_out` are the partitions of whose parts only that they came is kept.
    """

    parts: dict[int, PartAssembly] = field(default_factory=dict)
    offset: int | None = None
    left_out: set[int] = field(default_factory=set)


class WaitingParts:
    """Chunks of parts, in any order and any number of times, of so many partitions.

    What the parts carry is kept of the `kept` earliest decision times; of later ones only if it stands in no
    log, from which `read_again` could tell to read it.
    """

    def __init__(self, partitions: int, kept: int = KEPT_TIMES) -> None:
        self._partitions = partitions
        self._kept = kept
        #: Parts that are read again: by decision time and partition.
        self._again: set[tuple[int, int]] = set()
        self._times: dict[int, _DecisionTime] = {}
        self._newest: dict[int, int] = {}

    def add(self, chunk: PartChunk, offset: int | None) -> None:
        """Take one message of `examples`, read at `offset`."""
        waiting = self._times.setdefault(chunk.ts, _DecisionTime(offset=offset))
        if offset is not None and waiting.offset is not None:
            waiting.offset = min(waiting.offset, offset)
        if offset is not None and chunk.ts not in self._earliest():
            waiting.left_out.add(chunk.partition)
            chunk = chunk.hollow()
        waiting.parts.setdefault(chunk.partition, PartAssembly()).add(chunk)
        self._newest[chunk.partition] = max(chunk.ts, self._newest.get(chunk.partition, chunk.ts))

    def _earliest(self) -> list[int]:
        return sorted(self._times)[: self._kept]

    def read_again(self) -> int | None:
        """From which offset to read and `fill` what the earliest times have not kept; None if all is."""
        self._again.clear()
        found = {ts: self._times[ts] for ts in self._earliest() if self._times[ts].left_out}
        for ts, waiting in found.items():
            for partition in waiting.left_out:
                waiting.parts[partition] = PartAssembly()
                self._again.add((ts, partition))
            waiting.left_out.clear()
        return min((each.offset for each in found.values() if each.offset is not None), default=None)

    def fill(self, chunk: PartChunk) -> bool:
        """Take a message that is read again; whether there are more to come."""
        place = (chunk.ts, chunk.partition)
        if place in self._again:
            part = self._times[chunk.ts].parts[chunk.partition]
            part.add(chunk)
            if part.complete:
                self._again.remove(place)
        return bool(self._again)

    def ready(self) -> int | None:
        """The earliest decision time whose parts are all here, unless an earlier one still waits.

        A partition sends its decision times in rising order. One that has sent a later time and no whole
        part of this one began later on the grid, or its part cannot be read: it is not waited for.
        """
        if not self._times:
            return None
        ts = min(self._times)
        parts = self._times[ts].parts
        expected = (p for p in range(self._partitions) if self._newest.get(p, ts) <= ts)
        return ts if all(p in parts and parts[p].complete for p in expected) else None

    def waits_for(self) -> dict[int, int]:
        """How many decision times wait for each partition that has not sent its part of them."""
        missing: Counter[int] = Counter()
        for ts, waiting in self._times.items():
            for partition in range(self._partitions):
                part = waiting.parts.get(partition)
                if self._newest.get(partition, ts) <= ts and not (part is not None and part.complete):
                    missing[partition] += 1
        return dict(missing)

    def resume_offset(self, next_offset: int) -> int:
        """From which offset a reader who stands at `next_offset` must read again to have all that waits."""
        offsets = (waiting.offset for waiting in self._times.values())
        return min((offset for offset in offsets if offset is not None), default=next_offset)

    def whole(self, ts: int) -> list[Part]:
        """The whole parts of `ts`, by partition."""
        return [part.part() for _, part in sorted(self._times[ts].parts.items()) if part.complete]

    def drop(self, ts: int) -> None:
        """Forget what is of `ts` or earlier: it was learned."""
        for old in [key for key in self._times if key <= ts]:
            del self._times[old]
