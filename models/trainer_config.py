"""Who learns, and how they are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from models.calibration import Calibrator
from models.capacity import Capacity
from models.contenders import require_contenders
from models.learners import Additive, HoeffdingTree, Logistic, ReturnProbability, SecondOrder
from models.pool import Pool
from models.versions import ModelSet, initial_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.episodes import Thresholds

#: The learners that contend by default. Each is cheap, and they err in different ways.
DEFAULT_CONTENDERS: Final = (
    Additive.name,
    SecondOrder.name,
    ReturnProbability.name,
    Logistic.name,
    HoeffdingTree.name,
)
#: Contenders that the pool leaves out by default: a tree is late to unlearn what a change of regime made
#: false, and its state does not travel with the version.
BESIDE_POOL: Final = (HoeffdingTree.name,)
#: Instead of a champion's name: whoever is best leads.
AUTO: Final = "auto"


@dataclass(frozen=True)
class TrainerConfig:
    """Who learns and how they are compared.

    Two learners or more form a pool, and the pool is calibrated: both contend, too. Those in `beside_pool`
    contend without being part of it. `champion` names a contender, or `auto`: then the pool leads, until
    another's log loss is lower by `promotion_margin` nats a label or more, and by `promotion_nats` in all, on
    labels that both were judged by; `models.leading` says which.
    `horizon_days` is that of the labels, by which past return probabilities are computed anew, and with
    `every_days` between decision times the scale of drift. Inputs are watched once `min_labels` are learned.
    When the loss drifted, learners forget as if `drift_forgets_days` more had passed, by default a horizon.
    `evaluate_from` (epoch ms) starts a second record of metrics, for comparing with others' test halves.
    `capacity` says where the risk tiers begin, unless fixed `thresholds` do. `closed_days` (days since the
    epoch) are known days on which nobody could buy.
    `settings` are those of learners that are not to be as they are by default: {name: {argument: value}}.
    Raises ValueError for a contender that does not exist or a champion that does not contend.
    """

    partitions: int
    horizon_days: int = 60
    every_days: int = 1
    min_labels: int = 1_000
    contenders: tuple[str, ...] = DEFAULT_CONTENDERS
    champion: str = AUTO
    beside_pool: tuple[str, ...] = BESIDE_POOL
    promotion_nats: float = 40.0
    promotion_margin: float = 0.002
    drift_forgets_days: float | None = None
    evaluate_from: int | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    capacity: Capacity = field(default_factory=Capacity)
    thresholds: Thresholds | None = None
    closed_days: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        require_contenders(self.contenders)
        if not self.contenders:
            raise ValueError("no learners contend")
        if self.champion not in (AUTO, *self.names):
            raise ValueError(f"the champion {self.champion!r} is not among {self.names}")
        if min(self.horizon_days, self.every_days) < 1 or self.forgets_days < 0:
            raise ValueError("horizon and grid step are at least a day, and nothing unlearns by forgetting")

    @property
    def forgets_days(self) -> float:
        """Days of forgetting that a drift of the loss is worth."""
        return self.horizon_days if self.drift_forgets_days is None else self.drift_forgets_days

    @property
    def pooled(self) -> tuple[str, ...]:
        """The learners that the pool averages: of fewer than two there is none."""
        return tuple(name for name in self.contenders if name not in self.beside_pool)

    @property
    def names(self) -> tuple[str, ...]:
        """All who contend: the learners, and what is made of them."""
        return (*self.contenders, *((Pool.name, Calibrator.name) if len(self.pooled) > 1 else ()))

    @property
    def first_champion(self) -> str:
        """Who leads before there is a record."""
        if self.champion != AUTO:
            return self.champion
        return Pool.name if Pool.name in self.names else self.contenders[0]

    def initial(self, as_of: int) -> ModelSet:
        """The models before anything was learned."""
        return initial_models(self.first_champion, self.names, as_of)
