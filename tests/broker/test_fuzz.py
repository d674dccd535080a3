"""Whatever comes: no crash, a dead letter for everything that is no event, and every event counted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, get_args

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from features.hashing import partition_of
from features.rejection import Reason
from streams.deadletters import KEPT_BYTES
from streams.reading import read_core
from streams.sending import Message, Sender
from tests.broker.brokers import KAFKA_IN_PROOF
from tests.broker.cluster import Cluster, cluster
from tests.broker.hands import last_words
from tests.broker.leftovers import Outputs
from tests.strategies import Fuzzed, fuzz_corpus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from streams.settings import Settings
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

#: In flight for one partition of a topic: the embedded broker forgets what lies 5 MiB back.
WAVE_BYTES: Final = 2_500_000
#: Counter of a customer's record by type of event.
COUNTED: Final = {"purchase": "orders", "refund": "refunds", "search": "searches", "review": "reviews"}


class Sent:
    """What was produced: dead letters that must come, by origin, and events that must count, by type."""

    def __init__(self, settings: Settings) -> None:
        self.partitions = settings.kafka.partitions
        self.topics = settings.kafka.topics()
        self.hostile: dict[str, Fuzzed] = {}
        self.valid: Counter[str] = Counter()

    def partition(self, record: Fuzzed) -> int:
        return 0 if record.key is None else partition_of(record.key, self.partitions)

    async def send(self, sender: Sender, wave: list[Fuzzed]) -> None:
        """Send a wave and note where every record lies."""
        places: dict[tuple[str, int], list[Fuzzed]] = {}
        for record in wave:
            places.setdefault((record.topic, self.partition(record)), []).append(record)
        for (logical, partition), records in places.items():
            topic = self.topics[logical]
            messages = [Message(record.key, record.value) for record in records]
            sent = await sender.send(topic, partition, messages)
            assert sent is not None
            for offset, record in enumerate(records, sent[0]):
                if record.expected_valid:
                    assert record.value is not None
                    self.valid[json.loads(record.value)["type"]] += 1
                else:
                    self.hostile[f"{topic}/{partition}/{offset}"] = record


def waves(corpus: Iterable[Fuzzed], sent: Sent) -> Iterator[list[Fuzzed]]:
    """The corpus in pieces that no partition is too small for."""
    wave: list[Fuzzed] = []
    sizes: Counter[tuple[str, int]] = Counter()
    for record in corpus:
        place = (record.topic, sent.partition(record))
        size = 100 + len(record.value or b"")
        if sizes[place] + size > WAVE_BYTES:
            yield wave
            wave, sizes = [], Counter()
        sizes[place] += size
        wave.append(record)
    yield wave


def producer(settings: Settings) -> AIOKafkaProducer:
    """One that lets a megabyte through."""
    mebibyte = 1 << 20
    return AIOKafkaProducer(
        **settings.kafka.client_options(), max_request_size=2 * mebibyte, max_batch_size=mebibyte
    )


async def fuzzed(
    broker: Broker, folder: Path, corpus: Iterable[Fuzzed]
) -> tuple[Cluster, Sent, Outputs, Counter[str]]:
    """Send `corpus` past a worker; (its cluster, stopped; what was sent; what came out; fates of events)."""
    # Nobody restarts here, so nobody needs to be missed soon.
    patient = {"session_timeout_seconds": 10}
    async with cluster(
        broker, folder, kafka=patient, worker={"max_dead_share": 1.0, "idle_after_seconds": 3600}
    ) as running:
        worker = await running.start_worker()
        sent, outputs = Sent(running.settings), await Outputs.follow(running.settings)
        async with producer(running.settings) as started:
            for wave in waves(corpus, sent):
                await sent.send(Sender(started, 60), wave)
                await running.consumed()
                await outputs.read()
        fates = await asyncio.to_thread(_fates, worker.page() or "")
        await running.stop()
        await outputs.read()
        await outputs.consumer.stop()
        counted = await _counted(running.settings)
        return running, sent, outputs, fates + counted


def _fates(page: str) -> Counter[str]:
    with urllib.request.urlopen(f"{page}metrics") as answer:
        text = answer.read().decode()
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "churnwatch_events_total":
                found[sample.labels["fate"]] += int(sample.value)
    return found


async def _counted(settings: Settings) -> Counter[str]:
    found: Counter[str] = Counter()
    for partition in range(settings.kafka.partitions):
        table = (await read_core(settings, partition)).table
        for name in COUNTED.values():
            found[name] += int(table.rows[name][table.live_slots()].sum())
    return found


@pytest.mark.parametrize("records", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_every_fuzzed_message_is_a_dead_letter_or_counts(
    broker: Broker, records: int, tmp_path: Path
) -> None:
    _, sent, outputs, found = await fuzzed(broker, tmp_path, fuzz_corpus(7, records))

    assert len(sent.hostile) > records * 0.4
    assert found["accepted"] == sent.valid.total()
    assert (found["late"], found["duplicate"], found["erased"]) == (0, 0, 0)
    assert {kind: found[name] for kind, name in COUNTED.items()} == {
        kind: sent.valid[kind] for kind in COUNTED
    }
    letters = {dict(letter.headers)["origin"].decode(): letter for letter in outputs.letters}
    assert len(letters) == len(outputs.letters)
    assert letters.keys() == sent.hostile.keys()
    for origin, letter in letters.items():
        _check_letter(letter, sent.hostile[origin])


def _check_letter(letter: Any, original: Fuzzed) -> None:
    headers = {name: value.decode() for name, value in letter.headers}
    value = original.value or b""
    assert headers["reason"] in get_args(Reason)
    assert headers["length"] == str(len(value))
    assert headers["sha256"] == hashlib.sha256(value).hexdigest()
    assert letter.value == value[:KEPT_BYTES]


@KAFKA_IN_PROOF
async def test_a_flood_of_junk_stops_the_worker_also_when_it_is_restarted_until_it_is_let_through(
    broker: Broker, tmp_path: Path
) -> None:
    junk = [Fuzzed("orders", b"u", b"junk", expected_valid=False)] * 300
    async with cluster(
        broker, tmp_path, worker={"max_dead_share": 0.5, "dead_letter_window": 200}
    ) as running:
        outputs = await Outputs.follow(running.settings)
        worker = await running.start_worker()
        await worker.ready()
        async with producer(running.settings) as started:
            await Sent(running.settings).send(Sender(started, 60), junk)
        said = [await last_words(worker)]
        # As an orchestrator would: nothing is gained by it, and nothing lost.
        said.append(await last_words(await running.start_worker()))
        await outputs.read()
        taken = len(outputs.letters)
        share = running.settings.worker.model_copy(update={"max_dead_share": 1.0})
        running.settings = running.settings.model_copy(update={"worker": share})
        worker = await running.start_worker()
        await worker.ready()
        await running.consumed()
        assert await worker.stop() == 0, worker.said()
        await outputs.read()
        await outputs.consumer.stop()

    for line in said:
        assert re.match(r"Error: \d+ of the last \d+ records of orders were refused, more than 50%: ", line)
        assert "raise worker.max_dead_share" in line
    assert taken < 200
    assert len(outputs.letters) == 300
