"""The trainer's two watches for drift, and what they have told.

Inputs warm up: what they do is told once the reference, a horizon old, is of a time with labels enough. The
customers of a young log grow older with it, and every column of tenure and counts would be told. Columns that
moved meanwhile count as told, so that is taken for this shop's usual. (Weekly Complete Journey: 30 columns
move in the third week, and none is told in the 48 that follow.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from features.layout import DAY_MS
from models.drift import LOSS, Drift, InputHistogram, InputWatch, LossWatch, excess_loss

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.progressive import ScoreCounts

#: Drifts that are kept, the newest ones.
KEPT: Final = 1_000
#: A decision time with fewer labels has a loss that says more of chance than of the model.
FEWEST_LABELS: Final = 100


class _State(msgspec.Struct):
    inputs: dict[str, Any]
    warm: int | None
    loss: LossWatch
    drifts: list[Drift]


class Watches:
    """What is watched at each decision time; inputs warm up until `min_labels` are learned."""

    def __init__(self, horizon_days: int, every_days: int, min_labels: int) -> None:
        self._every_ms = every_days * DAY_MS
        self._min_labels = max(min_labels, 1)
        self._inputs = InputWatch(horizon_days * DAY_MS)
        #: The first decision time with labels enough.
        self._warm: int | None = None
        self._loss = LossWatch(max(horizon_days / every_days, 1.0))
        #: All that was told, at most `KEPT`, and of that what the last decision time learned told.
        self.drifts: list[Drift] = []
        self.news: list[Drift] = []

    @property
    def stability(self) -> dict[str, float]:
        """The newest population stability index by column; empty while warming up."""
        return self._inputs.index if self._steady else {}

    @property
    def _steady(self) -> bool:
        return self._warm is not None and (self._inputs.since or 0) >= self._warm

    @property
    def loss_rose(self) -> bool:
        """Whether the last decision time learned told of a rise of the loss."""
        return any(drift.what == LOSS for drift in self.news)

    def turn(self) -> None:
        """The next decision time is learned: what was told before is no news."""
        self.news = []

    def see_loss(self, decision_time: int, champion: ScoreCounts) -> None:
        """Take the champion's matured forecasts of a decision time; decision times must rise."""
        if champion.labels >= FEWEST_LABELS:
            found = self._loss.see(decision_time, excess_loss(champion))
            self._tell([] if found is None else [found])

    def see_inputs(self, ts: int, parts: Iterable[InputHistogram], labels: int) -> None:
        """Take the inputs that all partitions sent at `ts`, with so many labels learned.

        They are of the decision time before `ts`.
        """
        parts, at = list(parts), ts - self._every_ms
        if self._warm is None and labels >= self._min_labels:
            self._warm = at
        if parts:
            found = self._inputs.see(at, InputHistogram.merge(parts))
            self._tell(found if self._steady else [])

    def _tell(self, found: list[Drift]) -> None:
        self.news += found
        self.drifts = [*self.drifts, *found][-KEPT:]

    def state(self) -> bytes:
        """All that is remembered, as JSON."""
        return msgspec.json.encode(_State(self._inputs.to_json(), self._warm, self._loss, self.drifts))

    def restore(self, state: bytes) -> None:
        """Go on from `state`; raises ValueError (msgspec errors among them) for what is none of ours."""
        kept = msgspec.json.decode(state, type=_State)
        self._inputs.restore(kept.inputs)
        self._warm = kept.warm
        self._loss = msgspec.structs.replace(kept.loss, span=self._loss.span)
        self.drifts, self.news = kept.drifts, []
