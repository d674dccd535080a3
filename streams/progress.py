"""Progress: what lets a replay go in lock-step with the workers (DESIGN 4.6).

Internal topic, one partition, keyed by partition number and stage. A sweep says where its alerts end, the
dispatcher how far it has decided; a replayer that has both knows that a decision time is settled.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

import msgspec

from models.wire import UNREADABLE
from streams.logs import logger

log = logger(__name__)

Stage = Literal["swept", "decided", "session"]


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """One partition's place.

    `swept` up to decision time `ts`, with alerts before offset `alerts`; or `decided`: all alerts before
    that offset; or `session`: the answer to what was last said on `control`.
    """

    stage: Stage
    partition: int
    alerts: int = 0
    ts: int = 0
    #: The session in question.
    session: str = ""
    #: The one that is open here, "" if none is.
    open: str = ""
    #: Before which time an event would come too late here: by topic, and "" for all decided upon.
    stands: dict[str, int] = {}
    #: What became of the session's records so far, by fate; with `swept` too.
    replayed: dict[str, int] = {}

    @property
    def key(self) -> bytes:
        """Kafka key."""
        return f"{self.stage}/{self.partition}".encode()


_decoder: Final = msgspec.json.Decoder(Progress)


def encode(progress: Progress) -> bytes:
    """Value of a record."""
    return msgspec.json.encode(progress)


class ProgressBoard:
    """What every partition has said so far."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._swept: dict[int, Progress] = {}
        self._decided: dict[int, int] = {}
        self._answers: dict[int, Progress] = {}

    def read(self, value: bytes) -> None:
        """Take one record; what is none of ours says nothing."""
        try:
            found = _decoder.decode(value)
        except UNREADABLE as error:
            log.warning("progress cannot be read", why=str(error))
            return
        if found.stage == "session":
            self._answers[found.partition] = found
        elif found.stage == "decided":
            self._decided[found.partition] = max(found.alerts, self._decided.get(found.partition, 0))
        elif found.ts >= (known := self._swept.get(found.partition, found)).ts:
            self._swept[found.partition] = msgspec.structs.replace(
                found, alerts=max(found.alerts, known.alerts)
            )

    def answers(self, session: str) -> dict[int, Progress]:
        """What each partition has answered last to what was said of `session`."""
        return {p: answer for p, answer in self._answers.items() if answer.session == session}

    def replayed(self, session: str) -> Counter[str]:
        """What became of the records of `session` by now, over all partitions."""
        found: Counter[str] = Counter()
        for partition in range(self._partitions):
            places = (self._swept.get(partition), self._answers.get(partition))
            newest = max(
                (place.replayed for place in places if place is not None and place.session == session),
                key=lambda counts: sum(counts.values()),
                default={},
            )
            found.update(newest)
        return found

    def swept(self) -> dict[int, int]:
        """The newest decision time that each partition has swept."""
        return {partition: place.ts for partition, place in self._swept.items()}

    def settled(self, ts: int) -> bool:
        """Whether every partition has swept `ts` and its alerts are decided."""
        return not self.waiting(ts)

    def waiting(self, ts: int) -> list[int]:
        """Partitions that are not settled yet."""
        return [
            p
            for p in range(self._partitions)
            if (place := self._swept.get(p)) is None
            or place.ts < ts
            or self._decided.get(p, 0) < place.alerts
        ]
