"""Backtest: the pure core and the trainer over a recorded log, without a broker.

The same code that runs live is fed interval by interval, exactly as a lock-step replay feeds it, so the
two agree to the last digit (DESIGN 4.6, 4.14).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec

from features.clock import BEGINNING
from features.decoding import EventDecoder
from features.events import Tick
from features.grid import DecisionGrid
from features.layout import DAY_MS, TOPICS
from features.observing import REPLAY_HEADER, Record
from models import answering, sweeping
from models.alerts import Alert
from models.core import PartitionCore
from models.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from features.money import Currencies
    from models.config import CoreConfig
    from models.parts import Part
    from models.sweeping import Sweep
    from models.trainer_config import TrainerConfig
    from models.versions import ModelSet

#: As the replayer marks its records: what follows from them is for looking at only.
_HEADERS: Final = ((REPLAY_HEADER, b"1"),)
#: A backtest is a replay session from its first event to its last.
_SESSION: Final = "backtest"


@dataclass(frozen=True)
class Step:
    """One decision time of a backtest; `part` is what matured by then and was learned before `models`."""

    ts: int
    users: list[str]
    probabilities: NDArray[np.float64]
    models: ModelSet
    sweep: Sweep
    alerts: list[Alert]
    part: Part


@dataclass(frozen=True)
class Line:
    """One logged event: logical topic, user id (the key), time in epoch ms, JSON of the envelope."""

    topic: str
    user_id: str
    ts: int
    value: bytes


class Backtest:
    """Runs a log through one partition. `rejected` counts refused lines by reason after `run`.

    The grid is anchored at the first event's day; decision times follow at its steps up to the last event.
    Behind it the log says nothing: who has not bought by then within a horizon that ends later may yet have,
    so such a label is never known.
    """

    def __init__(self, config: CoreConfig, trainer: TrainerConfig, currencies: Currencies) -> None:
        self.config = replace(config, partitions=1)
        self.trainer = Trainer(replace(trainer, partitions=1))
        self._currencies = currencies
        self.rejected: dict[str, int] = {}
        self.late = 0
        self.events = 0
        #: Time of the newest event read.
        self.newest = BEGINNING
        self.core: PartitionCore | None = None

    def run(self, lines: Iterable[Line], progress: Callable[[int], None] = lambda _: None) -> Iterator[Step]:
        """Feed `lines` and yield each decision time once it was judged.

        `lines` must be in time order; disorder counts as lateness, as it does live. Raises ValueError for a
        line whose decision time was judged already. `progress` is told the events taken so far.
        """
        offsets = count()
        interval: list[Line] = []
        until: int | None = None
        for line in lines:
            self.newest = max(self.newest, line.ts)
            if until is None:
                until = self._begin(line.ts)
            while line.ts >= until:
                yield from self._step(interval, until, offsets)
                progress(self.events)
                interval, until = [], until + self.config.grid.every_ms
            if line.ts < until - self.config.grid.every_ms:
                raise ValueError(
                    f"an event of {line.ts} stands behind one of a later decision interval: sort first"
                )
            interval.append(line)
        if until is not None:
            yield from self._step(interval, self.newest + 1, offsets)
            progress(self.events)

    def _begin(self, first: int) -> int:
        grid = DecisionGrid(self.config.grid.every_days, first - first % DAY_MS)
        self.config = replace(self.config, grid=grid)
        decoders = {topic: EventDecoder(topic, currencies=self._currencies) for topic in TOPICS}
        self.core = PartitionCore(
            0, self.config, decoders, self._currencies.micros, lambda session, _: session == _SESSION
        )
        self.core.attend(_SESSION)
        self._models = self.trainer.config.initial(grid.anchor)
        return grid.after(first)

    def _step(self, interval: list[Line], until: int, offsets: Iterator[int]) -> Iterator[Step]:
        assert self.core is not None
        tick = msgspec.json.encode(Tick(ts=until, session=_SESSION))
        for topic in TOPICS:
            records = [
                Record(next(offsets), line.user_id.encode(), line.value, headers=_HEADERS)
                for line in interval
                if line.topic == topic
            ]
            observed = self.core.observe(topic, [*records, Record(next(offsets), None, tick)])
            for _, rejection in observed.rejected:
                self.rejected[rejection.reason] = self.rejected.get(rejection.reason, 0) + 1
            self.late += observed.counts["late"]
            answering.answer(self.core, observed.triggered, self._models, 0)
        self.events += len(interval)
        while (ts := self.core.due(self.core.watermark())) is not None:
            yield self._decide(self.core, ts)

    def _decide(self, core: PartitionCore, ts: int) -> Step:
        part = sweeping.mature(core, ts, self._models)
        self.trainer.receive_part(part)
        for _ in self.trainer.learn(ts):
            pass
        self._models = self.trainer.models()
        sweep = sweeping.sweep(core, ts, self._models)
        alerts = [
            msgspec.json.decode(p.value, type=Alert) for _, ps in sorted(core.pending.items()) for p in ps
        ]
        # Nothing is stored here, so nothing waits for a write.
        core.pending.clear()
        core.dirty.clear()
        core.gone.clear()
        core.new_cohorts.clear()
        core.swept_durably(ts)
        users = [core.table.name(slot) for slot in sweep.slots.tolist()]
        return Step(ts, users, sweep.probabilities, self._models, sweep, alerts, part)
