"""The product's own worker under `latency`: alone with the events, then with sweeps and learning beside."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks import latency
from benchmarks.churnwatch import frozen_models, promise, settings_for, worker_environment
from benchmarks.rivals.tally import Task
from benchmarks.service import Launch, started
from streams.processes import read_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.brokers import Broker
    from benchmarks.latency import Latency, Load
    from benchmarks.service import Worker
    from streams.settings import Settings

PARTITIONS: Final = 12
#: Every trigger becomes an alert: no probability lies below.
LOW: Final = {"medium": 1e-6, "high": 0.9, "critical": 0.95, "hysteresis": 0.0}
#: One decision time a day, whose labels are known a day later and may come an hour late.
_DAILY: Final = {"horizon_days": 1, "every_days": 1, "allowed_lateness_hours": 1.0}


@dataclass(frozen=True)
class Scene:
    """How the worker is set up under a load; `learning` False freezes the model."""

    name: str
    load: Load
    learning: bool
    model: Mapping[str, object]


def quiet(seconds: float) -> Scene:
    """Events and triggers of the present, a frozen model, no decision time within."""
    return Scene("quiet", latency.Load(seconds=seconds), learning=False, model={})


def busy(seconds: float) -> Scene:
    """A day passes every ten seconds: each brings a sweep, and from the second on labels to learn."""
    return Scene("busy", latency.Load(seconds=seconds, days=seconds / 10), learning=True, model=_DAILY)


def measure(broker: Broker, scene: Scene, folder: Path) -> Latency:
    """Start a worker, wait until it is ready, and measure."""
    prefix = f"{scene.name}."
    task = Task(broker.bootstrap, prefix, f"bench-{scene.name}", "", 0, PARTITIONS, folder / scene.name)
    task.state_dir.mkdir(parents=True)
    log_level = {"log_level": "info"}
    settings = settings_for(task, model=scene.model, alerting=LOW, worker=log_level)
    broker.create_catalogue(settings.kafka.topics())
    # Nobody can promise more than the present, at which the load ends.
    promise(settings, int(time.time() * 1000) - 1)
    launch = product(settings, task.state_dir, learning=scene.learning)
    with started(launch, task.state_dir / "worker.log") as worker:
        worker.wait_until(worker.is_ready)
        found = latency.measure(broker.bootstrap, prefix, launch.alerts, scene.load)
        inside = _alert_delay(worker)
        worker.stop()
    return replace(found, inside_s=inside)


def product(settings: Settings, folder: Path, *, learning: bool) -> Launch:
    """The product's own worker; without `learning` on `frozen_models`."""
    model = folder / "models.json"
    model.write_bytes(msgspec.json.encode(frozen_models()))
    frozen = () if learning else ("--no-learning", "--model", str(model))
    names = settings.kafka.topics()
    return Launch(
        command=(sys.executable, "-W", "ignore", "-m", "streams.cli", "worker", *frozen),
        environment=worker_environment(settings),
        changelog=names["customers-changelog"],
        alerts=names["churn-alerts"],
    )


def _alert_delay(worker: Worker) -> float:
    """Mean of the worker's own `alert_delay_seconds`."""
    assert worker.page is not None, "not ready"
    found = read_metrics(worker.page)
    total, count = (found[f"churnwatch_alert_delay_seconds_{part}{{}}"] for part in ("sum", "count"))
    return total / count
