"""What the embedded broker can and cannot do; the limits that `streams/broker.py` states are pinned here."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.broker import PARTITION_BYTES, BrokerError, EmbeddedBroker
from streams.topic_admin import TopicsError, check, create
from streams.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.broker

_ORDERS = TopicPartition("orders", 0)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker({"orders": 3}) as running:
        yield running


@pytest.fixture
async def producer(broker: EmbeddedBroker) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, enable_idempotence=True, max_batch_size=2**20
    ) as started:
        yield started


@pytest.fixture
async def consumer(broker: EmbeddedBroker) -> AsyncIterator[AIOKafkaConsumer]:
    async with AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
    ) as started:
        yield started


async def _join(broker: EmbeddedBroker, session_ms: int = 2000) -> AIOKafkaConsumer:
    member = AIOKafkaConsumer(
        "orders",
        bootstrap_servers=broker.bootstrap,
        group_id="g",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=100,
        fetch_max_wait_ms=20,
    )
    await member.start()
    return member


async def test_a_record_comes_back_with_key_headers_and_timestamp(
    producer: AIOKafkaProducer, consumer: AIOKafkaConsumer
) -> None:
    await producer.send_and_wait(
        "orders", b"v", key=b"u1", headers=[("ce_id", b"7")], timestamp_ms=852_120_000_000, partition=2
    )
    consumer.assign([TopicPartition("orders", 2)])

    record = await consumer.getone()

    assert (record.key, record.value, record.offset) == (b"u1", b"v", 0)
    assert list(record.headers) == [("ce_id", b"7")]
    assert record.timestamp == 852_120_000_000


async def test_earliest_and_latest_offsets_are_known_per_partition(
    producer: AIOKafkaProducer, consumer: AIOKafkaConsumer
) -> None:
    for _ in range(3):
        await producer.send_and_wait("orders", b"v", partition=0)
    both = [_ORDERS, TopicPartition("orders", 1)]

    assert list((await consumer.beginning_offsets(both)).values()) == [0, 0]
    assert list((await consumer.end_offsets(both)).values()) == [3, 0]


async def test_a_member_that_comes_back_goes_on_at_its_committed_offset(
    broker: EmbeddedBroker, producer: AIOKafkaProducer
) -> None:
    for number in range(4):
        await producer.send_and_wait("orders", b"%d" % number, partition=0)
    member = await _join(broker)
    await member.getone()
    await member.commit({_ORDERS: 3})
    await member.stop()

    again = await _join(broker)
    record = await again.getone()
    await again.stop()

    assert record.offset == 3


async def test_the_first_member_of_a_group_has_its_partitions_within_a_second(broker: EmbeddedBroker) -> None:
    started = time.monotonic()
    member = await _join(broker)
    assigned = member.assignment()
    await member.stop()

    assert len(assigned) == 3
    assert time.monotonic() - started < 1


async def test_a_partition_keeps_its_newest_5_mib_as_stored(
    producer: AIOKafkaProducer, consumer: AIOKafkaConsumer
) -> None:
    sent, size = 12, 900_000
    for _ in range(sent):
        await producer.send_and_wait("orders", os.urandom(size), partition=0)

    begin = (await consumer.beginning_offsets([_ORDERS]))[_ORDERS]

    assert sent - begin == PARTITION_BYTES // size


async def test_of_two_batches_that_exceed_5_mib_together_even_the_newer_is_lost(
    broker: EmbeddedBroker, consumer: AIOKafkaConsumer
) -> None:
    half = PARTITION_BYTES // 2
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, max_batch_size=2 * half, max_request_size=2 * half
    ) as careless:
        for _ in range(2):
            await careless.send_and_wait("orders", bytes(half), partition=0)

    assert await consumer.beginning_offsets([_ORDERS]) == {_ORDERS: 2}


async def test_compressed_batches_count_compressed(
    broker: EmbeddedBroker, consumer: AIOKafkaConsumer
) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, compression_type="gzip", max_batch_size=2**20
    ) as compressing:
        for _ in range(12):
            await compressing.send_and_wait("orders", b"{'type':'purchase'}" * 45_000, partition=0)

    assert await consumer.beginning_offsets([_ORDERS]) == {_ORDERS: 0}


async def test_a_waiting_fetch_is_not_woken_by_a_new_record(
    broker: EmbeddedBroker, producer: AIOKafkaProducer
) -> None:
    async with AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=600
    ) as patient:
        patient.assign([_ORDERS])
        waiting = asyncio.ensure_future(patient.getone())
        await asyncio.sleep(0.2)
        sent = time.monotonic()
        await producer.send_and_wait("orders", b"v", partition=0)
        await waiting

    assert time.monotonic() - sent > 0.25


async def test_asking_for_an_unknown_topic_by_name_creates_it_with_four_partitions(
    broker: EmbeddedBroker,
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    (described,) = await admin.describe_topics(["surprise"])
    await admin.close()

    assert len(described["partitions"]) == 4


async def test_a_topic_can_be_added_while_it_runs_but_only_once(broker: EmbeddedBroker) -> None:
    broker.create_topic("late", 2)

    with pytest.raises(BrokerError, match="topic late with 2 partitions was not created"):
        broker.create_topic("late", 2)


async def test_topics_cannot_be_created_through_the_protocol_and_the_message_says_so(
    broker: EmbeddedBroker,
) -> None:
    with pytest.raises(TopicsError, match="this broker cannot create topics"):
        await create(Topics(), {"bootstrap_servers": broker.bootstrap})


async def test_an_absent_broker_is_one_line_with_its_address() -> None:
    with pytest.raises(TopicsError, match=r"127\.0\.0\.1:1 "):
        await check(Topics(), {"bootstrap_servers": "127.0.0.1:1"})


async def test_a_requested_port_is_honoured_and_advertised() -> None:
    port = _free_port()
    with EmbeddedBroker({"orders": 1}, port=port) as broker:
        assert broker.bootstrap == f"127.0.0.1:{port}"
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as client:
            assert (await client.send_and_wait("orders", b"v")).offset == 0


def test_a_port_in_use_is_one_clear_line() -> None:
    with EmbeddedBroker({}) as first:
        port = int(first.bootstrap.rsplit(":", 1)[1])

        with pytest.raises(BrokerError, match=f"port {port} is not free"):
            EmbeddedBroker({}, port=port).start()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_broker_process_announces_itself_and_ends_cleanly_on_a_signal(
    tmp_path: Path, stop: signal.Signals
) -> None:
    bootstrap_file = tmp_path / "bootstrap"
    program = (
        "import sys; from pathlib import Path; from streams.broker import run_broker;"
        "run_broker(Path(sys.argv[1]), {'orders': 2})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(bootstrap_file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    printed = process.stdout.readline().strip()
    _await_file(bootstrap_file)

    assert bootstrap_file.read_text() == printed

    process.send_signal(stop)

    assert process.wait(timeout=10) == 0
    assert not bootstrap_file.exists()


def _await_file(path: Path) -> None:
    deadline = time.monotonic() + 5
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
