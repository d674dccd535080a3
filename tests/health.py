"""A worker's health under a clock, a consumer and a broker that say what a test wants them to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaConnectionError
from faust.types.tuples import TP

from streams.health import Health
from streams.settings import load
from streams.telemetry import Metrics
from tests.fakes import metric

if TYPE_CHECKING:
    from streams.batches import BrokenBatch

ORDERS = TP("orders", 0)
ALERTS = TP("churn-alerts", 0)


class Part:
    """As much of a partition as readiness looks at."""

    def __init__(self, number: int, *, ready: bool = True, owned: bool = True) -> None:
        self.number, self.owned, self.ready = number, owned, asyncio.Event()
        if ready:
            self.ready.set()


class World:
    """A worker, its consumer, a broker's answers and a clock, all of them what a test says."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.parts = [Part(0)]
        self.models_loaded = True
        self.waiting: list[str] = []
        self.error: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.consumer = self.standing = self
        self.broken: dict[TP, BrokenBatch] = {}
        self.answers: dict[TP, tuple[int, int]] = {ORDERS: (0, 0)}
        self.down = self.deaf = False
        self.has_begun = True
        self.confirmed = self.now
        self.metrics = Metrics()
        settings = load(None, kafka={"session_timeout_seconds": 30}, worker={"stalled_seconds": 120})
        self.health = Health(settings, self.metrics, self, self, lambda: self.now)

    def partitions(self) -> list[Any]:
        return self.parts

    def assignment(self) -> set[TP]:
        return {*self.answers, TP("examples", 0)}

    async def pulse(self) -> None:
        if self.deaf:
            raise TimeoutError

    async def places(self, tps: list[TP]) -> dict[TP, tuple[int, int]]:
        if self.down:
            raise KafkaConnectionError("no broker")
        return {tp: self.answers[tp] for tp in tps}

    async def after(self, seconds: float) -> list[str]:
        """What is not alive after so long, with a look every few seconds."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 5, end)
            await self.health.look()
        return self.health.not_alive()

    def lag(self) -> float:
        return metric(self.metrics.registry, "consumer_lag_records", topic="orders", partition="0")
