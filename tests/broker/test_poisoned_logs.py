"""What nobody should have written to our own logs, met by real workers: left out and told, or a clear end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer

from features import layout
from interventions import rows as ledger_rows
from interventions.rows import STATE_KEY, LedgerRow, Pending, encode_row, user_key
from interventions.rows import PartitionRow as LedgerPartitionRow
from models import rows as customer_rows
from models.rows import PARTITION_KEY, customer_key
from models.version_reader import VersionReader
from streams.processes import read_metrics
from streams.reading import read_core
from tests.broker.cluster import Cluster, cluster
from tests.broker.hands import SECONDS, buy, last_words, part, put, rows, seen, users
from tests.broker.leftovers import Outputs
from tests.broker.shop import START, purchase

if TYPE_CHECKING:
    from pathlib import Path

    from streams.sending import Header
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

GARBAGE = (
    (b"", b"no key"),
    (b"\xff\xfe", b"no kind that there is"),
    (b"u\xff\xfe", b"\xff"),
    (b"uada", b"\xff\xfe no row"),
    (b"uada", b""),
    (b"c" + bytes(10), b"\xff no piece of a cohort"),
    (b"c", b"no time"),
    (b"e123", b"no erasure"),
)


REFUSED = "churnwatch_broken_rows_total{table=examples}"
AS_OF = "churnwatch_model_as_of_timestamp_seconds{}"


async def metrics(running: Cluster) -> dict[str, float]:
    return await asyncio.to_thread(read_metrics, running.workers[-1].page() or "")


def headers(letter: object) -> dict[str, str]:
    found: tuple[Header, ...] = letter.headers  # type: ignore[attr-defined]
    return {name: value.decode() for name, value in found}


async def lived(running: Cluster) -> None:
    """A worker's short life: five customers in partition 0, who bought; it stops gracefully."""
    worker = await running.start_worker(host="old")
    await worker.ready()
    await buy(running.settings, 0, 5)
    await running.consumed()
    assert await worker.stop() == 0, worker.said()


async def test_rows_that_nobody_can_read_are_left_out_and_counted_and_their_partition_goes_on(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path) as running:
        settings = running.settings
        await lived(running)
        for table in ("customers", "ledger"):
            await put(settings, f"{table}-changelog", 0, GARBAGE)
        if broker.is_real:
            # The log ends with the marker of what never was, which no reader is ever given.
            await _abort(running, "customers-changelog")
        worker = await running.start_worker(host="new")
        await worker.ready()
        found = await metrics(running)
        await buy(settings, 0, 6, number=1)
        await running.consumed()
        assert await worker.stop() == 0, worker.said()
        settings.worker.state_dir.parent.joinpath("new/state").rename(settings.worker.state_dir)
        core = await read_core(settings, 0)

    # Of rows with one key only the last is looked at.
    aborted = int(broker.is_real)
    assert found["churnwatch_broken_rows_total{table=customers}"] == len(GARBAGE) - 1 + aborted
    assert found["churnwatch_broken_rows_total{table=ledger}"] > 0
    orders = {user: int(core.table.rows["orders"][slot]) for user, slot in core.table.index.items()}
    assert sorted(orders.values()) == [1, 2, 2, 2, 2, 2]


async def _abort(running: Cluster, topic: str) -> None:
    kafka = running.settings.kafka
    async with AIOKafkaProducer(**kafka.client_options(), transactional_id=kafka.group) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(kafka.topics()[topic], b"never", key=b"\xff", partition=0)
        await producer.abort_transaction()


@pytest.mark.slow
async def test_a_row_of_a_newer_release_stops_the_worker_with_what_to_do_until_it_is_gone(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path) as running:
        settings = running.settings
        await lived(running)
        (user, *_) = users(0, settings.kafka.partitions, 1)
        newer = {
            "customers-changelog": [
                (customer_key(user), bytes([layout.VERSION + 1]) + bytes(50)),
                (PARTITION_KEY, _newer_partition_row(dict(await rows(settings, "customers-changelog", 0)))),
            ],
            "ledger-changelog": [
                (user_key(user), b"u" + bytes([ledger_rows.VERSION + 1]) + msgspec.msgpack.encode([])),
                (STATE_KEY, b"p" + bytes([ledger_rows.VERSION + 1]) + msgspec.msgpack.encode([])),
            ],
        }
        said = []
        for topic, found in newer.items():
            before = dict(await rows(settings, topic, 0))
            for key, value in found:
                await put(settings, topic, 0, [(key, value)])
                said.append(await last_words(await running.start_worker(host=f"host{len(said)}")))
                await put(settings, topic, 0, [(key, before.get(key))])
        worker = await running.start_worker(host="last")
        await worker.ready()
        assert await worker.stop() == 0, worker.said()

    assert len(said) == 4
    for line in said:
        assert "changelog/0 cannot be recovered: " in line
        assert "upgrade" in line


def _newer_partition_row(found: dict[bytes, bytes | None]) -> bytes:
    row = msgspec.msgpack.decode(found[PARTITION_KEY] or b"")
    return msgspec.msgpack.encode(row | {"version": customer_rows.ROW_VERSION + 1})


async def test_a_stored_command_for_a_channel_that_this_release_does_not_know_is_a_dead_letter(
    broker: Broker, tmp_path: Path
) -> None:
    decision = b'{"alert_id":"a","status":"opened","tier":"high","ts":%d}' % START
    stored = (("decisions", decision), ("commands.pigeon", b'{"ts":1}'), ("commands.email", b"junk"))
    pending = Pending(seq=1, offset=0, outputs=stored, day=0, cost_micros=0, mark="live")
    async with cluster(broker, tmp_path) as running:
        settings = running.settings
        (user, *_) = users(0, settings.kafka.partitions, 1)
        ledger = [
            (user_key(user), encode_row(LedgerRow(stamp=0, pending=(pending,)))),
            (STATE_KEY, encode_row(LedgerPartitionRow(seq=1, offset=0))),
        ]
        await put(settings, "ledger-changelog", 0, ledger)
        outputs = await Outputs.follow(settings)
        worker = await running.start_worker()
        await worker.ready()
        await buy(settings, 0, 1)
        await running.consumed()
        await seen(outputs, lambda: len(outputs.letters) >= 2 and bool(outputs.seen["decisions"]))
        assert await worker.stop() == 0, worker.said()
        await outputs.consumer.stop()

    letters = [(headers(letter)["reason"], letter.key, letter.value) for letter in outputs.letters]
    assert letters == [
        ("unknown_channel", user.encode(), b'{"ts":1}'),
        ("malformed_json", user.encode(), b"junk"),
    ]
    assert "'commands.pigeon'" in headers(outputs.letters[0])["detail"]
    assert outputs.seen["decisions"] == {("a", "opened", "high"): {decision}}


async def test_examples_that_nobody_can_learn_from_are_dead_letters_and_the_rest_is_learned(
    broker: Broker, tmp_path: Path
) -> None:
    ts = START + layout.DAY_MS
    good, bad = (part(partition, ts) for partition in (0, 1))
    bad.matured[0].cohort.inputs[2, 3] = np.nan
    poison = [b"junk", b"", *bad.messages()]
    async with cluster(broker, tmp_path, partitions=2) as running:
        settings = running.settings
        outputs = await Outputs.follow(settings)
        await put(settings, "examples", 0, [(b"k", value) for value in (*poison, *good.messages())])
        for host in ("one", "another"):  # neither the first time nor when it learns anew does it stop
            worker = await running.start_worker(host=host)
            await worker.ready()
            async with asyncio.timeout(SECONDS):
                # The trainer learns beside: it is no part of readiness.
                while (found := await metrics(running)).get(REFUSED, 0) < 3 or found[AS_OF] < ts / 1000:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert await worker.stop() == 0, worker.said()
        versions = VersionReader()
        for key, value in await rows(settings, "models", 0):
            versions.read(key, value)
        await outputs.read()
        await outputs.consumer.stop()

    assert versions.latest is not None
    assert (versions.latest.as_of, versions.latest.labels) == (ts, 5)
    assert found[REFUSED] == 3
    letters = [headers(letter) for letter in outputs.letters[:3]]
    assert [letter["reason"] for letter in letters] == ["bad_example"] * 3
    assert [letter["origin"].rpartition("/")[2] for letter in letters] == ["0", "1", "3"]
    assert letters[2]["detail"] == "a vector that is not finite"


async def test_what_a_producer_aborted_never_counts_and_what_it_committed_does(
    broker: Broker, tmp_path: Path
) -> None:
    if not broker.is_real:
        pytest.skip("the embedded broker has no transactions")
    async with cluster(broker, tmp_path) as running:
        settings, kafka = running.settings, running.settings.kafka
        outputs = await Outputs.follow(settings)
        worker = await running.start_worker()
        await worker.ready()
        kept, dropped = users(0, kafka.partitions, 6), users(1, kafka.partitions, 6)
        async with AIOKafkaProducer(**kafka.client_options(), transactional_id=kafka.group) as producer:
            for keep, drop in zip(kept, dropped, strict=True):
                for user, committed in ((keep, True), (drop, False)):
                    await producer.begin_transaction()
                    await _send(producer, kafka.topics()["orders"], user, 0 if committed else 1)
                    if committed:
                        await producer.commit_transaction()
                        continue
                    await producer.send_and_wait(kafka.topics()["orders"], b"junk", partition=1)
                    await producer.abort_transaction()
        await _until_without_lag(running)
        assert await worker.stop() == 0, worker.said()
        await outputs.read()
        await outputs.consumer.stop()
        cores = [await read_core(settings, number) for number in range(kafka.partitions)]

    assert [sorted(core.table.index) for core in cores] == [sorted(kept), []]
    assert outputs.letters == []


async def _until_without_lag(running: Cluster) -> None:
    """Both logs end with markers, which are no lag: a worker that had some for long would be restarted."""
    places = [f"{{partition={p},topic=orders}}" for p in range(running.settings.kafka.partitions)]
    async with asyncio.timeout(SECONDS):
        while True:
            found = await metrics(running)
            if sum(found.get(f"churnwatch_consumer_lag_records{place}", 1) for place in places) == 0:
                return
            await asyncio.sleep(0.2)


async def _send(producer: AIOKafkaProducer, topic: str, user: str, partition: int) -> None:
    value = purchase(user, int(time.time() * 1000))
    await producer.send_and_wait(topic, value, key=user.encode(), partition=partition)
