"""Everything that a report shows, as figures: from a backtest or from a live deployment, in one structure.

Nothing is drawn or worded here, and no customer is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from features.layout import DAY_MS
from models.episodes import TIERS
from models.fairness import audit
from models.importance import importance
from models.intervals import wilson
from models.progressive import GRID
from models.proposals import propose
from models.record import CHAMPION
from models.reliability import Calibration
from models.trust import trust

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.alerts import Tier
    from models.closings import Run
    from models.config import CoreConfig
    from models.drift.told import Drift
    from models.episodes import Thresholds
    from models.fairness import Audit
    from models.guard import Hold
    from models.hindsight import Hindsight
    from models.importance import ThemeWeight
    from models.journal import Journal, Moment, Standing
    from models.operating import Calls
    from models.progressive import ScoreCounts
    from models.proposals import Proposal
    from models.record import CohortQuality
    from models.rhythm import ShopRhythm
    from models.trainer import Trainer
    from models.trust import Trust
    from models.versions import ModelSet

#: Bars of the risk distribution: five points of probability each.
RISK_BINS: Final = 20
#: Points of the reliability diagram.
RELIABILITY_BINS: Final = 10
#: Shares of customers that one may be able to contact.
CAPACITIES: Final = (0.05, 0.1, 0.2, 0.3, 0.5)
#: Points of the gains curve, from nobody to everybody.
_GAINS: Final = 41
#: What a capacity or a threshold would have caught is judged over so many horizons: the shop as it is.
_HORIZONS: Final = 2
#: Now is compared with the newest decision time that is at least so old.
COMPARED_DAYS: Final = 28


@dataclass(frozen=True)
class Report:
    """A churn report. What cannot be known yet is empty or None.

    `as_of`: the newest decision time (epoch ms), 0 before there is one. `risk`: customers now, by bins of
    `RISK_BINS`. `now` and `before`: the newest decision time and what it is compared with. `judged`: issued
    probabilities with their labels, by contender, with `champion` and `recency` among them; since
    `judged_from` (epoch ms) if that is not None. `reliability`: forecast against outcome of the champion over
    bins. `stability`: newest index by column, largest first.
    """

    name: str
    live: bool
    config: CoreConfig
    as_of: int
    champion: str
    labels: int
    risk: tuple[int, ...]
    now: Moment | None
    before: Moment | None
    moments: tuple[Moment, ...]
    standings: tuple[Standing, ...]
    quality: tuple[CohortQuality, ...]
    judged: Mapping[str, ScoreCounts]
    judged_from: int | None
    design_effect: float
    trust: Trust | None
    #: The first and the last decision time (epoch ms) whose warnings `trust` and `tiers` count.
    warned_from: tuple[int, int] | None
    capacities: tuple[tuple[float, Calls], ...]
    #: The same for shares from 0 to 1, for the gains curve.
    gains: tuple[tuple[float, Calls], ...]
    #: The first and the last decision time (epoch ms) over which capacities and proposals are judged.
    reached_from: tuple[int, int] | None
    reliability: tuple[Calibration, ...]
    tiers: Mapping[Tier, Calibration | None]
    drifts: tuple[Drift, ...]
    stability: tuple[tuple[str, float], ...]
    importance: tuple[ThemeWeight, ...]
    fairness: Mapping[str, Audit]
    #: Where the tiers begin now; None before that is known.
    thresholds: Thresholds | None
    #: When the shop was closed up to now: first and last day (since the epoch) of each run.
    closed: tuple[Run, ...]
    #: Steps that were not believable, by the first decision time of each, and the one that is held back now.
    held: tuple[Hold, ...]
    hold: Hold | None
    #: What each capacity would have caught at a threshold of its own, the smallest first.
    proposals: tuple[Proposal, ...]
    #: How often the shop's customers order; None while nobody came a second time.
    rhythm: ShopRhythm | None

    @property
    def now_by_tier(self) -> dict[Tier, int]:
        """Customers in each tier now."""
        return dict(zip(TIERS, self.now.tiers if self.now else (0,) * len(TIERS), strict=True))

    @property
    def recent_drifts(self) -> tuple[Drift, ...]:
        """What was told in the recent past."""
        return tuple(drift for drift in self.drifts if drift.at >= self.recent)

    @property
    def recent(self) -> int:
        """Where the recent past begins (epoch ms).

        A loss is known only after a horizon; besides, it is as long as what is compared.
        """
        return self.as_of - (self.config.horizon_days + COMPARED_DAYS) * DAY_MS

    @property
    def promotions(self) -> tuple[Standing, ...]:
        """The standings at which another contender took the lead, in order of time."""
        return tuple(b for a, b in pairwise(self.standings) if a.champion != b.champion)


def build(
    name: str,
    config: CoreConfig,
    trainer: Trainer,
    journal: Journal,
    models: ModelSet,
    probabilities: NDArray[np.float64],
    inputs: NDArray[np.float32],
    *,
    live: bool,
) -> Report:
    """The report of what `trainer` learned and `journal` wrote down.

    `models` are in force; `probabilities` (n,) the champion's of all customers at the newest decision time,
    which the journal knows; `inputs` (m, d) those of a cohort, the newest there is, for the importance.
    """
    recent = trainer.record_from.all()
    judged_from = trainer.config.evaluate_from if CHAMPION in recent else None
    judged = recent if judged_from is not None else trainer.record.all()
    effect = max(1.0, config.horizon_days / config.grid.every_days)
    moments = journal.moments
    counts = judged.get(CHAMPION)
    thresholds = config.thresholds or models.thresholds
    hindsight = trainer.hindsight if judged_from is None else trainer.hindsight.since(judged_from)
    warned, recent_past = hindsight.warned, hindsight.newest(_HORIZONS * config.horizon_days)
    outcome = trainer.outlook.outcome

    def alarmed(threshold: float) -> float | None:
        if outcome is None:
            return None
        return outcome.alarmed(models.champion, threshold, only_overdue=config.only_overdue)

    return Report(
        name=name,
        live=live,
        config=config,
        as_of=moments[-1].ts if moments else 0,
        champion=models.champion,
        labels=trainer.labels,
        risk=_risk(probabilities),
        now=moments[-1] if moments else None,
        before=_before(moments),
        moments=moments,
        standings=journal.standings,
        quality=tuple(sorted(trainer.quality, key=lambda each: each.decision_time)),
        judged=judged,
        judged_from=judged_from,
        design_effect=effect,
        trust=trust(warned, effect),
        warned_from=hindsight.span,
        capacities=_reached(recent_past, CAPACITIES),
        gains=_reached(recent_past, np.linspace(0, 1, _GAINS).tolist()),
        reached_from=recent_past.span,
        reliability=() if counts is None else _reliability(counts, effect),
        tiers={tier: warned.calibration(tier, design_effect=effect) for tier in TIERS},
        drifts=tuple(sorted(trainer.drifts, key=lambda drift: (drift.at, drift.strength), reverse=True)),
        stability=tuple(sorted(trainer.stability.items(), key=lambda item: -item[1])),
        importance=importance(models.scorers[models.champion], inputs),
        fairness={
            attribute: audit(groups, thresholds.medium, design_effect=effect)
            for attribute, groups in sorted(trainer.groups.items())
            if thresholds
        },
        thresholds=thresholds,
        closed=tuple(run for run in trainer.outlook.closed if run[0] * DAY_MS < (trainer.as_of or 0)),
        held=tuple(trainer.outlook.guard.held),
        hold=models.hold,
        proposals=propose(recent_past.counts, alarmed),
        rhythm=models.rhythm,
    )


def _reached(hindsight: Hindsight, shares: Sequence[float]) -> tuple[tuple[float, Calls], ...]:
    return tuple((share, hindsight.at_capacity(share)) for share in shares) if len(hindsight) else ()


def _risk(probabilities: NDArray[np.float64]) -> tuple[int, ...]:
    # On the grid of millionths, so that 0.15 is not below three times 0.05.
    points = np.rint(probabilities * GRID).astype(np.int64)
    bins = np.minimum(points * RISK_BINS // GRID, RISK_BINS - 1)
    return tuple(np.bincount(bins, minlength=RISK_BINS).tolist())


def _before(moments: tuple[Moment, ...]) -> Moment | None:
    return next((m for m in reversed(moments) if m.ts <= moments[-1].ts - COMPARED_DAYS * DAY_MS), None)


def _reliability(counts: ScoreCounts, design_effect: float) -> tuple[Calibration, ...]:
    found = counts.reliability(RELIABILITY_BINS)
    return tuple(
        Calibration(n, forecast, wilson(round(rate * n), n, design_effect))
        for n, forecast, rate in zip(
            found.counts.tolist(), found.mean_probability.tolist(), found.churn_rate.tolist(), strict=True
        )
    )
