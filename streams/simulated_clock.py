"""A clock of one's own: ticks in live operation, for simulations, storms and benchmarks.

A replay says that what it sends is history, and nothing real follows from that. This announces a session of
the present: time passes as its ticks say, and everything else is as it is live. It needs the rights of a
replayer.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Self

import msgspec
from confluent_kafka import Producer

from features.events import Tick
from streams.control import HEARTBEAT_SECONDS, Announcement, State, encode, new_session

if TYPE_CHECKING:
    from streams.settings import Settings

_FLUSH_SECONDS: Final = 30.0


class SimulatedClock:
    """An open session with heartbeats while the block lasts; `tick` is the value of a record to send.

    Raises RuntimeError when the broker does not take the announcement.
    """

    def __init__(self, settings: Settings) -> None:
        self.session = new_session()
        self._topic = settings.kafka.topics()["control"]
        self._producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="simulated clock", daemon=True)

    def __enter__(self) -> Self:
        self._say("open")
        if self._producer.flush(_FLUSH_SECONDS):
            raise RuntimeError("the broker did not take the announcement of a session")
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._beating.join()
        self._say("ended")
        self._producer.flush(_FLUSH_SECONDS)

    def tick(self, ts: int) -> bytes:
        """The promise that nothing before `ts` (epoch ms) follows where this is sent."""
        return msgspec.json.encode(Tick(ts=ts, session=self.session))

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            self._say("open")
            self._producer.poll(0)

    def _say(self, state: State) -> None:
        value = encode(Announcement(self.session, state, live=True))
        self._producer.produce(self._topic, key=self.session.encode(), value=value, partition=0)
