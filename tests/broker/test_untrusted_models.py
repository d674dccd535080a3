"""Only sound versions of the trainer's own come into force; what else stands on `models` silences nobody."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from features.layout import DAY_MS
from models.signing import HEADER, signature
from models.versions import records
from streams.processes import read_metrics
from streams.sending import Message
from tests.broker.brokers import KAFKA_IN_PROOF
from tests.broker.cluster import PATIENCE_SECONDS, cluster, run_shop
from tests.broker.hands import buy, part, put, seen, users
from tests.broker.leftovers import Outputs, trainer_of
from tests.broker.shop import START, shop_log
from tests.building import constant_models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.settings import Settings
    from tests.broker.brokers import Broker
    from tests.broker.cluster import WorkerProcess

pytestmark = pytest.mark.broker

SECRET = b"of the trainer"


@pytest.fixture(autouse=True)
def _signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURNWATCH_SIGNING_KEY", SECRET.decode())


def version(number: int, probability: float, secret: bytes = SECRET) -> Iterator[Message]:
    """The records of a version that gives everybody the same probability, signed with `secret` if any."""
    for key, value in records(constant_models(probability, number=number), {}):
        headers = ((HEADER, signature(key, value, secret)),) if secret else ()
        yield Message(key, value, headers)


def poisoned(number: int) -> Iterator[Message]:
    """A version, signed as it should be, with a weight that is no number."""
    for key, value, _ in version(number, 0.5):
        broken = (value or b"").replace(b'"intercept":0.0', b'"intercept":1e999')
        assert key.startswith(b"champion") or broken != value
        yield Message(key, broken, ((HEADER, signature(key, broken, SECRET)),))


@KAFKA_IN_PROOF
async def test_versions_that_are_unsigned_forged_or_hold_no_numbers_leave_the_models_in_force_to_speak(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path) as running:
        settings = running.settings
        outputs = await Outputs.follow(settings)
        await put(settings, "models", 0, list(version(1, 0.7)))
        worker = await running.start_worker()
        await worker.ready()
        bad = (*version(2, 0.01, b""), *version(3, 0.01, b"of somebody else"), *poisoned(4))
        await put(settings, "models", 0, bad)
        # All but the champion of the poisoned set: it waits for its version, and nobody asks for it.
        refused = len(bad) - 1
        await _until_refused(worker.page() or "", refused)
        await buy(settings, 0, 1)
        await running.consumed()
        await _complain(settings)
        await seen(outputs, lambda: bool(outputs.seen["churn-alerts"]))
        assert await worker.stop() == 0, worker.said()
        await outputs.consumer.stop()

    (alert,) = outputs.values()["churn-alerts"].values()
    assert (alert["model"]["version"], alert["probability"]) == (1, 0.7)
    said = worker.said()
    assert "the record is not signed" in said
    assert "the signature does not match the record" in said
    assert said.count("a model version was refused") == refused


async def _until_refused(page: str, count: int) -> None:
    async with asyncio.timeout(60):
        while True:
            found = await asyncio.to_thread(read_metrics, page)
            if found["churnwatch_refused_versions_total{}"] >= count:
                return
            await asyncio.sleep(0.1)


async def _complain(settings: Settings) -> None:
    (user,) = users(0, settings.kafka.partitions, 1)
    review = {
        "type": "review",
        "event_id": "r",
        "user_id": user,
        "ts": int(time.time() * 1000),
        "rating": 1,
    }
    await put(settings, "reviews", 0, [(user.encode(), msgspec.json.encode(review))])


@KAFKA_IN_PROOF
async def test_workers_take_what_their_trainer_signs(broker: Broker, tmp_path: Path) -> None:
    """In a replay every sweep waits for the version as of its time: unsigned ones would never come."""
    left = await run_shop(broker, tmp_path, shop_log(40, 8))

    assert left.state["trainer"]["labels"] > 0
    # Read as workers read it: without a signature it would be version 0 still.
    assert left.state["models"]["number"] > 5


async def until_trainer(worker: WorkerProcess) -> None:
    """Wait until the trainer has its place again; a worker is ready for its customers before."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while '"trainer":true' not in worker.said():  # noqa: ASYNC110 - a log sends no events
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_trainer_does_not_open_a_checkpoint_that_it_did_not_sign(
    broker: Broker, tmp_path: Path
) -> None:
    async with cluster(broker, tmp_path) as running:
        settings = running.settings
        messages = [(b"k", value) for number in (0, 1) for value in part(number, START + DAY_MS).messages()]
        await put(settings, "examples", 0, messages)
        path, learned = settings.worker.state_dir / "trainer.checkpoint", []
        for tampered in (False, False, True, False):
            if tampered:
                blob = path.read_bytes()
                path.write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))
            worker = await running.start_worker()
            await until_trainer(worker)
            metrics = await asyncio.to_thread(read_metrics, worker.page() or "")
            learned.append(metrics["churnwatch_labels_total{}"])
            assert await worker.stop() == 0, worker.said()
            said = "learning again from examples" in worker.said()
            assert said == tampered
        labels = trainer_of(settings)["labels"]

    # Once, and once more where it may not trust what it kept.
    assert learned == [10, 0, 10, 0]
    assert labels == 10
