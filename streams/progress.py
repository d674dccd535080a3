"""Progress: what lets a replay go in lock-step with the workers (DESIGN 4.6).

Internal topic, one partition, keyed by partition number and stage. A sweep says where its alerts end, the
dispatcher how far it has decided; a replayer that has both knows that a decision time is settled.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from streams.logs import logger

log = logger(__name__)

Stage = Literal["swept", "decided"]


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """One partition's place.

    `swept` up to decision time `ts`, with alerts before offset `alerts`; or `decided`: all alerts before
    that offset.
    """

    stage: Stage
    partition: int
    alerts: int
    ts: int = 0

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

    def read(self, value: bytes) -> None:
        """Take one record; what is none of ours says nothing."""
        try:
            found = _decoder.decode(value)
        except msgspec.MsgspecError as error:
            log.warning("progress cannot be read", why=str(error))
            return
        if found.stage == "decided":
            self._decided[found.partition] = max(found.alerts, self._decided.get(found.partition, 0))
        elif found.ts >= (known := self._swept.get(found.partition, found)).ts:
            self._swept[found.partition] = msgspec.structs.replace(
                found, alerts=max(found.alerts, known.alerts)
            )

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
