"""What every rival script takes as arguments and says at its end, so that the bench treats them alike."""

from __future__ import annotations

import argparse
import gc
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

TOPICS = ("clickstream", "orders", "reviews")


@dataclass(frozen=True)
class Task:
    """One run: `events` records wait in `prefix` + `TOPICS`; alerts go to `alerts_topic`; `group` is new."""

    bootstrap: str
    prefix: str
    group: str
    alerts_topic: str
    events: int
    partitions: int
    state_dir: Path

    @property
    def topics(self) -> list[str]:
        """Full names of the input topics."""
        return [self.prefix + topic for topic in TOPICS]

    def arguments(self) -> list[str]:
        """The command line that `task_from_arguments` reads back."""
        return [f"--{name.replace('_', '-')}={value}" for name, value in asdict(self).items()]


def relax_gc() -> None:
    """Collect cycles rarely: states live for ever. Saves Bytewax 18 %; no effect shown on the others."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def task_from_arguments() -> Task:
    """The task that the bench wrote on this process's command line."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "prefix", "group", "alerts-topic"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("events", "partitions"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    return Task(**vars(parser.parse_args()))


@dataclass
class Tally:
    """Counts of one run; the clock starts with the first event."""

    expected: int
    events: int = 0
    duplicates: int = 0
    rejected: int = 0
    alerts: int = 0
    users: int = 0
    started: float = field(default=0.0, repr=False)

    def arrived(self, count: int = 1) -> bool:
        """Count events taken from the topics; True once all of them were."""
        if not self.events:
            self.started = time.perf_counter()
        self.events += count
        return self.events >= self.expected

    def report(self) -> None:
        """Print the counts as the last line of standard output; call it when all state is durable."""
        seconds = time.perf_counter() - self.started
        print(json.dumps(asdict(self) | {"seconds": seconds}), flush=True)
