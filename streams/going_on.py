"""`churnwatch models go-on`: let the trainer learn without a partition that says nothing.

The trainer learns a decision time when every partition has sent its part of it. A part that holds nobody,
sent in the place of one that is mute, is all that it takes: it stands in the log of examples, so that whoever
again from that log learns the same. What it sends later of times that were learned is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.returns import ReturnHistogram
from models.parts import Part
from streams.inspecting import moment
from streams.progress import ProgressBoard
from streams.reading import scan
from streams.sending import Message, Sender, new_producer

if TYPE_CHECKING:
    from typing import Any

    from streams.settings import Settings


class GoOnError(RuntimeError):
    """The trainer does not wait for the partition; the message says how far it and the others are."""


async def go_on(settings: Settings, partition: int) -> str:
    """Have the trainer wait no longer for `partition`; a sentence that says up to which decision time.

    Raises GoOnError where there is nothing to go on to.
    """
    partitions = settings.kafka.partitions
    if partition >= partitions:
        raise GoOnError(f"there are partitions 0 to {partitions - 1}")
    board = ProgressBoard(partitions)

    def read(record: Any) -> None:
        board.read(record.value or b"")

    await scan(settings, "progress", 0, read)
    swept = board.swept()
    others = [ts for number, ts in swept.items() if number != partition]
    if not others:
        raise GoOnError("no other partition has reached a decision time yet")
    until, own = max(others), swept.get(partition)
    if own is not None and own >= until:
        raise GoOnError(
            f"partition {partition} has reached {moment(own)}, as far as any other (in a replay no partition "
            "goes further without all the others, and none can be done without)"
        )
    nobody = Part(partition, until, (), ReturnHistogram.merge(()))
    messages = [Message(str(until).encode(), value) for value in nobody.messages()]
    async with new_producer(settings.kafka.client_options()) as producer:
        sender = Sender(producer, settings.worker.write_timeout_seconds)
        await sender.send(settings.kafka.topics()["examples"], 0, messages)
    return f"the trainer goes on without partition {partition} up to {moment(until)}"
