"""The trainer's own checkpoint: everything it knows but the parts that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from features.returns import ReturnModel
from models.hindsight import Hindsight
from models.leading import Lead
from models.learners import StateMismatchError
from models.overrides import Promotion
from models.progressive import ScoreCounts
from models.record import CohortQuality, Record
from models.rhythm import ShopRhythm
from models.seasons import Seasons
from models.trainer_config import AUTO

if TYPE_CHECKING:
    from models.trainer import Trainer


class _Snapshot(msgspec.Struct):
    states: dict[str, bytes]
    labels: dict[str, int]
    pool: bytes
    calibrator: bytes
    returns: ReturnModel
    as_of: int | None
    number: int
    total: int
    champion: str
    cold: dict[str, int]
    leads: dict[str, Lead]
    promotions: list[Promotion]
    records: list[dict[str, dict[str, list[int]]]]
    quality: list[CohortQuality]
    groups: dict[str, dict[str, dict[str, list[int]]]]
    watches: bytes
    outlook: bytes = b""
    rhythm: ShopRhythm | None = None
    seasons: Seasons = Seasons()
    hindsight: list[Any] = []


def take(trainer: Trainer) -> bytes:
    """See `Trainer.snapshot`."""
    return msgspec.msgpack.encode(
        _Snapshot(
            states={name: learner.state() for name, learner in trainer.learners.items()},
            labels={name: learner.labels for name, learner in trainer.learners.items()},
            pool=trainer.pool.state(),
            calibrator=trainer.calibrator.state(),
            returns=trainer.returns,
            as_of=trainer.as_of,
            number=trainer.number,
            total=trainer.labels,
            champion=trainer.champion,
            cold=trainer.cold,
            leads=trainer.leads.by_name,
            promotions=trainer.promotions,
            records=[trainer.record.to_json(), trainer.record_from.to_json()],
            quality=trainer.quality,
            groups={
                name: {value: counts.to_json() for value, counts in by_value.items()}
                for name, by_value in trainer.groups.items()
            },
            watches=trainer.watches.state(),
            outlook=trainer.outlook.state(),
            rhythm=trainer.rhythm,
            seasons=trainer.seasons,
            hindsight=trainer.hindsight.to_builtins(),
        )
    )


def restore(trainer: Trainer, data: bytes) -> None:
    """See `Trainer.restore`."""
    kept = msgspec.msgpack.decode(data, type=_Snapshot)
    if set(kept.states) != set(trainer.learners):
        raise StateMismatchError(f"the snapshot is of {sorted(kept.states)}, not {sorted(trainer.learners)}")
    for name, learner in trainer.learners.items():
        learner.restore(kept.states[name])
        learner.labels = kept.labels[name]
    trainer.pool.restore(kept.pool)
    trainer.calibrator.restore(kept.calibrator)
    trainer.returns, trainer.as_of, trainer.number = kept.returns, kept.as_of, kept.number
    trainer.labels, trainer.cold, trainer.rhythm = kept.total, kept.cold, kept.rhythm
    trainer.seasons = kept.seasons
    if trainer.config.champion == AUTO:
        trainer.champion, trainer.promotions = kept.champion, kept.promotions
        trainer.leads = trainer.new_leads(kept.leads)
    trainer.record, trainer.record_from = (Record.from_json(each) for each in kept.records)
    trainer.quality = kept.quality
    trainer.groups = {
        name: {value: ScoreCounts.from_json(counts) for value, counts in by_value.items()}
        for name, by_value in kept.groups.items()
    }
    trainer.hindsight = Hindsight.from_builtins(kept.hindsight)
    trainer.watches.restore(kept.watches)
    if kept.outlook:  # older releases had none
        trainer.outlook.restore(kept.outlook)
