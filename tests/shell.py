"""A worker's parts around an in-memory broker, as the composition root builds them around a real one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from features.layout import DAY_MS
from streams.context import Context
from streams.control import Announcement, encode
from streams.deadletters import DeadLetters
from streams.engine import EngineConfig
from streams.flood import FloodGuard
from streams.input_topics import InputTopics
from streams.model_store import FrozenModels, ModelStore
from streams.outputs import Publisher
from streams.sending import Sender
from streams.session_store import SessionStore
from streams.settings import Settings, load
from streams.skips import Skips
from streams.telemetry import Metrics
from tests.building import SESSION, START

if TYPE_CHECKING:
    from pathlib import Path

    from models.versions import ModelSet
    from streams.customers import CustomerPartition
    from streams.dispatching import DispatchPartition
    from tests.fakes import Batched, FakeBroker

#: A shop whose day is decided upon as soon as it is over.
MODEL: dict[str, Any] = {
    "horizon_days": 4,
    "active_within_days": 10,
    "evict_after_days": 30,
    "allowed_lateness_hours": 0,
    "min_labels": 0,
    "contenders": ["logistic"],
}


def shop_settings(folder: Path, **sections: Any) -> Settings:
    """One partition, a short horizon, low thresholds; live, coupons for everybody, money without end."""
    defaults: dict[str, Any] = {
        "kafka": {"partitions": 1, "group": "g"},
        "model": MODEL,
        "alerting": {"medium": 0.6, "high": 0.8, "critical": 0.9},
        "interventions": {
            "mode": "live",
            "holdout_share": 0.0,
            "daily_budget": 1e9,
            "assume_consent": ["coupon"],
        },
        "worker": {"state_dir": folder, "dead_letter_window": 20},
    }
    return load(None, **defaults | sections)


def context_of(
    broker: FakeBroker,
    folder: Path,
    models: ModelSet | None = None,
    now: int = START + DAY_MS,
    **sections: Any,
) -> Context:
    """The parts of a worker; with `models` they are in force, else versions come from the `models` topic."""
    settings, metrics = shop_settings(folder, **sections), Metrics()
    topics = settings.kafka.topics()
    sender = Sender(broker, 0.05)  # type: ignore[arg-type]
    store = (
        ModelStore(topics["models"], settings.trainer(), {}, metrics)
        if models is None
        else FrozenModels(models, topics["models"], settings.trainer(), metrics)
    )
    sessions = SessionStore(topics["control"], {}, metrics, lambda: now)
    # One that is no history, and over: its ticks move time as if the wall clock did.
    for state in ("open", "ended"):
        said = Announcement(SESSION, state, live=True, silent_seconds=1e15)
        sessions.take(encode(said), now)
    sessions.load()
    return Context(
        settings=settings,
        topics=topics,
        sender=sender,
        publisher=Publisher(sender, topics, metrics),
        dead_letters=DeadLetters(sender, topics, metrics),
        flood=FloodGuard(0.5, settings.worker.dead_letter_window, folder / "flood.json"),
        models=store,
        sessions=sessions,
        metrics=metrics,
        engine=EngineConfig(folder, settings.kafka.partitions, {}, 1e9, 1 << 30),
        inputs=InputTopics(topics, {}),
        skips=Skips(topics["skips"], {}, metrics),
        now=lambda: now,
    )


async def settle(partition: CustomerPartition | DispatchPartition, *batches: Batched) -> None:
    """Wait until `batches` are acknowledged and the partition rests; raises what it failed with."""
    async with asyncio.timeout(2):
        while not all(batch.acked for batch in batches) or partition._wake.is_set():
            if partition.failed.done():
                await partition.failed
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
