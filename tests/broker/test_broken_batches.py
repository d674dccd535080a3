"""A batch that cannot be unpacked, met by a worker: its partition stands still, and an operator goes on."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from streams.processes import read_metrics
from streams.sending import Message
from streams.skips import SkipError, skip
from tests.broker.brokers import Embedded
from tests.broker.cluster import Cluster, WorkerProcess, cluster
from tests.broker.hands import SECONDS, buy, put, seen, users
from tests.broker.leftovers import Outputs
from tests.broker.shop import complaint
from tests.broker.trading import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker


def login(user: str, number: int) -> bytes:
    now = int(time.time() * 1000) - 10_000
    return json.dumps({"type": "login", "event_id": f"{user}-{number}", "user_id": user, "ts": now}).encode()


def built(user: str, numbers: range) -> bytearray:
    """A batch of logins, as a producer would send it."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
    for place, number in enumerate(numbers):
        headers = [("name", b"1")]
        builder.append(place, int(time.time() * 1000), user.encode(), login(user, number), headers)
    return builder.build()


def of_unknown_codec(batch: bytearray) -> bytearray:
    batch[22] = 7
    return signed(batch)


def with_wrong_checksum(batch: bytearray) -> bytearray:
    batch[-1] ^= 1
    return batch


def with_wrong_end(batch: bytearray) -> bytearray:
    """It claims to reach over all that follows, and its checksum knows nothing of that."""
    struct.pack_into(">i", batch, 23, 1_000)
    return batch


def with_broken_header_name(batch: bytearray) -> bytearray:
    batch[batch.index(b"name")] = 0xFF
    return signed(batch)


def signed(batch: bytearray) -> bytearray:
    struct.pack_into(">I", batch, 17, calc_crc32c(bytes(batch[21:])))
    return batch


async def produce(
    running: Cluster, partition: int, count: int, batch: bytearray, topic: str = "clickstream"
) -> None:
    """Send `batch` of `count` records to `topic` as it stands."""
    kafka = running.settings.kafka
    async with AIOKafkaProducer(**kafka.client_options()) as producer:
        sent = producer.create_batch()
        sent.close()
        sent._relative_offset, sent._buffer = count, batch
        await (await producer.send_batch(sent, kafka.topics()[topic], partition=partition))


async def problems(worker: WorkerProcess) -> list[str]:
    """What the page of readiness says."""
    address = f"{worker.page()}health/ready"
    async with aiohttp.ClientSession(trust_env=False) as session, session.get(address) as page:
        return list((await page.json())["problems"])


async def accepted(running: Cluster, topic: str = "clickstream") -> float:
    found = await asyncio.to_thread(read_metrics, running.workers[-1].page() or "")
    return found.get(f"churnwatch_events_total{{fate=accepted,topic={topic}}}", 0)


async def until_accepted(running: Cluster, count: int, topic: str = "clickstream") -> None:
    async with asyncio.timeout(SECONDS):
        while await accepted(running, topic) < count:  # noqa: ASYNC110 - another process has no events
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("breaking", [of_unknown_codec, with_wrong_checksum, with_wrong_end])
async def test_its_partition_stands_still_the_others_go_on_and_an_operator_passes_it_over_for_good(
    tmp_path: Path, breaking: Callable[[bytearray], bytearray]
) -> None:
    """Only the embedded broker takes such a batch; on Kafka disks make them."""
    async with cluster(Embedded(), tmp_path, partitions=2) as running:
        settings, topic = running.settings, running.settings.kafka.topics()["clickstream"]
        (poor,), (rich,) = (users(partition, 2, 1) for partition in (0, 1))
        outputs = await Outputs.follow(settings)
        worker = await running.start_worker()
        await worker.ready()
        await produce(running, 0, 2, built(poor, range(2)))
        await produce(running, 0, 3, breaking(built(poor, range(2, 5))))
        await produce(running, 0, 1, built(poor, range(5, 6)))
        await until_accepted(running, 2)
        await produce(running, 1, 4, built(rich, range(4)))
        await until_accepted(running, 6)

        (problem,) = await problems(worker)
        assert f"`churnwatch skip {topic} 0 2`" in problem
        assert await accepted(running) == 6
        assert f"skip {topic} 0 2" in worker.said()

        await skip(settings, "clickstream", 0, 2)
        await until_accepted(running, 7)
        assert await problems(worker) == []
        await seen(outputs, lambda: len(outputs.letters) == 1)
        assert await worker.stop() == 0, worker.said()

        # Who begins before it again passes it over by itself.
        again = await running.start_worker(host="another")
        await again.ready()
        await produce(running, 0, 1, built(poor, range(6, 7)))
        await until_accepted(running, 1)
        assert await again.stop() == 0, again.said()
        await outputs.consumer.stop()

    (letter,) = outputs.letters[:1]
    headers = dict(letter.headers)
    assert headers["reason"] == b"unreadable_batch"
    assert headers["origin"] == f"{topic}/0/2".encode()


async def test_triggers_that_waited_for_what_was_passed_over_are_answered_though_nothing_follows_it(
    tmp_path: Path,
) -> None:
    """What stands last on `customers` may be a withdrawal of consent, so they wait for it."""
    async with cluster(Embedded(), tmp_path, partitions=1, **EVERYBODY) as running:
        (user,) = users(0, 1, 1)
        outputs = await Outputs.follow(running.settings)
        worker = await running.start_worker()
        await worker.ready()
        await produce(running, 0, 2, with_wrong_checksum(built(user, range(2))), "customers")
        await buy(running.settings, 0, 1)
        complained = Message(user.encode(), complaint(user, int(time.time() * 1000)))
        await put(running.settings, "reviews", 0, [complained])
        await until_accepted(running, 1, "reviews")
        await asyncio.sleep(1.5)  # rounds of the partition's heartbeat
        await outputs.read()
        assert outputs.values()["churn-alerts"] == {}

        await skip(running.settings, "customers", 0, 0)
        await seen(outputs, lambda: bool(outputs.seen["churn-alerts"]))
        assert await worker.stop() == 0, worker.said()
        await outputs.consumer.stop()


async def test_a_header_whose_name_is_no_text_costs_its_record_alone(broker: Broker, tmp_path: Path) -> None:
    async with cluster(broker, tmp_path, partitions=1) as running:
        (user,) = users(0, 1, 1)
        outputs = await Outputs.follow(running.settings)
        worker = await running.start_worker()
        await worker.ready()
        await produce(running, 0, 5, with_broken_header_name(built(user, range(5))))
        await until_accepted(running, 4)
        await seen(outputs, lambda: bool(outputs.letters))
        assert await worker.stop() == 0, worker.said()
        await outputs.consumer.stop()

    (letter,) = outputs.letters
    assert dict(letter.headers)["reason"] == b"invalid_utf8"
    assert (letter.key, json.loads(letter.value)["event_id"]) == (user.encode(), f"{user}-0")


async def test_what_is_not_there_cannot_be_passed_over(tmp_path: Path) -> None:
    async with cluster(Embedded(), tmp_path, partitions=2) as running:
        await produce(running, 0, 2, built("ada", range(2)))
        for place, fault in (
            (("decisions", 0, 0), "they read clickstream, orders"),
            (("clickstream", 2, 0), "has partitions 0 to 1"),
            (("clickstream", 0, 2), "holds offsets 0 to 1, and not 2"),
        ):
            with pytest.raises(SkipError, match=fault):
                await skip(running.settings, *place)
