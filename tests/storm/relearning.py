"""What a trainer that nobody disturbs learns from the examples of a storm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.trainer import Trainer
from tests.storm.storm import settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from models.versions import ModelSet
    from tests.storm.said import Said


def relearned(said: Said, bootstrap: str, folder: Path) -> ModelSet:
    """The models that the storm's own must equal, to the bit."""
    trainer = Trainer(settings_of(bootstrap, folder, learning=True).trainer())
    for part in said.parts.values():
        trainer.receive_part(part)
    while (ts := trainer.ready()) is not None:
        for _ in trainer.learn(ts):
            pass
    return trainer.models()
