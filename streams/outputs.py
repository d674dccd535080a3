"""Publishing: outputs become records with CloudEvents headers, in the partition they belong to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import xxhash

from features.rejection import Rejected
from streams.fencing import knowing
from streams.sending import Header, Message, Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.telemetry import Metrics
    from streams.topics import Topics

#: CloudEvents type by logical topic; the version is that of the value's shape.
_TYPES: Final = {
    "churn-alerts": "churnwatch.alert.v1",
    "scores": "churnwatch.score.v1",
    "decisions": "churnwatch.decision.v1",
    "commands.coupon": "churnwatch.command.v1",
    "commands.email": "churnwatch.command.v1",
    "commands.sms": "churnwatch.command.v1",
    "commands.call": "churnwatch.command.v1",
}


class Output(NamedTuple):
    """One record to publish: logical topic, Kafka key, value."""

    topic: str
    key: bytes
    value: bytes


class _Timed(msgspec.Struct):
    ts: int
    dry_run: bool = False


_timed = msgspec.json.Decoder(_Timed)


def refusal(output: Output) -> Rejected | None:
    """Why this release cannot publish a stored output: another release may have stored it."""
    if output.topic not in _TYPES:
        return Rejected("unknown_channel", f"this release knows no topic {output.topic!r}")
    try:
        _rfc3339(_timed.decode(output.value).ts)
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:
        return Rejected("malformed_json", f"no output of {output.topic}: {error}")
    return None


def is_rehearsed(output: Output) -> bool:
    """Whether it is a command that follows from replayed history."""
    return output.topic.startswith("commands.") and _timed.decode(output.value).dry_run


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
        return sent[1]

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
