"""What the trainer says of the shop as a whole: where tiers begin, when it was closed, what is held back.

It follows from what all partitions tell, and travels with the model version, so every partition judges by the
same, and their number changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from features.layout import DAY_MS
from models.capacity import RecentLevels
from models.closings import Trade, days_of, mostly_closed, runs_of, until
from models.episodes import Thresholds
from models.guard import Guard, recent_orders
from models.scorers import NonFiniteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from models.closings import Run
    from models.guard import Hold
    from models.panel import Panel
    from models.parts import Part
    from models.trainer_config import TrainerConfig
    from models.versions import ModelSet


class Outcome(NamedTuple):
    """How customers (n,), a sample, stand by a version: `issued` by each contender, and who is `late`."""

    issued: dict[str, NDArray[np.float64]]
    late: NDArray[np.bool_]

    def alarmed(self, name: str, threshold: float, *, only_overdue: bool) -> float:
        """The share of all customers whom contender `name` would alarm from this probability on."""
        above = self.issued[name] >= threshold
        return float((above & self.late if only_overdue else above).mean())


class Outlook:
    """Takes each decision time twice: `see_trade` before its labels are learned, `look` afterwards."""

    def __init__(self, config: TrainerConfig) -> None:
        self.config = config
        #: The fields of the same names in `ModelSet`.
        self.tiers: dict[str, Thresholds] = {}
        self.panel = 1.0
        self.closed: tuple[Run, ...] = runs_of(config.closed_days)
        self.guard = Guard()
        #: Labels that were not learned, because the shop was mostly closed in their horizon.
        self.left_out = 0
        #: The last step had other closed days than partitions knew of when they made their parts, which so
        #: misjudge how silent customers are.
        self.surprised = False
        #: How customers stand by the newest version; None until the next one is learned.
        self.outcome: Outcome | None = None
        self._levels = {name: RecentLevels() for name in config.names}
        self.trade = Trade()
        self._alerting = False

    @property
    def hold(self) -> Hold | None:
        """What is held back now, and why."""
        return self.guard.hold

    # -- closings

    def see_trade(self, ts: int, parts: Sequence[Part]) -> None:
        """Take how many bought on each day of the step that ends at `ts`."""
        buyers = self._told([part.buyers for part in parts])
        self.trade.add(ts // DAY_MS - len(buyers), buyers)
        known, before = self.config.closed_days, self.closed
        # What a published version knew of the time before is not found out again.
        earlier = {day for day in days_of(before) if day < self.trade.first}
        self.closed = runs_of({*known, *earlier, *self.trade.silent_days(known)})
        end = self.trade.end
        self.surprised = until(self.closed, end) != until(before, end)

    def _told(self, found: Sequence[Sequence[int]]) -> list[int | None]:
        """How many bought on each day of the step; unknown where fewer than half of the partitions told."""
        days = max((self.config.every_days, *map(len, found)))
        counts = np.full((len(found), days), np.nan)
        for row, buyers in zip(counts, found, strict=True):
            row[days - len(buyers) :] = buyers
        known = 2 * np.isfinite(counts).sum(axis=0) >= self.config.partitions
        return [int(n) if told else None for n, told in zip(np.nansum(counts, axis=0), known, strict=True)]

    def is_learnable(self, decision_time: int, labels: int) -> bool:
        """Whether so many labels of a decision time say anything: not if the shop was mostly closed."""
        closed = mostly_closed(self.closed, decision_time, self.config.horizon_days)
        self.left_out += labels if closed else 0
        return not closed

    # -- thresholds and guard

    def look(self, ts: int, days: float, panel: Panel, models: ModelSet) -> None:
        """Judge what the new version `models` says of the `panel`, `days` after the decision time before."""
        self.panel = panel.share
        try:
            issued = panel.probabilities(models, self.config.horizon_days) if len(panel) else {}
        except NonFiniteError:
            return  # this version is not published
        if len(panel):
            self.outcome = Outcome(issued, panel.overdue(models.rhythm))
        believable = self._guard(ts, panel, models, issued) is None and not self.surprised
        if self.config.thresholds is None:
            self._place_tiers(days, issued, believable=believable)

    def _place_tiers(self, days: float, issued: dict[str, NDArray[np.float64]], *, believable: bool) -> None:
        """They stay where they are while the step is not believable."""
        for name, levels in self._levels.items():
            if name in issued and (believable or name not in self.tiers):
                levels.see(issued[name], days)
                self.tiers[name] = levels.thresholds(self.config.capacity)
            else:
                levels.pass_over(days)

    def thresholds(self, champion: str) -> Thresholds | None:
        """Where the champion's tiers begin, fixed or by the capacity; None before anybody was active."""
        return self.config.thresholds or self.tiers.get(champion)

    def _guard(
        self, ts: int, panel: Panel, models: ModelSet, issued: dict[str, NDArray[np.float64]]
    ) -> Hold | None:
        before = self.thresholds(models.champion)
        crossed = None
        # Nobody is inside an episode before the first sweep that may open one.
        if before is not None and self._alerting and len(panel):
            crossed = int(((issued[models.champion] >= before.medium) & ~panel.inside).sum())
        self._alerting = self._alerting or models.labels >= self.config.min_labels
        return self.guard.judge(ts, crossed, len(panel), *self._orders(), sure=not self.surprised)

    def _orders(self) -> tuple[int, float]:
        trade, known = self.trade, self.config.closed_days
        usual = trade.usual(days_of(self.closed), since=self.guard.usual_from)
        usual[[day - trade.first for day in known if trade.first <= day < trade.end]] = np.nan
        return recent_orders(trade.counts, usual, self.config.every_days)

    # -- its place

    def follow(self, models: ModelSet) -> None:
        """Go on from a published version."""
        self.tiers = {name: models.tiers[name] for name in self.config.names if name in models.tiers}
        self.panel, self.closed = models.panel, models.closed
        # What was usual is not known any more, but nothing begins anew: nobody is alarmed for the first time.
        self._alerting = models.labels >= self.config.min_labels
        self.guard = Guard(hold=models.hold, goes_on=self._alerting)

    def state(self) -> bytes:
        """For `restore`."""
        levels = {name: each.state() for name, each in self._levels.items()}
        return msgspec.msgpack.encode(
            _State(
                tiers=self.tiers,
                panel=self.panel,
                closed=self.closed,
                guard=self.guard,
                left_out=self.left_out,
                levels=levels,
                first=self.trade.first,
                buyers=self.trade.buyers,
                alerting=self._alerting,
            )
        )

    def restore(self, state: bytes) -> None:
        """Go on from a `state`; raises msgspec errors where it does not fit."""
        kept = msgspec.msgpack.decode(state, type=_State)
        self.tiers, self.panel, self.closed = kept.tiers, kept.panel, kept.closed
        self.guard, self.left_out, self._alerting = kept.guard, kept.left_out, kept.alerting
        self.trade = Trade(kept.first, kept.buyers)
        for name in self._levels.keys() & kept.levels.keys():
            self._levels[name].restore(kept.levels[name])


class _State(msgspec.Struct):
    tiers: dict[str, Thresholds]
    panel: float
    closed: tuple[tuple[int, int], ...]
    guard: Guard
    left_out: int
    levels: dict[str, bytes]
    first: int
    buyers: list[int | None]
    alerting: bool
