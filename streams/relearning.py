"""A deployment's record, learned again from its `examples`: the same trainer, and a journal beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features.layout import DAY_MS
from models.cohorts import MILLION
from models.journal import Journal
from models.parts import read_part_chunk
from models.trainer import Trainer
from models.versions import COLUMNS
from models.wire import WireError
from streams.scores import Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.config import CoreConfig
    from models.episodes import Thresholds
    from models.parts import PartChunk
    from models.trainer_config import TrainerConfig

_Piece = tuple[int, int, int]


class Relearning:
    """Takes the records of `examples` in order of their offsets.

    What the deployment's own trainer refused is refused here, too, and counted.
    """

    def __init__(self, config: CoreConfig, trainer: TrainerConfig) -> None:
        self.trainer = Trainer(trainer)
        self.journal = Journal(config.thresholds)
        self.refused = 0
        self._newest = 0
        #: Where the tiers began by the version of each decision time.
        self._thresholds: dict[int, Thresholds | None] = {}
        self._inputs: dict[_Piece, NDArray[np.float32]] = {}

    def take(self, value: bytes | None) -> None:
        """Read one record, and learn what is complete by it. Raises NonFiniteError if a learner diverges."""
        try:
            chunk = read_part_chunk(value or b"")
            self.trainer.receive(chunk)
            self._write_down(chunk)
        except WireError:
            self.refused += 1
        while (ts := self.trainer.ready()) is not None:
            for _ in self.trainer.learn(ts):
                pass
            self._thresholds[ts] = self.trainer.thresholds
            self.journal.learned(self.trainer)

    def _write_down(self, chunk: PartChunk) -> None:
        if (cohort := chunk.cohort()) is None:
            return
        piece = (chunk.ts, chunk.partition, chunk.number)
        champion = cohort.by_champion / MILLION
        thresholds = self._thresholds.get(cohort.decision_time)
        self.journal.issued(cohort.decision_time, champion, piece, thresholds=thresholds)
        if cohort.decision_time > self._newest:
            self._newest, self._inputs = cohort.decision_time, {}
        if cohort.decision_time == self._newest:
            self._inputs[piece] = cohort.inputs

    @property
    def inputs(self) -> NDArray[np.float32]:
        """The vectors of the newest cohort that matured, (n, d)."""
        return np.concatenate([np.zeros((0, len(COLUMNS)), np.float32), *self._inputs.values()])


class Scores:
    """The newest probability of every active customer, from the `scores` topic.

    The topic keeps the last word on everybody, also on who is active no more; so of each partition the
    newest sweep counts, unless it is more than `every_days` behind: nobody there is active any more.
    """

    def __init__(self, every_days: int) -> None:
        self._every_ms = every_days * DAY_MS
        self._said: dict[int, dict[bytes, tuple[int, float]]] = {}

    def take(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Read one record; raises msgspec.MsgspecError (a ValueError) for one that is no score."""
        said = self._said.setdefault(partition, {})
        if value is None:
            said.pop(key, None)
        else:
            score = msgspec.json.decode(value, type=Score)
            said[key] = (score.ts, score.probability)

    def newest(self) -> tuple[int, NDArray[np.float64]]:
        """(decision time, probabilities (n,)); (0, none) before the first sweep."""
        swept = {p: max(ts for ts, _ in said.values()) for p, said in self._said.items() if said}
        newest = max(swept.values(), default=0)
        found = [
            probability
            for partition, last in swept.items()
            if last >= newest - self._every_ms
            for ts, probability in self._said[partition].values()
            if ts == last
        ]
        return newest, np.array(found)
