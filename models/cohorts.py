"""Cohorts: who was judged at a decision time, from which vector, with which probabilities.

A cohort is learned whole, at maturity, from this snapshot (DESIGN 4.5). Learning "retained" early and
"churned" late instead would teach the model the calendar, not the customer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from features.bitdays import any_between
from features.layout import DAY_MS
from models.episodes import TIERS
from models.groups import Groups, GroupsForm
from models.versions import filled
from models.wire import WireError, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

#: Members per stored chunk: about 100-200 KiB, well inside one record batch.
CHUNK_MEMBERS: Final = 1000
#: Probabilities are kept as whole millionths, the grain in which they are published.
MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Cohort:
    """Members of one partition at one decision time, in rising order of `hashes` (salted 64-bit hash).

    `inputs` (n, d) float32 are the vectors that were scored; `issued` (n, m) uint32 the probabilities of
    the `contenders` in millionths, of whom `champion` raised the alerts; `recency` (n,) days since the
    last purchase, the rule to beat; `rhythm` (n, 3) x, t_x and T of BG/NBD in days, by which the return
    probability of then is computed anew when the cohort is learned; `warned` (n,) in which tier an alert
    stood once that decision time was through, an index into `models.episodes.TIERS`. Both are 0 rows long in
    what an older release stored. `groups` are the members' at the sweep, None unless audits were asked for;
    no model sees them.
    """

    decision_time: int
    contenders: tuple[str, ...]
    champion: str
    hashes: NDArray[np.uint64]
    inputs: NDArray[np.float32]
    issued: NDArray[np.uint32]
    recency: NDArray[np.uint16]
    rhythm: NDArray[np.uint16] = field(default_factory=lambda: np.zeros((0, 3), np.uint16))
    warned: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    groups: Groups | None = None

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def by_champion(self) -> NDArray[np.uint32]:
        """The champion's probabilities (n,), in millionths."""
        return self.issued[:, self.contenders.index(self.champion)]

    def take(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Cohort:
        """The members that `keep` chooses: a mask (n,), or indices in a new order."""
        return replace(
            self,
            hashes=self.hashes[keep],
            inputs=self.inputs[keep],
            issued=self.issued[keep],
            recency=self.recency[keep],
            rhythm=self.rhythm[keep] if len(self.rhythm) else self.rhythm,
            warned=self.warned[keep] if len(self.warned) else self.warned,
            groups=self.groups.take(keep) if self.groups is not None else None,
        )

    def chunks(self) -> Iterator[bytes]:
        """Stored form, `CHUNK_MEMBERS` at a time."""
        return iter(self._packed)

    @cached_property
    def _packed(self) -> tuple[bytes, ...]:
        """Packed once: a cohort never changes, and every checkpoint stores it again."""
        return tuple(self._pack(part) for part in chunk_slices(len(self)))

    def _pack(self, part: slice) -> bytes:
        return pack(
            _Chunk(
                decision_time=self.decision_time,
                contenders=self.contenders,
                champion=self.champion,
                width=self.inputs.shape[1],
                hashes=self.hashes[part].tobytes(),
                inputs=self.inputs[part].tobytes(),
                issued=self.issued[part].tobytes(),
                recency=self.recency[part].tobytes(),
                rhythm=self.rhythm[part].tobytes(),
                warned=self.warned[part].tobytes(),
                groups=self.groups.form(part) if self.groups is not None else None,
            )
        )

    @staticmethod
    def join(chunks: Sequence[Cohort]) -> Cohort:
        """One cohort from its chunks, in the order given."""
        groups = [c.groups for c in chunks if c.groups is not None]
        return replace(
            chunks[0],
            hashes=np.concatenate([c.hashes for c in chunks]),
            inputs=np.concatenate([c.inputs for c in chunks]),
            issued=np.concatenate([c.issued for c in chunks]),
            recency=np.concatenate([c.recency for c in chunks]),
            rhythm=np.concatenate([c.rhythm for c in chunks]),
            warned=np.concatenate([c.warned for c in chunks]),
            groups=Groups.join(groups) if len(groups) == len(chunks) else None,
        )


def chunk_slices(members: int) -> Iterator[slice]:
    """Which of a cohort's members go into each chunk."""
    return (slice(start, start + CHUNK_MEMBERS) for start in range(0, members, CHUNK_MEMBERS))


class _Chunk(msgspec.Struct):
    decision_time: int
    contenders: tuple[str, ...]
    champion: str
    width: int
    hashes: bytes
    inputs: bytes
    issued: bytes
    recency: bytes
    rhythm: bytes = b""
    warned: bytes = b""
    groups: GroupsForm | None = None


def read_chunk(value: bytes) -> Cohort:
    """A cohort chunk from its stored form, also an older release's; raises WireError when it is not one."""
    chunk = unpack(value, _Chunk)
    if chunk.champion not in chunk.contenders:
        raise WireError(f"the champion {chunk.champion!r} of a cohort chunk is not among its contenders")
    try:
        hashes = np.frombuffer(chunk.hashes, np.uint64)
        return Cohort(
            decision_time=chunk.decision_time,
            contenders=chunk.contenders,
            champion=chunk.champion,
            hashes=hashes,
            inputs=filled(np.frombuffer(chunk.inputs, np.float32).reshape(len(hashes), chunk.width)),
            issued=np.frombuffer(chunk.issued, np.uint32).reshape(len(hashes), len(chunk.contenders)),
            recency=np.frombuffer(chunk.recency, np.uint16).reshape(len(hashes)),
            rhythm=np.frombuffer(chunk.rhythm, np.uint16).reshape(len(hashes) if chunk.rhythm else 0, 3),
            warned=_tiers(chunk.warned, len(hashes)),
            groups=Groups.read(chunk.groups, len(hashes)) if chunk.groups is not None else None,
        )
    except ValueError as error:
        raise WireError(f"a cohort chunk whose columns do not fit together: {error}") from error


def _tiers(warned: bytes, members: int) -> NDArray[np.uint8]:
    """Raises ValueError where these are no tiers of so many members."""
    found = np.frombuffer(warned, np.uint8).reshape(members if warned else 0)
    if (found >= len(TIERS)).any():
        raise ValueError("a tier that does not exist")
    return found


def churned(rows: NDArray[np.void], start: int, horizon_days: int) -> NDArray[np.bool_]:
    """Label of each record: no purchase in [start, start + horizon).

    `rows` hold the events before some ts >= start + horizon; `start` is a midnight, so that the window is
    made of whole days and the set of purchase days answers exactly.
    """
    newest = rows["last_purchase"] // DAY_MS
    first_day, last_day = start // DAY_MS, start // DAY_MS + horizon_days - 1
    words = np.ascontiguousarray(rows["purchase_days"])
    bought = any_between(words, newest - last_day, newest - first_day)
    return ~(bought & (rows["last_purchase"] >= start))


def sample(hashes: NDArray[np.uint64], size: int) -> NDArray[np.bool_]:
    """Which of these customers are learned from: the `size` with the lowest hash, the same every time."""
    keep = np.ones(len(hashes), bool)
    if len(hashes) > size:
        keep[np.argsort(hashes, kind="stable")[size:]] = False
    return keep
