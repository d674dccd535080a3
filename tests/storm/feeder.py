"""What a shop sends; and who keeps the input topics ahead of the workers, but for while they come back."""

from __future__ import annotations

import threading
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Self

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from streams.simulated_clock import SimulatedClock
from tests.storm.workload import DISORDER_MS, HOUR_MS, TOPICS, Shop, day_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.settings import Settings

_POLL_S: Final = 0.2
_PATIENCE_S: Final = 60.0
#: Workers that read as fast as the feeder sends are busy though nothing piles up.
_BACKLOG_S: Final = 10.0
#: Behind the last event every decision time up to here becomes due.
_AFTERMATH_DAYS: Final = 3


class Feed:
    """What a shop sends: its days, and the ticks by which time passes.

    Counts the events it has `sent`, and the `days` that are over.
    Use as a context manager: ticks count within a session of the present, which is open as long as the block
    lasts. `send_day` returns when the broker has everything; `finish` raises if it has not.
    """

    def __init__(self, settings: Settings, shop: Shop, days: int = 0) -> None:
        self.days, self.sent = days, 0
        kafka = settings.kafka
        self._names = kafka.topics()
        self._partitions = kafka.partitions
        self._shop = shop
        where = {"bootstrap.servers": kafka.bootstrap_servers}
        self._producer = Producer(
            where | {"partitioner": "murmur2_random", "linger.ms": 5, "enable.idempotence": True}
        )
        self._group = Consumer(where | {"group.id": kafka.group, "enable.auto.commit": False})
        self._failed: list[Any] = []
        self._clock = SimulatedClock(settings)

    def __enter__(self) -> Self:
        self._clock.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._clock.__exit__()
        self._group.close()

    def lag(self) -> int:
        """Records on the input topics that the group has not committed."""
        return self._lag([TopicPartition(self._names[t], p) for t in TOPICS for p in range(self._partitions)])

    def unlearned(self) -> int:
        """Records on `examples` from which the group's trainer has not learned."""
        return self._lag([TopicPartition(self._names["examples"], 0)])

    def _lag(self, places: list[TopicPartition]) -> int:
        lag = 0
        for place in _told(self._group.committed, places):
            where = TopicPartition(place.topic, place.partition)
            first, end = _told(self._group.get_watermark_offsets, where)
            lag += end - max(place.offset, first)
        return lag

    def send_day(self, *, closed: bool = False) -> None:
        """The next day of the shop; of a day on which its feed is `closed` nothing is ever sent but time."""
        for _, messages in groupby(self._shop.day(self.days), lambda message: message.at // HOUR_MS):
            for message in messages:
                if not closed:
                    self._produce(self._names[message.topic], value=message.value, key=message.user)
            # A day passes in a moment, and batches overtake one another on their way: what customers say of
            # consent must be in the log before what befalls them hours later, as it is in a shop.
            self._producer.flush()
        self.days += 1
        self._tick(day_start(self.days) - DISORDER_MS)
        self._producer.flush()

    def finish(self) -> None:
        """Promise that nothing follows. Raises RuntimeError if something was not sent."""
        self._tick(day_start(self.days + _AFTERMATH_DAYS))
        self._producer.flush()
        if self._failed:
            raise RuntimeError(f"{len(self._failed)} messages were not sent, the first: {self._failed[0]}")

    def _tick(self, ts: int) -> None:
        value = self._clock.tick(ts)
        for topic in TOPICS:
            for partition in range(self._partitions):
                self._produce(self._names[topic], value=value, partition=partition)

    def _produce(self, topic: str, **message: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, on_delivery=self._delivered, **message)
            except BufferError:
                self._producer.poll(0.1)
            else:
                break
        self.sent += "key" in message

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed.append(error)


class Feeder(Feed):
    """Sends day after day of a shop while the group lags behind by less than `backlog` records.

    `hold` lets the group catch up, until `release`. `finish` sends what still has to come: at least `events`
    in all, and the ticks that make the last decision times due.
    """

    def __init__(self, settings: Settings, shop: Shop, *, events: int, backlog: int) -> None:
        super().__init__(settings, shop)
        self._events, self._backlog = events, backlog
        self._enough = threading.Event()
        self._released = threading.Event()
        self._released.set()
        self._thread = threading.Thread(target=self._run, name="feeder")

    def __enter__(self) -> Self:
        super().__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()
        super().__exit__()

    def hold(self) -> None:
        """Send no further day before `release`: while workers come back, a storm would only grow."""
        self._released.clear()

    def release(self) -> None:
        """Send on, and wait until there is a backlog again, or the workers keep up for a while."""
        self._released.set()
        deadline = time.monotonic() + _BACKLOG_S
        while self.lag() < self._backlog and time.monotonic() < deadline:
            assert self._thread.is_alive(), "the feeder has ended"
            time.sleep(_POLL_S)

    def finish(self) -> None:
        """Send the rest, and promise that nothing follows. Raises RuntimeError if something was not sent."""
        self._enough.set()
        self._thread.join()
        while self.sent < self._events:
            self.send_day()
        super().finish()

    def _run(self) -> None:
        while not self._enough.is_set():
            if self._released.is_set() and self.lag() < self._backlog:
                self.send_day()
            else:
                self._enough.wait(_POLL_S)


def _told(ask: Callable[..., Any], about: Any) -> Any:
    """What the broker says; a coordinator or a leader that is still to be found is waited for."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask(about, timeout=30)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
