"""Is this worker ready, and is it alive: told from the broker's side, not from its own opinion of itself.

Workers of this kind can stay up and stop consuming; then lag stays while the committed offset stands
still. Faust's idea of the committed offset advances even when a commit fails, so it is not asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka.errors import KafkaError

from features.layout import TOPICS
from streams.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from faust.types.tuples import TP

    from streams.settings import Settings
    from streams.telemetry import Metrics
    from streams.worker import Worker

log = logger(__name__)

#: The broker is asked at most this often, however often the page is.
_ASK_SECONDS: Final = 2.0
#: A page waits so long for the answer: probes are impatient, and a broker that is away must not kill us.
_PAGE_SECONDS: Final = 0.5
#: A broker that takes longer to answer is away.
_AWAY_SECONDS: Final = 5.0


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
        self._stalled = settings.worker.stalled_seconds
        self._metrics = metrics
        self._worker = worker
        self._app = app
        self._clock = clock
        self._asked = -_ASK_SECONDS
        self._answered = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._failed = False
        self._places: dict[TP, _Place] = {}

    def not_ready(self) -> list[str]:
        """Why the worker is not ready; empty when it is."""
        problems = []
        if self._worker.waiting or self._is_away():
            problems.append("the broker does not answer")
        if not self._worker.models_loaded:
            problems.append("models are not loaded yet")
        if not self._worker.partitions():
            problems.append("no partitions are assigned")
        recovering = [p.number for p in self._worker.partitions() if not p.ready.is_set() or not p.owned]
        if recovering:
            problems.append(f"partitions {sorted(set(recovering))} are recovering")
        return problems

    def not_alive(self) -> list[str]:
        """Why the worker should be restarted; empty when all is well. An idle topic is all well."""
        if self._worker.error.done():
            return ["the worker has failed"]
        stood = {tp: self._answered - place.since for tp, place in self._places.items() if place.lag > 0}
        return [
            f"{tp.topic}/{tp.partition}: lag {self._places[tp].lag}, nothing committed for {seconds:.0f} s"
            for tp, seconds in stood.items()
            if seconds > self._stalled
        ]

    async def measure_lag(self) -> None:
        """Ask the broker for log ends and committed offsets of the input topics assigned here.

        While it does not answer nothing is known, and what was known stays: a broker that is down is no
        reason to restart its workers. One question is asked at a time, and none is waited for long.
        """
        if self._asking is None or self._asking.done():
            if self._clock() - self._asked < _ASK_SECONDS:
                return
            self._asked = self._clock()
            self._asking = asyncio.create_task(self._ask(self._asked))
        answered, _ = await asyncio.wait([self._asking], timeout=_PAGE_SECONDS)
        for each in answered:
            each.result()

    def _is_away(self) -> bool:
        waited = self._asking is not None and not self._asking.done()
        return self._failed or (waited and self._clock() - self._asked > _AWAY_SECONDS)

    async def _ask(self, now: float) -> None:
        names = {self._topics[name]: name for name in (*TOPICS, "churn-alerts")}
        places: dict[TP, tuple[int, int]] = {}
        if self._worker.partitions():  # before that Faust's consumer may not have started
            consumer = self._app.consumer
            try:
                places = await consumer.places([tp for tp in consumer.assignment() if tp.topic in names])
            except KafkaError as error:
                log.warning("lag is not known: the broker does not answer", why=repr(error))
                self._failed = True
                return
        # Nobody commits while the broker is away: standing still begins anew when it is back.
        before = {} if self._failed or self._clock() - now > _AWAY_SECONDS else self._places
        self._failed, self._answered, self._places = False, now, {}
        self._metrics.lag.clear()
        for tp, (committed, end) in places.items():
            lag = max(end - committed, 0)
            known = before.get(tp)
            # Standing still is standing still with lag: a topic may be idle for days before an event comes.
            still = known is not None and known.committed == committed and known.lag > 0 and lag > 0
            since = known.since if known is not None and still else now
            self._places[tp] = _Place(committed, lag, since)
            self._metrics.lag.labels(names[tp.topic], str(tp.partition)).set(lag)
