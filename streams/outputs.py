"""Publishing: outputs become records with CloudEvents headers, in the partition they belong to."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import xxhash

from features.rejection import Rejected
from models.wire import UNREADABLE
from streams.fencing import knowing
from streams.sending import Header, Message, Sender
from streams.topics import LIVE_COMMANDS, SHADOW_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.telemetry import Metrics
    from streams.topics import Topics

#: CloudEvents type by logical topic; the version is that of the value's shape.
_TYPES: Final = {
    "churn-alerts": "churnwatch.alert.v2",
    "scores": "churnwatch.score.v1",
    "decisions": "churnwatch.decision.v2",
    "audit": "churnwatch.audit.v1",
    **dict.fromkeys((*LIVE_COMMANDS, *SHADOW_COMMANDS), "churnwatch.command.v2"),
}


class Output(NamedTuple):
    """One record to publish: logical topic, Kafka key, value."""

    topic: str
    key: bytes
    value: bytes


class _Timed(msgspec.Struct):
    ts: int
    mark: str = ""


_timed = msgspec.json.Decoder(_Timed)


def refusal(output: Output, *, sends: bool) -> Rejected | None:
    """Why a stored output cannot be published: another release may have stored it, or another mode.

    The last door before the topics that gateways read: what passes is marked live, and only if this worker
    `sends` commands at all.
    """
    if output.topic not in _TYPES:
        return Rejected("unknown_channel", f"this release knows no topic {output.topic!r}")
    try:
        found = _timed.decode(output.value)
        _rfc3339(found.ts)
    except (*UNREADABLE, ValueError, OverflowError) as error:
        return Rejected("malformed_json", f"no output of {output.topic}: {error}")
    if output.topic in LIVE_COMMANDS and (found.mark != "live" or not sends):
        why = "this worker sends nothing" if found.mark == "live" else f"marked {found.mark!r}"
        return Rejected("not_live", f"a command of {output.topic}: {why}")
    return None


@lru_cache(maxsize=64)
def _rfc3339(ts: int) -> bytes:
    """Thousands of outputs share the decision time they belong to."""
    moment = datetime.fromtimestamp(ts / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


class Publisher:
    """Sends outputs of one partition and waits until they are confirmed."""

    def __init__(self, sender: Sender, topics: Topics, metrics: Metrics) -> None:
        self._sender = sender
        self._topics = topics
        self._metrics = metrics
        self._source = f"/churnwatch/{topics.group}".encode()

    async def publish(self, partition: int, outputs: Sequence[Output], as_of_row: int = 0) -> dict[str, int]:
        """Publish to `partition` of each output's topic; returns the end offset of each topic written to.

        `as_of_row` is up to where we know the changelog that they come from: alerts say so to the ledger.
        Raises SendError when a topic does not confirm in time; some may have been published by then.
        """
        by_topic: dict[str, list[Message]] = {}
        for output in outputs:
            headers = self.headers(output)
            if output.topic == "churn-alerts":
                headers += knowing(as_of_row)
            message = Message(output.key, output.value, headers)
            by_topic.setdefault(output.topic, []).append(message)
        ends = await asyncio.gather(
            *(self._send(topic, partition, found) for topic, found in by_topic.items())
        )
        return dict(zip(by_topic, ends, strict=True))

    async def _send(self, topic: str, partition: int, messages: Sequence[Message]) -> int:
        with self._metrics.send_seconds.labels(topic).time():
            sent = await self._sender.send(self._topics[topic], partition, messages)
        assert sent is not None, "a topic without messages"
        if topic.startswith("commands."):
            self._count_commands(topic, messages)
        return sent[1]

    def _count_commands(self, topic: str, messages: Sequence[Message]) -> None:
        """What stands on the topic now; a repetition after a crash stands there, too."""
        channel = topic.split(".")[1]
        for mark, count in Counter(_timed.decode(each.value or b"").mark for each in messages).items():
            self._metrics.commands.labels(channel, mark).inc(count)

    def headers(self, output: Output) -> tuple[Header, ...]:
        """CloudEvents 1.0 (Kafka binding, binary mode).

        The id is a hash of the value, so a repeated output repeats it.
        """
        return (
            ("ce_specversion", b"1.0"),
            ("ce_id", xxhash.xxh3_128_hexdigest(output.value).encode()),
            ("ce_type", _TYPES[output.topic].encode()),
            ("ce_source", self._source),
            ("ce_time", _rfc3339(_timed.decode(output.value).ts)),
            ("content-type", b"application/json"),
        )
