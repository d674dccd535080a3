"""One storm from beginning to end: a shop's events, workers in trouble, and the verdict."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from streams.settings import load
from streams.topic_admin import create
from tests.storm import logs, said
from tests.storm.feeder import Feed, Feeder
from tests.storm.fleet import Chronicle, Member, until
from tests.storm.limits import Limits
from tests.storm.outcome import Outcome
from tests.storm.shop_time import WORKER
from tests.storm.truth import LIVE, Era, Rules, Truth
from tests.storm.verdict import judge
from tests.storm.workload import LATENESS_MS, START, TOPICS, Shop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from streams.settings import Settings
    from streams.topics import Topics

    Trouble = Callable[["Storm", list[Member]], Awaitable[None]]

WORKERS: Final = 3
PARTITIONS: Final = 12
BUDGET: Final = 60.0
_QUIET_S: Final = 6.0
_DRAIN_S: Final = 2_400.0
_CALM: Final = "calm."


@dataclass
class Storm:
    """What is going on: where, for how long, and what befell whom."""

    settings: Settings
    folder: Path
    program: tuple[str, ...]
    feeder: Feeder
    chronicle: Chronicle = field(default_factory=Chronicle)


def settings_of(
    bootstrap: str,
    folder: Path,
    *,
    learning: bool,
    session_seconds: float = 10.0,
    **changes: dict[str, Any],
) -> Settings:
    """A deployment of its own, under which every trigger raises an alert and every alert is decided.

    `changes` are other settings by section.
    """
    name = f"storm-{uuid.uuid4().hex[:8]}"
    sections: dict[str, dict[str, Any]] = {
        "kafka": {
            "bootstrap_servers": bootstrap,
            "topic_prefix": f"{name}.",
            "group": name,
            "partitions": PARTITIONS,
            "session_timeout_seconds": session_seconds,
        },
        "model": {
            "horizon_days": 5,
            "every_days": 1,
            "active_within_days": 12,
            "grid_anchor": datetime.fromtimestamp(START / 1000, UTC).date(),
            "allowed_lateness_hours": LATENESS_MS / 3_600_000,
            "min_labels": 0 if learning else 1,
        },
        "alerting": {
            # Nobody is below the first threshold; the others are passed as a customer stays away.
            "only_overdue": False,
            "medium": 1e-6,
            "high": 0.5,
            "critical": 0.7,
            "hysteresis": 0.0,
            # A retry of a trigger is none; everything else is answered. Nothing is too old to act upon.
            "trigger_cooldown_days": 1 / 86_400_000,
            "act_within_days": 100_000,
        },
        "interventions": {
            "mode": "live",
            "daily_budget": BUDGET,
            "assume_consent": ["coupon"],
            "timezone": "UTC",
        },
        # Silence is an accident of the storm, so it must not move the clock: ticks do.
        "worker": {
            "state_dir": folder / "state",
            "http_port": 0,
            "idle_after_seconds": 1e9,
            # Else the checkpoints of a storm's few minutes would be none.
            "checkpoint_bytes": 4 << 20,
        },
    }
    return load(None, **{name: section | changes.get(name, {}) for name, section in sections.items()})


async def weather(
    bootstrap: str,
    folder: Path,
    trouble: Trouble,
    *,
    events: int,
    arrivals: int,
    backlog: int,
    session_seconds: float = 10.0,
    learning: bool = False,
    program: tuple[str, ...] = WORKER,
    static: bool = False,
) -> Outcome:
    """Run the workers through `trouble` with at least `events` events, and judge what is left.

    Without `learning` the models are frozen, and a calm run over the same input says what was to be raised.
    With `static` each worker has a name in the group that outlives its process.
    """
    began = time.monotonic()
    settings = settings_of(bootstrap, folder, session_seconds=session_seconds, learning=learning)
    await create(settings.kafka.topics(), settings.kafka.client_options())
    if not learning:
        program = (*program, "--model", str(_frozen_models(settings, folder)), "--no-learning")
    with Feeder(settings, Shop(arrivals), events=events, backlog=backlog) as feeder:
        storm = Storm(settings, folder, program, feeder)
        fleet = fleet_of(settings, folder, storm.chronicle, program, static=static)
        try:
            await asyncio.gather(*(member.start() for member in fleet))
            await trouble(storm, fleet)
            await asyncio.to_thread(feeder.finish)
            await drained(settings, feeder, fleet, learning=learning)
            await asyncio.gather(*(member.stop() for member in fleet))
        finally:
            await asyncio.gather(*(member.bury() for member in fleet))
        found = await said.read(settings)
        calm = None if learning else await _calm(storm)
    truth = await asyncio.to_thread(truth_of, settings)
    verdict = judge(truth, found, Limits(BUDGET), calm, grid=not learning)
    return Outcome(settings, verdict, storm.chronicle, truth, found, time.monotonic() - began)


def fleet_of(
    settings: Settings,
    folder: Path,
    chronicle: Chronicle,
    program: tuple[str, ...] = WORKER,
    *,
    static: bool = False,
) -> list[Member]:
    """WORKERS places; with `static` each has a name in the group."""
    names = [f"w{number}" for number in range(WORKERS)]
    return [
        Member(_named(settings, name) if static else settings, folder / name, chronicle, program)
        for name in names
    ]


def _named(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"instance_id": name})})


def _frozen_models(settings: Settings, folder: Path) -> Path:
    """The return probability with its published prior, as if it had been learned from many labels."""
    trainer = settings.trainer()
    # Of all contenders it alone knows something without having learned.
    models = msgspec.structs.replace(trainer.initial(START), labels=1_000_000, champion="return_probability")
    path = folder / "models.json"
    path.write_bytes(msgspec.json.encode(models))
    return path


async def drained(settings: Settings, feeder: Feed, fleet: list[Member], *, learning: bool = False) -> None:
    """Wait until everything is consumed, and learned from, and nobody writes any more."""
    await until(lambda: feeder.lag() == 0, _DRAIN_S, "reading the rest")
    names, broker = settings.kafka.topics(), settings.kafka.bootstrap_servers
    # But the feeder's session, which goes on beating.
    everything = [name for name, _ in names if name != names["control"]]
    deadline = time.monotonic() + _DRAIN_S
    before, since = -1, time.monotonic()
    while time.monotonic() - since < _QUIET_S or (learning and await asyncio.to_thread(feeder.unlearned)):
        assert time.monotonic() < deadline, "the workers do not come to rest"
        for member in fleet:
            member.check()
        if (now := await asyncio.to_thread(logs.ends, broker, everything)) != before:
            before, since = now, time.monotonic()
        await asyncio.sleep(1.0)


async def _calm(storm: Storm) -> said.Said:
    """What one worker makes of the same input when nobody disturbs it."""
    kafka = storm.settings.kafka
    # Ticks count within the session in which they were sent.
    inputs = {name: kafka.topics()[name] for name in (*TOPICS, "control")}
    calm = storm.settings.model_copy(
        update={
            "kafka": kafka.model_copy(
                update={
                    "group": f"{kafka.group}-calm",
                    "topic_prefix": f"{_CALM}{kafka.topic_prefix}",
                    "topic_names": inputs,
                }
            )
        }
    )
    topics: Topics = calm.kafka.topics()
    await create(topics, calm.kafka.client_options())
    worker = Member(calm, storm.folder / "calm", Chronicle(), storm.program)
    try:
        await worker.start()
        await worker.ready()
        await drained(calm, Feed(calm, Shop(0)), [worker])
        await worker.stop()
    finally:
        await worker.bury()
    return await said.read(calm)


def truth_of(settings: Settings, eras: tuple[Era, ...] = LIVE) -> Truth:
    """What must be true of all that stands on the input topics."""
    names = settings.kafka.topics()
    model = settings.model
    rules = Rules(
        lateness_ms=LATENESS_MS,
        horizon_days=model.horizon_days,
        active_within_days=model.active_within_days,
        salt=settings.salt.get_secret_value(),
        holdout_share=settings.interventions.holdout_share,
        eras=eras,
    )
    logical = {names[name]: name for name in TOPICS}
    records = logs.read(settings.kafka.bootstrap_servers, [names[name] for name in TOPICS])
    return Truth((record._replace(topic=logical[record.topic]) for record in records), rules)
