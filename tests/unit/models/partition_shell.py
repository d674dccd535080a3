"""A worker reduced to what one partition's core sees of it: input logs, a changelog, and sudden death.

The order is the engine's: observe → answer → write → publish → mark → acknowledge, then, for each due
decision time, part → version → sweep → write. `fuse` counts single effects down to a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from models import answering, sweeping
from models.parts import PartAssembly, read_part_chunk
from models.storage import Storage
from models.trainer import Trainer
from models.trainer_config import TrainerConfig
from tests.building import constant_models, core, decoded, outputs

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from features.observing import Record
    from models.config import CoreConfig
    from models.core import PartitionCore
    from models.storage import Row
    from models.versions import ModelSet

Logs = dict[str, list["Record"]]


class CrashError(Exception):
    """The process is gone."""


class Poll(NamedTuple):
    """Records [start, end) of a topic's log."""

    topic: str
    start: int
    end: int


def cut(rng: random.Random, logs: Logs, read: dict[str, int], *, most: int = 12) -> list[list[Poll]]:
    """What is left of the logs behind `read`, as rounds of polls in a random interleaving of the topics."""
    places = dict(read)
    rounds: list[list[Poll]] = [[]]
    while left := [topic for topic, log in logs.items() if places.get(topic, 0) < len(log)]:
        topic = rng.choice(left)
        start = places.get(topic, 0)
        places[topic] = min(start + rng.randint(1, most), len(logs[topic]))
        rounds[-1].append(Poll(topic, start, places[topic]))
        if rng.random() < 0.4:
            rounds.append([])
    return [polls for polls in rounds if polls]


class Shell:
    """Lives through its logs; `recut` makes every new life poll, checkpoint and overlap differently."""

    def __init__(self, config: CoreConfig, logs: Logs, rng: random.Random, *, recut: bool = False) -> None:
        self.config, self.logs, self.rng, self.recut = config, logs, rng, recut
        self.rounds = cut(rng, logs, {})
        self.changelog: list[Row] = []
        self.checkpoint: tuple[list[Row], int] | None = None
        self.published: list[tuple[str, bytes]] = []
        self.examples: list[bytes] = []
        self.versions: dict[int, ModelSet] = {}
        self.trainer = Trainer(TrainerConfig(partitions=1, contenders=("logistic",)))
        self.fuse: int | None = None
        self.crashes = 0
        self._acked: dict[str, int] = {}
        self._unacked: list[Poll] = []

    # -- life and death

    def live(self, fuses: Iterable[int] = ()) -> PartitionCore:
        """Live until the end of the logs, through one crash for each of `fuses` that burns down."""
        for fuse in fuses:
            self.fuse = fuse
            try:
                return self._one_life()
            except CrashError:
                self.crashes += 1
        self.fuse = None
        return self._one_life()

    def _one_life(self) -> PartitionCore:
        self._unacked = []
        self.core, self._storage = self.recovered()
        # Before anything is awaited: what the last life had not taken yet died with it.
        self._todo = self._unread()
        self._publish()
        self._round([])
        while self._todo:
            self._round(self._todo.pop(0))
        self._flush()
        return self.core

    def _unread(self) -> list[list[Poll]]:
        if self.recut:
            return cut(self.rng, self.logs, self._acked)
        rounds = [[p for p in polls if p.end > self._acked.get(p.topic, 0)] for polls in self.rounds]
        return [polls for polls in rounds if polls]

    def recovered(self, *, whole: bool = False) -> tuple[PartitionCore, Storage]:
        """A new core from the checkpoint, if there is one and not the `whole` changelog is to be read."""
        fresh = core(self.config)
        storage, start = Storage(fresh), 0
        if self.checkpoint is not None and not whole:
            rows, start = self.checkpoint
            assert storage.restore(rows) == []
        while start < len(self.changelog):
            end = start + self.rng.randint(1, 40)
            assert storage.restore(self.changelog[start:end]) == []
            start = end
        storage.finish()
        return fresh, storage

    def burn(self) -> None:
        """One more effect; the last one the fuse allows is the last one there is."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise CrashError

    # -- rounds

    def _round(self, polls: list[Poll]) -> None:
        for poll in polls:
            self._take(poll)
        self._flush()
        while (ts := self.core.due(self.core.watermark())) is not None:
            self._decide(ts)

    def _take(self, poll: Poll) -> None:
        observed = self.core.observe(poll.topic, self.logs[poll.topic][poll.start : poll.end])
        answering.answer(self.core, observed.triggered, self._newest(), 0)
        self._unacked.append(poll)

    def _meanwhile(self) -> None:
        """While we wait for the broker, further polls may be applied."""
        if self.recut and self._todo and self.rng.random() < 0.2:
            for poll in self._todo.pop(0):
                self._take(poll)

    def _newest(self) -> ModelSet:
        # Live triggers use the newest version; here the last swept one, so that lives can be compared.
        ts = self.core.swept if self.core.matured is not None else None
        return self.versions.get(ts or 0, constant_models(0.7, labels=0))

    def _decide(self, ts: int) -> None:
        if self.core.matured is None or self.core.matured < ts:
            before = self.versions.get(self.core.swept or 0, constant_models(0.7, labels=0))
            for message in sweeping.mature(self.core, ts, before).messages():
                self.burn()
                self._learn(message)
            self._meanwhile()
            if self.recut and self.rng.random() < 0.3:
                self._flush()
        sweeping.sweep(self.core, ts, self.versions[ts])
        self._meanwhile()
        self._flush()

    def _learn(self, message: bytes) -> None:
        self.examples.append(message)
        self.trainer.receive(read_part_chunk(message))
        while (ready := self.trainer.ready()) is not None:
            for _ in self.trainer.learn(ready):
                pass
            self.versions[ready] = self.trainer.models()

    def _flush(self) -> None:
        count = len(self._unacked)
        rows = self._storage.take()
        snapshot = list(self._storage.everything()) if self.rng.random() < 0.15 else None
        for row in rows:
            self._meanwhile()
            self.burn()
            self.changelog.append(row)
        written = len(self.changelog)
        self._storage.confirm()
        self._publish()
        self.burn()
        for poll in self._unacked[:count]:
            self._acked[poll.topic] = max(poll.end, self._acked.get(poll.topic, 0))
        del self._unacked[:count]
        if snapshot is not None:
            self.burn()
            self.checkpoint = snapshot, written

    def _publish(self) -> None:
        for output in outputs(self.core):
            self._meanwhile()
            self.burn()
            self.published.append(output)
        self._storage.mark_published(self.core.seq)

    # -- what the world saw

    def parts(self) -> dict[int, PartAssembly]:
        """The first whole part of each decision time."""
        found: dict[int, PartAssembly] = {}
        for message in self.examples:
            chunk = read_part_chunk(message)
            found.setdefault(chunk.ts, PartAssembly()).add(chunk)
        return found

    def stored(self) -> dict[bytes, bytes]:
        """The compacted changelog."""
        return {key: value for key, value in dict(self.changelog).items() if value is not None}

    def alerts(self) -> dict[tuple[str, str, str], bytes]:
        """Published alerts by what identifies them; fails if one was ever published with two contents."""
        found: dict[tuple[str, str, str], bytes] = {}
        for _, value in self.published:
            alert = decoded(value)
            assert found.setdefault((alert.alert_id, alert.status, alert.tier), value) == value
        return found
