"""The `scores` topic: the latest probability of every active customer, compacted by customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from models.alerts import ModelRef, Standing, TierLevels
from streams.outputs import Output

if TYPE_CHECKING:
    from models.core import PartitionCore
    from models.sweeping import Sweep
    from models.versions import ModelSet


class Score(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is thought of a customer as of decision time `ts` (epoch ms)."""

    user_id: str
    ts: int
    probability: float
    #: `unknown` while the models have not seen enough.
    tier: Standing
    model: ModelRef
    horizon_days: int
    #: Where the tiers begin; absent before that is known.
    thresholds: TierLevels | None = None


_encoder = msgspec.json.Encoder()


def scores(core: PartitionCore, sweep: Sweep, models: ModelSet) -> list[Output]:
    """One record for each customer of a sweep."""
    model = ModelRef(name=models.champion, version=models.number)
    thresholds = TierLevels.of(core.thresholds(models))
    outputs = []
    columns = (sweep.slots.tolist(), sweep.probabilities.tolist(), sweep.tiers.tolist())
    for slot, probability, tier in zip(*columns, strict=True):
        user = core.table.name(slot)
        score = Score(
            user_id=user,
            ts=sweep.ts,
            probability=probability,
            tier=core.standing(tier, models),
            model=model,
            horizon_days=core.config.horizon_days,
            thresholds=thresholds,
        )
        outputs.append(Output("scores", user.encode(), _encoder.encode(score)))
    return outputs
