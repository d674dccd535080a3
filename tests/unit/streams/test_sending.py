"""Sending: batches, offsets, order, and what counts as not confirmed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from streams.authorisation import RightsError
from streams.producer import BATCH_BYTES
from streams.sending import Message, Sender, SendError, _batches
from tests.fakes import Batch, FakeBroker


def messages(*values: bytes) -> list[Message]:
    return [Message(b"k", value) for value in values]


async def test_no_messages_are_sent_as_nothing():
    broker = FakeBroker()

    assert await Sender(broker, 1.0).send("t", 0, []) is None
    assert broker.sent == []


async def test_the_answer_is_the_first_offset_and_the_one_behind_the_last():
    broker = FakeBroker()
    sender = Sender(broker, 1.0)

    assert await sender.send("t", 0, messages(b"a", b"b")) == (0, 2)
    assert await sender.send("t", 0, messages(b"c")) == (2, 3)
    assert broker.values("t") == [b"a", b"b", b"c"]


async def test_many_messages_become_several_batches_in_order():
    broker = FakeBroker(batch_records=2)

    assert await Sender(broker, 1.0).send("t", 3, messages(b"a", b"b", b"c", b"d", b"e")) == (0, 5)
    assert broker.sent == ["t", "t", "t"]
    assert broker.values("t", 3) == [b"a", b"b", b"c", b"d", b"e"]


async def test_keys_headers_and_tombstones_arrive():
    broker = FakeBroker()

    await Sender(broker, 1.0).send("t", 0, [Message(b"k", None, (("h", b"1"),))])

    (record,) = broker.logs["t", 0].records
    assert (record.key, record.value, record.headers) == (b"k", None, (("h", b"1"),))


async def test_a_refusal_is_a_send_error_that_names_topic_and_partition():
    broker = FakeBroker()
    broker.trouble = lambda _: "refuse"

    with pytest.raises(SendError, match=r"t/3: 2 records not confirmed: RecordListTooLargeError"):
        await Sender(broker, 1.0).send("t", 3, messages(b"a", b"b"))


async def test_a_write_that_is_not_allowed_names_the_right_and_is_no_send_error_that_passes():
    class Denying(FakeBroker):
        async def send_batch(self, batch: Any, topic: str, partition: int) -> Any:
            raise TopicAuthorizationFailedError(topic)

    with pytest.raises(RightsError, match="lacks the right Write on topic t: "):
        await Sender(Denying(), 1.0).send("t", 0, messages(b"a"))


async def test_an_answer_that_does_not_come_in_time_is_a_send_error():
    broker = FakeBroker()
    broker.trouble = lambda _: "lose the answer"

    with pytest.raises(SendError, match="not confirmed: TimeoutError"):
        await Sender(broker, 0.01).send("t", 0, messages(b"a"))
    assert broker.values("t") == [b"a"], "it was written all the same"


async def test_a_write_may_take_longer_than_the_limit_as_long_as_the_broker_goes_on_confirming():
    broker = SlowBroker(batch_records=1)

    assert await Sender(broker, 0.3).send("t", 0, messages(*[b"a"] * 4)) == (0, 4)


class SlowBroker(FakeBroker):
    """Takes a tenth of a second for each batch."""

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        await asyncio.sleep(0.1)
        return await super().send_batch(batch, topic, partition=partition)


async def test_senders_to_one_partition_take_turns():
    broker = FakeBroker(batch_records=1)
    sender = Sender(broker, 1.0)

    sent = await asyncio.gather(
        sender.send("t", 0, messages(b"a", b"b")),
        sender.send("t", 0, messages(b"c", b"d")),
        sender.send("t", 1, messages(b"x")),
    )

    assert sent == [(0, 2), (2, 4), (0, 1)]
    assert broker.values("t") == [b"a", b"b", b"c", b"d"]


class RealBatches:
    """aiokafka's own batches, without a broker."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)


def test_a_batch_takes_many_rows_of_500_bytes_and_a_record_larger_than_a_batch_still_goes():
    large = Message(None, b"x" * (BATCH_BYTES + 1))

    found = _batches(RealBatches(), [*messages(*[b"r" * 500] * 250), large, *messages(b"y")])

    assert [count for _, count in found] == [250, 1, 1]
    data = bytes(found[1][0]._build())
    (record,) = DefaultRecordBatch(bytearray(data))
    assert record.value == large.value
