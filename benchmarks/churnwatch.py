"""churnwatch as an engine of the bench: settings, topics and a frozen model for the product's own worker."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final

import msgspec
from confluent_kafka import Producer

from benchmarks.service import Launch, Service
from benchmarks.workload import TOPICS, Workload
from features.catalogue import NAMES, OFFSET
from features.returns import PRIOR
from models.scorers import LinearScorer
from models.versions import COLUMNS, ModelSet
from streams.processes import environment
from streams.settings import Settings, load
from streams.simulated_clock import SimulatedClock
from streams.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.rivals.tally import Task

#: Alert threshold: touched customers, triggers and sweeps together alert on about 1 % of the workload.
THETA: Final = 0.831
#: Inputs that come to the worker's partitions besides `workload.TOPICS`, and stay empty but for a tick.
_QUIET: Final = ("customers", "outcomes")
_OLD: Final = 36_500.0


def frozen_models() -> ModelSet:
    """A linear model over all inputs: fixed weights, as if exported by a trained learner."""
    weights = [0.05 * math.sin(1.0 + i) for i in range(len(COLUMNS))]
    weights[COLUMNS.index(OFFSET)] = 1.0
    n = len(COLUMNS)
    scorer = LinearScorer(
        columns=COLUMNS,
        intercept=0.0,
        weights=tuple(weights),
        mean=(0.0,) * n,
        scale=(1.0,) * n,
        raw=frozenset({OFFSET, *COLUMNS[len(NAMES) :]}),
    )
    return ModelSet(
        as_of=0, number=1, champion="logistic", labels=0, scorers={"logistic": scorer}, returns=PRIOR
    )


def settings_for(
    task: Task,
    *,
    model: Mapping[str, object] | None = None,
    alerting: Mapping[str, object] | None = None,
    worker: Mapping[str, object] | None = None,
) -> Settings:
    """Settings of a worker for `task`: the inputs are shared, all else is the worker's own.

    Nothing is too old to act upon, and topics that are silent are never left out of the watermark: the
    events' own times decide when a decision time is due.
    """
    own = {name: f"{task.group}.{name}" for name in CATALOGUE if name not in TOPICS}
    # Ticks stand on the inputs, for all groups alike.
    own["control"] = f"{task.prefix}control"
    return load(
        None,
        kafka={
            "bootstrap_servers": task.bootstrap,
            "partitions": task.partitions,
            "group": task.group,
            "topic_prefix": task.prefix,
            "topic_names": own,
        },
        model={"min_labels": 0, **(model or {})},
        alerting={
            "medium": THETA,
            "high": THETA,
            "critical": THETA,
            "act_within_days": _OLD,
            **(alerting or {}),
        },
        worker={
            "state_dir": task.state_dir / "state",
            "http_port": 0,
            "log_level": "warning",
            "idle_after_seconds": 3600.0,
            **(worker or {}),
        },
    )


def launch(task: Task) -> Launch:
    """The wrapped worker of the whole path, with its quiet topics settled."""
    settings = settings_for(task)
    names = settings.kafka.topics()
    model = task.state_dir / "models.json"
    model.write_bytes(msgspec.json.encode(frozen_models()))
    promise(settings, Workload().end_ms)
    return Launch(
        command=(sys.executable, "-W", "ignore", "-m", "benchmarks.churnwatch_worker", str(model)),
        environment=worker_environment(settings),
        changelog=names["customers-changelog"],
        alerts=names["churn-alerts"],
    )


def worker_environment(settings: Settings) -> dict[str, str]:
    """The settings as a worker's environment; what Faust wants to keep on disk goes beside the state."""
    return {**environment(settings), "FAUST_DATADIR": str(settings.worker.state_dir.with_name("faust"))}


def promise(settings: Settings, ts: int) -> None:
    """Promise each partition of the quiet inputs nothing before `ts`: the others lead the watermark."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    with SimulatedClock(settings) as clock:
        for name in _QUIET:
            for partition in range(settings.kafka.partitions):
                producer.produce(settings.kafka.topics()[name], value=clock.tick(ts), partition=partition)
        if producer.flush(30):
            raise RuntimeError("the broker did not take the ticks")


CHURNWATCH: Final = Service("churnwatch", launch, lambda task: settings_for(task).kafka.topics())
