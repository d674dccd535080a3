"""The audit: who let this installation do what, and when. Written before the worker owns anything.

The mode is a setting, so it changes when a worker starts with another one. Each worker compares its mode with
the newest entry that it wrote under its name, or, when it is new, with the newest of its group.
"""

from __future__ import annotations

import os
import pwd
import socket
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from models.marks import Mode
from models.wire import UNREADABLE
from streams.acting import what_is_sent
from streams.logs import logger
from streams.outputs import Output
from streams.reading import scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka import ConsumerRecord

    from streams.context import Context
    from streams.settings import Settings

log = logger(__name__)

TOPIC: Final = "audit"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of what a worker may do."""

    #: What changed: what may be done about customers.
    kind: Literal["mode"]
    #: When, by the clock of the worker, epoch milliseconds.
    ts: int
    #: Mode before; absent when neither this worker nor its group ever had one.
    before: Mode | None = None
    #: Mode from now on.
    after: Mode
    #: The worker's consumer group.
    group: str
    #: Name of the worker: its `kafka.instance_id`, or its host.
    worker: str
    host: str
    #: Who runs it: user of the operating system.
    os_user: str
    #: Who it is to Kafka; absent where Kafka knows no users.
    kafka_user: str | None = None
    #: What that means, in words.
    text: str


def change(known: Sequence[Entry], entry: Entry) -> Entry | None:
    """`entry` with the mode before it, as `known` (oldest first) tells it; None if nothing changed."""
    group = [each for each in known if each.kind == "mode" and each.group == entry.group]
    own = [each for each in group if each.worker == entry.worker]
    before = next((each.after for each in reversed(own or group)), None)
    return None if before == entry.after else msgspec.structs.replace(entry, before=before)


def entry_of(settings: Settings, now: int) -> Entry:
    """What this process would write."""
    kafka, host = settings.kafka, socket.gethostname()
    return Entry(
        kind="mode",
        ts=now,
        after=settings.interventions.mode,
        group=kafka.group,
        worker=kafka.instance_id or host,
        host=host,
        os_user=_os_user(),
        kafka_user=kafka.sasl_username or None,
        text=what_is_sent(settings),
    )


async def note_mode(context: Context) -> None:
    """Write to the audit if this worker's mode is not what it was; returns when that is durable.

    Raises KafkaError or SendError: without its entry no worker acts.
    """
    entry = change(await _entries(context), entry_of(context.settings, context.now()))
    if entry is None:
        return
    output = Output(TOPIC, entry.worker.encode(), msgspec.json.encode(entry))
    await context.publisher.publish(0, [output])
    log.warning("the mode has changed", before=entry.before or "", after=entry.after, worker=entry.worker)


async def _entries(context: Context) -> list[Entry]:
    found: list[Entry] = []

    def take(record: ConsumerRecord[Any, Any]) -> None:
        try:
            found.append(msgspec.json.decode(record.value or b"", type=Entry))
        except UNREADABLE as error:
            # Of a later release, or of a stranger: it is left where it stands.
            log.warning("an entry of the audit cannot be read", offset=record.offset, why=str(error))

    await scan(context.settings, TOPIC, 0, take, context.metrics.lost_batches.labels(TOPIC).inc)
    return found


def _os_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # A container may run under a number that has no name.
        return f"uid {os.getuid()}"
