"""Watching a consumer group get through a backlog, partition by partition, by what it has committed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import Consumer

from benchmarks.brokers import log_ends

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from confluent_kafka import TopicPartition

    from benchmarks.rivals.tally import Task


class Draining:
    """Where the group of a task stands in its input topics. A context manager; time runs from its start."""

    def __init__(self, task: Task) -> None:
        self._task = task
        # Never subscribes, so it asks for the offsets of the group without being a member of it.
        options = {"bootstrap.servers": task.bootstrap, "group.id": task.group, "log_level": 2}
        self._observer = Consumer(options)
        self._moved: dict[TopicPartition, tuple[int, float]] = {}
        self._begun = 0.0
        #: The longest, in seconds, that a topic partition stood still before it went on.
        self.standstill_s = 0.0

    def __enter__(self) -> Self:
        self._moved = dict.fromkeys(log_ends(self._task.bootstrap, self._task.topics), (0, 0.0))
        self._begun = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._observer.close()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._begun

    def look(self) -> None:
        """Ask the broker what is committed."""
        for found in self._observer.committed(list(self._moved), timeout=10):
            offset, at = self._moved[found]
            if found.offset > offset:
                self.standstill_s = max(self.standstill_s, self.seconds - at)
                self._moved[found] = (found.offset, self.seconds)

    def is_over(self) -> bool:
        """Whether, at the last look, everything that is on the topics by now was committed."""
        ends = log_ends(self._task.bootstrap, self._task.topics)
        return all(offset >= ends[partition] for partition, (offset, _) in self._moved.items())

    def done_s(self) -> tuple[float, ...]:
        """Seconds after which each partition number made its last step."""
        done = [0.0] * self._task.partitions
        for partition, (_, at) in self._moved.items():
            done[partition.partition] = max(done[partition.partition], at)
        return tuple(done)
