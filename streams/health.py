"""Is this worker ready, and is it alive: told from the broker's side, not from its own opinion of itself.

Workers of this kind can stay up and stop consuming; then lag stays while the committed offset stands
still. Faust's idea of the committed offset advances even when a commit fails, so it is not asked.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka.errors import KafkaError

from features.layout import TOPICS
from streams.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from faust.types.tuples import TP

    from streams.settings import Settings
    from streams.telemetry import Metrics
    from streams.worker import Worker

#: Pause between two looks, however often the page is asked.
_LOOK_SECONDS: Final = 2.0
#: Answers of the broker that are further apart do not tell what was between them: it was down, or we slept.
_UNBROKEN_SECONDS: Final = 10.0


class _Place(NamedTuple):
    """Where the group stands in a topic partition; `since` is when it began to stand there with lag."""

    committed: int
    lag: int
    since: float


class Health:
    """Watches lag and commits of the partitions assigned here. `clock` is monotonic seconds."""

    def __init__(
        self, settings: Settings, metrics: Metrics, worker: Worker, app: Any, clock: Callable[[], float]
    ) -> None:
        self._topics = settings.kafka.topics()
        self._session = settings.kafka.session_timeout_seconds
        self._stalled = settings.worker.stalled_seconds
        self._metrics = metrics
        self._worker = worker
        self._app = app
        self._clock = clock
        self._answered = -math.inf
        self._away = False
        self._patience = Patience()
        self._places: dict[TP, _Place] = {}
        #: For how long the consumer's thread has been found deaf.
        self._deaf = 0.0
        self._looked = clock()

    def not_ready(self) -> list[str]:
        """Why the worker is not ready; empty when it is."""
        problems = []
        if self._worker.waiting or self._away:
            problems.append("the broker does not answer")
        if not self._worker.models_loaded:
            problems.append("models are not loaded yet")
        unconfirmed = self._clock() - self._app.consumer.standing.confirmed
        if unconfirmed == math.inf:
            return [*problems, "the group was not joined yet"]
        if unconfirmed > self._session:
            problems.append(f"the group has not confirmed this worker for {unconfirmed:.0f} s")
        if not self._worker.partitions():
            problems.append("the group gave this worker no partitions")
        if recovering := self._recovering():
            problems.append(f"partitions {sorted(recovering)} are recovering")
        return [*problems, *self._standing_still()]

    def _standing_still(self) -> list[str]:
        return [
            f"the record batch at {tp.topic}/{tp.partition}/{batch.offset} cannot be unpacked: "
            f"`churnwatch skip {tp.topic} {tp.partition} {batch.offset}` passes it over"
            for tp, batch in self._app.consumer.broken.items()
        ]

    def not_alive(self) -> list[str]:
        """Why the worker should be restarted; empty when all is well. An idle topic is all well."""
        if self._worker.error.done():
            return ["the worker has failed"]
        if self._deaf > self._stalled:
            return [f"the consumer's thread has not answered for {self._deaf:.0f} s"]
        stood = {tp: self._answered - place.since for tp, place in self._places.items() if place.lag > 0}
        return [
            f"{tp.topic}/{tp.partition}: lag {self._places[tp].lag}, nothing committed for {seconds:.0f} s"
            for tp, seconds in stood.items()
            # No restart helps before a batch that cannot be unpacked.
            if seconds > self._stalled and tp not in self._app.consumer.broken
        ]

    def measure(self) -> None:
        """Bring the metric of readiness up to date."""
        self._metrics.ready.set(not self.not_ready())

    async def watch(self) -> None:
        """Look every few seconds, whether anybody asks or not; runs until cancelled.

        Raises the KafkaError that keeps this worker out of its group for good.
        """
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Feel the pulse of the consumer's thread, and ask the broker how far the group is."""
        if not self._app.consumer.standing.has_begun:
            return
        now = self._clock()
        since, self._looked = min(now - self._looked, _UNBROKEN_SECONDS), now
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._app.consumer.standing.pulse()
        except TimeoutError:
            self._deaf += since
        else:
            self._deaf = 0.0
            await self._measure_lag()

    async def _measure_lag(self) -> None:
        """Ask for log ends and committed offsets of the input topics assigned here."""
        names = {self._topics[name]: name for name in (*TOPICS, "churn-alerts")}
        consumer, tps = self._app.consumer, []
        if self._worker.partitions():  # before that Faust's consumer may not have started
            tps = [tp for tp in consumer.assignment() if tp.topic in names]
        try:
            found = await consumer.places(tps)
        except (KafkaError, TimeoutError) as error:
            self._patience.missed("lag", error)
            # Nobody can commit meanwhile, which is no reason to restart workers when it is back.
            self._away, self._places = True, {}
            return
        self._away = False
        self._patience.met("lag")
        self._judge(found)
        self._metrics.lag.clear()
        for tp, place in self._places.items():
            self._metrics.lag.labels(names[tp.topic], str(tp.partition)).set(place.lag)

    def _judge(self, found: dict[TP, tuple[int, int]]) -> None:
        now = self._clock()
        before = self._places if now - self._answered <= _UNBROKEN_SECONDS else {}
        # What recovers does not consume yet; a recovery that hangs ends the worker by itself.
        recovering = self._recovering()
        self._answered, self._places = now, {}
        for tp, (committed, end) in found.items():
            lag, known = max(end - committed, 0), before.get(tp)
            # Standing still is standing still with lag: a topic may be idle for days before an event comes.
            still = known is not None and known.committed == committed and known.lag > 0 and lag > 0
            since = known.since if known and still and tp.partition not in recovering else now
            self._places[tp] = _Place(committed, lag, since)

    def _recovering(self) -> set[int]:
        return {p.number for p in self._worker.partitions() if not p.ready.is_set() or not p.owned}
