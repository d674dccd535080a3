"""What a trainer that nobody disturbs learns from the examples of a storm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.trainer import Trainer

if TYPE_CHECKING:
    from models.versions import ModelSet
    from streams.settings import Settings
    from tests.storm.said import Said


def relearned(said: Said, settings: Settings) -> ModelSet:
    """The models that the storm's own must equal, to the bit."""
    trainer = Trainer(settings.trainer())
    for part in said.parts.values():
        trainer.receive_part(part)
    while (ts := trainer.ready()) is not None:
        for _ in trainer.learn(ts):
            pass
    return trainer.models()
