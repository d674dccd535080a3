"""What decides meaning: horizon, grid, lateness, thresholds, and the rest that all partitions share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from features.grid import DecisionGrid
from features.layout import DAY_MS, Layout
from features.updates import LOW_RATING

if TYPE_CHECKING:
    from features.wording import Language
    from models.episodes import Thresholds
    from models.marks import Mode

_DAILY: Final = DecisionGrid(every_days=1)


@dataclass(frozen=True)
class CoreConfig:
    """What decides meaning, and must not change under a running deployment.

    `thresholds` are fixed ones; None: those that the trainer takes from a capacity. `learn_sample` bounds
    the members of a cohort per partition; `min_labels` is how many labels a model needs before it may raise
    alerts; with `only_overdue` an episode opens only for who is late by their own rhythm, or showed
    dissatisfaction since the last order; `salt` keys every hash of a customer. Only `languages`, in which
    reasons are told, the first one foremost, `audit`, the profile attributes by which forecasts are audited,
    and `mode`, what alerts of the present are raised for, may change at any time.
    Raises ValueError where the parts do not fit together.
    """

    horizon_days: int = 60
    active_within_days: int = 120
    grid: DecisionGrid = _DAILY
    lateness_ms: int = DAY_MS
    thresholds: Thresholds | None = None
    salt: str = "churnwatch"
    partitions: int = 1
    learn_sample: int = 50_000
    min_labels: int = 1_000
    evict_after_days: int = 730
    trigger_cooldown_ms: int = 7 * DAY_MS
    low_rating: float = LOW_RATING
    low_survey: float = 3.0
    only_overdue: bool = True
    languages: tuple[Language, ...] = ("en",)
    audit: tuple[str, ...] = ()
    mode: Mode = "shadow"

    def __post_init__(self) -> None:
        if min(self.horizon_days, self.active_within_days, self.partitions, self.learn_sample) < 1:
            raise ValueError("horizon, activity window, partitions and learning sample must be at least 1")
        if self.evict_after_days < self.active_within_days + self.horizon_days + 2 * self.grid.every_days:
            raise ValueError("eviction must wait until no pending cohort can hold the customer")
        if not self.languages or len(set(self.languages)) < len(self.languages):
            raise ValueError("reasons are told in at least one language, and in each once")
        if "" in self.audit or len(set(self.audit)) < len(self.audit):
            raise ValueError("an audited attribute has a name, and is named once")

    @property
    def looks_back_ms(self) -> int:
        """How far the present looks back: who was active when the youngest known labels were issued."""
        return (self.active_within_days + self.horizon_days) * DAY_MS + self.lateness_ms

    @property
    def layout(self) -> Layout:
        """The record layout whose purchase days can answer every label."""
        lateness_days = -(-self.lateness_ms // DAY_MS)
        return Layout.covering(self.horizon_days + self.grid.every_days + lateness_days)
