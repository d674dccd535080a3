"""The whole path in CPU time: consume, decode, dedupe, state, durable changelog, score, alert.

Every engine does the same job on the same records of the same broker, one after the other, in rounds that go
through all of them, so that what disturbs the machine disturbs all. A round runs each engine twice, on a
small and on a full load; the difference of CPU time over the difference of events is free of start-up.

Other tenants of a machine only ever add to CPU time, by cold caches and shared cores, so the cheapest run of
each load counts, as timeit's documentation advises; the spread over the rounds is told beside it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks.brokers import Broker, log_ends
from benchmarks.engines import Engine, EngineError, Sample
from benchmarks.rivals.tally import Task
from benchmarks.workload import TOPICS, Workload, preload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: Share of the full load that the small run takes: enough to warm everything up.
_SMALL_SHARE = 0.1


@dataclass
class Cost:
    """What one engine took: its runs on the small and on the full load, one of each a round."""

    small: list[Sample] = field(default_factory=list)
    full: list[Sample] = field(default_factory=list)
    alerts: int = 0
    failure: str = ""

    @property
    def us(self) -> float:
        """CPU µs per event, by the cheapest runs."""
        return _us(*(min(runs, key=lambda run: run.cpu_s) for runs in (self.small, self.full)))

    @property
    def us_per_event(self) -> list[float]:
        """CPU µs per event in each round."""
        return [_us(small, full) for small, full in zip(self.small, self.full, strict=True)]

    @property
    def rate(self) -> float:
        """Events per second of wall time on the full load, in the fastest run."""
        return max(run.events / run.seconds for run in self.full)

    def add(self, small: Sample, full: Sample) -> None:
        """Take in one round."""
        self.small.append(small)
        self.full.append(full)
        self.alerts = full.alerts


def _us(small: Sample, full: Sample) -> float:
    return (full.cpu_s - small.cpu_s) / (full.events - small.events) * 1e6


def measure(
    broker: Broker,
    engines: Sequence[Engine],
    workload: Workload,
    *,
    rounds: int,
    partitions: int,
    folder: Path,
    say: Callable[[str], None],
) -> dict[str, Cost]:
    """Cost of each engine by name. An engine that fails is left out from then on; its `failure` says why."""
    small = replace(workload, events=int(workload.events * _SMALL_SHARE))
    loads = {"small.": small, "full.": workload}
    for prefix, load in loads.items():
        say(f"writing {load.events:,} events to {prefix}*")
        broker.create([prefix + name for name in (*TOPICS, "churn-alerts")], partitions)
        preload(broker.bootstrap, prefix, load.records(), broker.compression)
        log_ends(broker.bootstrap, [prefix + topic for topic in TOPICS])
    costs = {engine.name: Cost() for engine in engines}
    for number in range(rounds):
        for engine in engines:
            cost = costs[engine.name]
            if cost.failure:
                continue
            say(f"round {number + 1} of {rounds}: {engine.name}")
            tasks = [
                Task(
                    bootstrap=broker.bootstrap,
                    prefix=prefix,
                    group=f"bench-{engine.name}-{number}-{prefix[:-1]}",
                    alerts_topic=f"{prefix}churn-alerts",
                    events=load.events,
                    partitions=partitions,
                    state_dir=folder / f"{engine.name}-{number}-{prefix[:-1]}",
                )
                for prefix, load in loads.items()
            ]
            try:
                cost.add(*(_run(broker, engine, task) for task in tasks))
            except EngineError as error:
                cost.failure = str(error)
    return costs


def _run(broker: Broker, engine: Engine, task: Task) -> Sample:
    task.state_dir.mkdir(parents=True)
    if (topics := engine.topics(task)) is not None:
        broker.create_catalogue(topics)
    try:
        return engine.run(task)
    finally:
        shutil.rmtree(task.state_dir)
        broker.forget(task.group)
