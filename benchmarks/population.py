"""`python -m benchmarks.population CUSTOMERS`: what customers weigh, and how fast they are re-scored.

A process of its own, so that its memory is that of one partition's core and nothing else.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.churnwatch import frozen_models
from benchmarks.memory import resident_bytes
from benchmarks.workload import Workload
from features.layout import DAY_MS, gather
from features.observing import Record
from models.core import PartitionCore
from models.judging import judge
from streams.settings import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Customers whose history is really observed; all others repeat one of theirs.
_SAMPLE = Workload(events=60_000, users=20_000)
_AT_ONCE = 50_000
_REPEATS = 3


@dataclass(frozen=True)
class Population:
    """`bytes_per_user` is resident memory, all in; `rescore_s` covers all, from record to score."""

    customers: int
    bytes_per_user: float
    rescore_s: float


def build(customers: int) -> PartitionCore:
    """A core of one partition with `customers`, each with the record of one of `_SAMPLE`'s, without forks."""
    core, samples = empty_core(), observed()
    random = np.random.default_rng(7)
    for start in range(0, customers, _AT_ONCE):
        n = min(_AT_ONCE, customers - start)
        records = gather(samples, random.integers(len(samples), size=n))
        records["user_hash"] = random.integers(1 << 63, size=n)
        core.table.put_many([f"user-{start + i:07d}" for i in range(n)], records)
    return core


def empty_core() -> PartitionCore:
    """A core of the only partition."""
    settings = load(None, kafka={"partitions": 1})
    return PartitionCore(0, settings.core(), settings.decoders(), settings.currencies().micros)


@cache
def observed() -> NDArray[np.void]:
    """The records of `_SAMPLE`'s customers."""
    core = empty_core()
    polls: dict[str, list[Record]] = {}
    for record in _SAMPLE.records():
        poll = polls.setdefault(record.topic, [])
        poll.append(Record(len(poll), record.key, record.value))
    for topic, poll in polls.items():
        core.observe(topic, poll)
    return gather(core.table.rows, core.table.live_slots())


def measure(customers: int) -> Population:
    """Build the core and re-score everybody, features, return probability and linear model; best of three."""
    observed()
    gc.collect()
    before = resident_bytes()
    core = build(customers)
    gc.collect()
    bytes_per_user = (resident_bytes() - before) / customers
    models, slots, took = frozen_models(), core.table.live_slots(), []
    for day in range(_REPEATS):
        ts = _SAMPLE.end_ms + day * DAY_MS
        started = time.perf_counter()
        judge(core.table.rows, slots, ts, core.config.horizon_days, models)
        took.append(time.perf_counter() - started)
    return Population(customers, bytes_per_user, min(took))


def main() -> None:
    """Measure in this process; print it as JSON."""
    found = measure(int(sys.argv[1]))
    print(json.dumps(vars(found)))


if __name__ == "__main__":
    main()
