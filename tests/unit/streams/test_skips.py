"""What an operator passed over: kept, followed, and a dead letter before it is gone."""

from __future__ import annotations

import asyncio
import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from faust.types.tuples import TP

from streams.batches import BrokenBatch
from streams.skips import Skip, Skips, pass_over
from streams.stopping import cancelled
from streams.telemetry import Metrics
from tests.fakes import FakeBroker, metric
from tests.shell import context_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ORDERS = TP("orders", 0)
BROKEN = BrokenBatch(5, 8, "its checksum is another", b"bytes")


def said(offset: int, topic: str = "orders") -> bytes:
    return msgspec.json.encode(Skip(topic=topic, partition=0, offset=offset, said_by="eve", said_at=1))


class Consumer(SimpleNamespace):
    """As much of the group's consumer as passing over looks at."""

    def __init__(self) -> None:
        super().__init__(broken={ORDERS: BROKEN}, passed=[])

    def pass_over(self, tp: TP, batch: BrokenBatch) -> None:
        self.passed.append((tp, batch))


async def until(what: Any) -> None:
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_a_batch_that_was_passed_over_is_a_dead_letter_once_and_counted(
    broker: FakeBroker, tmp_path: Path
):
    context, consumer = context_of(broker, tmp_path), Consumer()
    passing = asyncio.create_task(pass_over(SimpleNamespace(consumer=consumer), context, 0.001))
    context.skips.take(said(4))
    context.skips.take(said(5, "reviews"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert (consumer.passed, broker.logs["dead-letters", 0].records) == ([], [])

    context.skips.take(said(5))
    await until(lambda: len(consumer.passed) > 1)
    await cancelled(passing)

    assert set(consumer.passed) == {(ORDERS, BROKEN)}
    (letter,) = broker.logs["dead-letters", 0].records
    assert (letter.key, letter.value) == (None, b"bytes")
    headers = dict(letter.headers)
    assert (headers["reason"], headers["origin"]) == (b"unreadable_batch", b"orders/0/5")
    assert metric(context.metrics.registry, "skipped_batches_total", topic="orders") == 1


def test_a_word_about_a_batch_counts_wherever_within_it_reading_stands():
    """Where its end cannot be told it is passed over offset by offset."""
    skips = Skips("g-skips", {}, Metrics())
    raw = bytearray(80)
    struct.pack_into(">q", raw, 0, 5)
    skips.take(said(5))

    within = BrokenBatch(7, 8, "its checksum is another", bytes(raw))
    assert skips.find(ORDERS, within) is not None
    struct.pack_into(">q", raw, 0, 6)
    assert skips.find(ORDERS, within._replace(raw=bytes(raw))) is None
    assert skips.find(TP("orders", 1), within) is None


async def test_what_was_said_before_and_what_is_said_later_is_heard(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from streams import readers

    monkeypatch.setattr(readers, "AIOKafkaConsumer", broker.consumer)
    broker.logs["g-skips", 0].append(b"k", said(5))
    broker.logs["g-skips", 0].append(b"junk", b"{")
    broker.logs["g-skips", 0].append(b"gone", None)
    context = context_of(broker, tmp_path)
    following = asyncio.create_task(context.skips.follow(context.patience))
    await until(lambda: context.skips.find(ORDERS, BROKEN) is not None)

    later = BROKEN._replace(offset=9)
    broker.logs["g-skips", 0].append(b"k2", said(9))
    await until(lambda: context.skips.find(ORDERS, later) is not None)
    await cancelled(following)

    assert Skips("g-skips", {}, Metrics()).find(ORDERS, BROKEN) is None
