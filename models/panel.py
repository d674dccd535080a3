"""The panel: a random sample of the active customers, as they stand just before a decision time is judged.

Partitions send it to the trainer, which so knows what its new version will say of the shop before any alert
is raised: where the tiers begin, and whether the step is believable. Who belongs to it follows from the
customer's hash and a share that travels with the version, so the number of partitions changes nothing. It
carries no id and no hash of a customer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from features.catalogue import OFFSET
from features.layout import DAY_MS
from models.cohorts import chunk_slices
from models.judging import chunks, inputs_of, rhythms
from models.rhythm import late
from models.versions import COLUMNS, SEASON
from models.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from features.table import Slots
    from models.core import PartitionCore
    from models.rhythm import ShopRhythm
    from models.versions import ModelSet

#: Customers of the whole shop who are looked at, about; smaller shops are looked at whole.
SIZE: Final = 5_000
_HASHES: Final = 2.0**64


class PanelForm(msgspec.Struct):
    """Some members as they travel."""

    inputs: bytes
    rhythm: bytes
    inside: bytes


@dataclass(frozen=True)
class Panel:
    """Members (n,), and how many `active` customers they stand for.

    `inputs` (n, d) float32 as a sweep would score them; `rhythm` (n, 3) x, t_x and T of BG/NBD in days, by
    which return probabilities are computed anew; `inside` (n,) whether an episode of theirs is open.
    """

    active: int
    inputs: NDArray[np.float32]
    rhythm: NDArray[np.uint16]
    inside: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.inputs)

    @classmethod
    def nobody(cls, active: int = 0) -> Panel:
        """A panel without members."""
        inputs = np.zeros((0, len(COLUMNS)), np.float32)
        return cls(active, inputs, np.zeros((0, 3), np.uint16), np.zeros(0, bool))

    @classmethod
    def merge(cls, parts: Iterable[Panel]) -> Panel:
        """All members, in an order that does not depend on how they are spread over `parts`."""
        found = cls.join(parts)
        columns = (found.inputs, found.rhythm, found.inside[:, None])
        content = np.hstack([np.ascontiguousarray(column).view(np.uint8) for column in columns])
        order = np.argsort(content.view(f"V{content.shape[1]}")[:, 0], kind="stable")
        return cls(found.active, found.inputs[order], found.rhythm[order], found.inside[order])

    @classmethod
    def join(cls, parts: Iterable[Panel]) -> Panel:
        """All members, one part behind the other."""
        found = [cls.nobody(), *parts]
        inputs = np.concatenate([part.inputs for part in found])
        rhythm = np.concatenate([part.rhythm for part in found])
        inside = np.concatenate([part.inside for part in found])
        return cls(sum(part.active for part in found), inputs, rhythm, inside)

    @property
    def share(self) -> float:
        """Which share of the customers the next panel should be drawn from, for about SIZE members."""
        return min(1.0, SIZE / max(self.active, 1))

    def probabilities(self, models: ModelSet, horizon_days: int) -> dict[str, NDArray[np.float64]]:
        """P(churn) (n,) by every contender, as a sweep with `models` would issue them."""
        inputs = self.inputs.copy()
        x, t_x, age = self.rhythm.T
        inputs[:, COLUMNS.index(OFFSET)] = models.returns.no_purchase_logit(x, t_x, age, horizon_days)
        inputs[:, COLUMNS.index(SEASON)] = models.seasons.effect(models.as_of)
        issued = (np.round(p, 6) for p in models.probabilities(inputs))
        return dict(zip(models.contenders, issued, strict=True))

    def overdue(self, shop: ShopRhythm | None) -> NDArray[np.bool_]:
        """Who (n,) is late with the next order, as if all had ordered at the beginning of a day.

        To a day what a sweep says (`models.rhythm.overdue`): of members only whole days are known.
        """
        x, t_x, age = self.rhythm.T.astype(np.float64)
        return late(age + 1 - t_x, x, t_x, shop)

    def forms(self) -> Iterator[PanelForm]:
        """As they travel, so many at a time as cohorts do."""
        for part in chunk_slices(len(self)):
            columns = (self.inputs[part], self.rhythm[part], self.inside[part])
            yield PanelForm(*(column.tobytes() for column in columns))

    @classmethod
    def read(cls, form: PanelForm) -> Panel:
        """Members from their form; raises WireError when they are none."""
        try:
            inside = np.frombuffer(form.inside, np.uint8)
            inputs = np.frombuffer(form.inputs, np.float32).reshape(len(inside), len(COLUMNS))
            rhythm = np.frombuffer(form.rhythm, np.uint16).reshape(len(inside), 3)
        except ValueError as error:
            raise WireError(f"a panel whose columns do not fit together: {error}") from error
        if not np.isfinite(inputs).all():
            raise WireError("a panel with a vector that is not finite")
        return cls(0, inputs, rhythm, inside.astype(bool))


def active_at(core: PartitionCore, ts: int) -> tuple[Slots, Slots]:
    """Live slots of the active customers, and those of their records as of `ts`."""
    live = core.table.live_slots()
    as_of = core.table.as_of(live, ts)
    last = core.table.rows["last_purchase"][as_of]
    active = np.flatnonzero((last >= ts - core.config.active_within_days * DAY_MS) & (last > 0))
    return live[active], as_of[active]


def draw(core: PartitionCore, ts: int, models: ModelSet) -> Panel:
    """The members of one partition as of `ts`; `models` say which share of the customers they are."""
    rows = core.table.rows
    slots, as_of = active_at(core, ts)
    drawn = rows["user_hash"][slots] <= models.panel * _HASHES
    active, slots, as_of = len(slots), slots[drawn], as_of[drawn]
    if not len(slots):
        return Panel.nobody(active)
    parts = [
        inputs_of(rows, as_of[chunk], ts, core.config.horizon_days, models) for chunk in chunks(len(as_of))
    ]
    inside = rows["episode_start"][slots] > 0
    return Panel(active, np.concatenate(parts), rhythms(rows, as_of, ts, models), inside)
