"""How long a trigger event takes to become an alert, while the shop goes on.

One process sends and receives, so that one clock (`perf_counter`) measures: from handing the trigger to the
producer to reading its alert off `churn-alerts`. Each trigger belongs to a user of its own, by whom the alert
is recognised, so neither cool-down nor any other event of that user can blur it.
"""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.workload import DAY_MS, Record, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Alerts that have not come so long after the last trigger are counted as missing.
GRACE_S = 5.0
_SLICE_S = 0.005


@dataclass(frozen=True)
class Load:
    """`rate` events per second of the usual mix for `seconds`, among them `triggers` refunds per second.

    Triggers of the first `warm_up_s` seconds are not measured: caches, connections and the JVM warm up.
    """

    rate: int = 1_000
    seconds: float = 30.0
    triggers: int = 20
    warm_up_s: float = 5.0
    users: int = 100_000
    #: Event time that passes, up to now; None for the present, as fast as it goes by.
    days: float | None = None
    #: See `Workload`.
    turnover: float = 0.0

    @cached_property
    def workload(self) -> Workload:
        """The events, the last of them stamped no later than when it is sent."""
        days = self.days or self.seconds / 86_400
        start = int(time.time() * 1000) - (int(self.days * DAY_MS) if self.days else 0)
        events = int(self.rate * self.seconds)
        return Workload(events, self.users, start_ms=start, days=days, turnover=self.turnover)

    def event_time(self, at: float) -> int:
        """Event time (epoch ms) that belongs to `at` seconds after the start."""
        span = self.workload.end_ms - self.workload.start_ms
        return self.workload.start_ms + int(at / self.seconds * span)

    def schedule(self) -> Iterator[Due]:
        """What to send when."""
        every = self.rate // self.triggers
        for number, record in enumerate(self.workload.records()):
            at = number / self.rate
            if number % every:
                yield Due(at, record)
            else:
                yield Due(at, _refund(number, self.event_time(at)), timed=at >= self.warm_up_s)


class Due(NamedTuple):
    """A record to send `at` seconds after the start; `timed` if its alert is waited for."""

    at: float
    record: Record
    timed: bool = False


@dataclass(frozen=True)
class Latency:
    """Seconds from event to alert, over `alerts` measured triggers; `missing` ones never came."""

    p50_s: float
    p99_s: float
    worst_s: float
    alerts: int
    missing: int
    expected: int
    #: Events per second that were really sent: less than asked for means that this machine was too busy.
    sent_per_second: float
    #: Mean seconds from reading a poll that raised alerts to their publication, by the worker's own word.
    inside_s: float | None = None


class _OfUser(msgspec.Struct):
    user_id: str


@dataclass
class Alerts(threading.Thread):
    """Notes when the first alert of each user is read, on the clock of `time.perf_counter`."""

    bootstrap: str
    topic: str
    seen: dict[str, float] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    listening: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(name="alerts", daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Read until `stopping` is set; `listening` says that nothing from now on will be missed."""
        # Without a group: nothing to join, and only what comes from now on.
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "bench-latency", "fetch.wait.max.ms": 10}
        )
        partitions = consumer.list_topics(self.topic, timeout=10).topics[self.topic].partitions
        ends = {
            p: consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=10)[1]
            for p in partitions
        }
        consumer.assign([TopicPartition(self.topic, p, end) for p, end in ends.items()])
        decoder = msgspec.json.Decoder(_OfUser)
        self.listening.set()
        while not self.stopping.is_set():
            message = consumer.poll(0.1)
            now = time.perf_counter()
            if message is not None and message.error() is None:
                self.seen.setdefault(decoder.decode(message.value()).user_id, now)
        consumer.close()


def measure(bootstrap: str, prefix: str, alerts_topic: str, load: Load) -> Latency:
    """Send `load` to the input topics under `prefix` and time the alerts of its triggers.

    The worker under test must be running, caught up, and set to raise an alert for every refund. Raises
    RuntimeError if not a single alert came.
    """
    alerts = Alerts(bootstrap, alerts_topic)
    alerts.start()
    alerts.listening.wait(30)
    sent: dict[str, float] = {}
    started = time.perf_counter()
    count = send(bootstrap, prefix, load.schedule(), sent)
    rate = count / (time.perf_counter() - started)
    deadline = time.monotonic() + GRACE_S
    while len(alerts.seen.keys() & sent.keys()) < len(sent) and time.monotonic() < deadline:
        time.sleep(0.05)
    alerts.stopping.set()
    alerts.join()
    return _summary(sent, alerts.seen, rate)


def send(bootstrap: str, prefix: str, schedule: Iterable[Due], sent: dict[str, float]) -> int:
    """Send `schedule` in real time; notes in `sent` when each timed record's user was sent. The count."""
    options = {
        "bootstrap.servers": bootstrap,
        "partitioner": "murmur2_random",
        "linger.ms": 5,
        "log_level": 2,
    }
    producer = Producer(options)
    start, count = time.perf_counter(), 0
    for at, record, timed in schedule:
        while time.perf_counter() < start + at:
            producer.poll(_SLICE_S)
        if timed:
            sent[record.key.decode()] = time.perf_counter()
        producer.produce(prefix + record.topic, key=record.key, value=record.value)
        count += 1
    producer.flush(10)
    return count


def _refund(number: int, ts: int) -> Record:
    user = f"trigger-{number:07d}"
    event = {
        "event_id": f"refund-{number:07d}",
        "user_id": user,
        "ts": ts,
        "type": "refund",
        "transaction_id": f"t-{number}",
        "value": 20.0,
        "currency": "EUR",
    }
    return Record("orders", user.encode(), orjson.dumps(event))


def _summary(sent: dict[str, float], seen: dict[str, float], rate: float) -> Latency:
    took = sorted(seen[user] - at for user, at in sent.items() if user in seen)
    if len(took) < 2:
        raise RuntimeError(
            f"of {len(sent)} triggers {len(took)} became alerts: is the worker up, does it alert?"
        )
    percentiles = statistics.quantiles(took, n=100, method="inclusive")
    return Latency(
        percentiles[49], percentiles[98], took[-1], len(took), len(sent) - len(took), len(sent), rate
    )
