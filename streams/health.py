"""Is this worker ready, and is it alive: told from the broker's side, not from its own opinion of itself.

Workers of this kind can stay up and stop consuming; then lag stays while the committed offset stands
still. Faust's idea of the committed offset advances even when a commit fails, so it is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiokafka import TopicPartition

from features.layout import TOPICS
from streams.settings import Settings
from streams.telemetry import Metrics
from streams.worker import Worker

#: The broker is asked at most this often, however often the page is.
_ASK_SECONDS: Final = 2.0


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
        #: Committed offset, lag, and since when the offset has not moved, by topic partition.
        self._places: dict[TopicPartition, tuple[int, int, float]] = {}

    def not_ready(self) -> list[str]:
        """Why the worker is not ready; empty when it is."""
        problems = []
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
        now = self._clock()
        return [
            f"{tp.topic}/{tp.partition}: lag {lag}, nothing committed for {now - since:.0f} s"
            for tp, (_, lag, since) in self._places.items()
            if lag > 0 and now - since > self._stalled
        ]

    async def measure_lag(self) -> None:
        """Ask the broker for log ends and committed offsets of the input topics assigned here."""
        now = self._clock()
        if now - self._asked < _ASK_SECONDS or self._app.consumer is None:
            return
        self._asked = now
        names = {self._topics[name]: name for name in (*TOPICS, "churn-alerts")}
        tps = [TopicPartition(tp.topic, tp.partition) for tp in self._app.consumer.assignment() if tp.topic in names]
        if not tps:
            return
        for tp, committed, end in await self._ask(tps):
            known = self._places.get(tp)
            moved = known is None or known[0] != committed or end <= committed
            self._places[tp] = (committed, max(end - committed, 0), now if moved or known is None else known[2])
            self._metrics.lag.labels(names[tp.topic], str(tp.partition)).set(max(end - committed, 0))
        self._places = {tp: place for tp, place in self._places.items() if tp in set(tps)}

    async def _ask(self, tps: list[TopicPartition]) -> list[tuple[TopicPartition, int, int]]:
        thread = self._app.consumer._thread
        consumer = thread._ensure_consumer()
        ends = await thread.call_thread(consumer.end_offsets, tps)
        starts = await thread.call_thread(consumer.beginning_offsets, tps)
        committed = {tp: await thread.call_thread(consumer.committed, tp) for tp in tps}
        return [(tp, committed[tp] if committed[tp] is not None else starts[tp], ends[tp]) for tp in tps]
