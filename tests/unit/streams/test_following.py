"""Who follows an internal topic passes over what cannot be unpacked, says so, and goes on."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiokafka.errors import KafkaError

from models.versions import records as version_records
from streams import audit, replay
from streams.control import Announcement, encode
from streams.following import Follower, Place
from streams.patience import Patience
from streams.progress import Progress, ProgressBoard
from streams.session import ReplayStalledError
from streams.skips import Skip
from streams.stopping import cancelled
from tests.building import constant_models
from tests.fakes import FakeBroker, FakeConsumer, metric
from tests.shell import context_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from streams.context import Context


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    yield task
    await cancelled(task)
    with suppress(asyncio.CancelledError):
        task.result()


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not what():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_all_that_stands_there_is_taken_before_it_is_loaded_and_what_comes_after_it(broker: FakeBroker):
    log, heard = broker.logs["topic", 0], []
    for number in range(7):
        log.append(b"k", str(number).encode())
    follower = Follower("topic", {}, lambda: heard.append("lost"))

    async with beside(
        follower.follow(lambda r: heard.append(r.value), loaded=lambda: heard.append("loaded"))
    ):
        await until(lambda: "loaded" in heard)
        log.append(b"k", b"7")
        await until(lambda: b"7" in heard)

    assert heard == [*(str(n).encode() for n in range(7)), "loaded", b"7"]


async def test_a_broken_batch_is_passed_over_counted_and_said_at_the_start_in_the_midst_and_at_the_end(
    broker: FakeBroker, caplog: pytest.LogCaptureFixture
):
    log, heard, lost = broker.logs["topic", 0], [], []
    log.spoil(3)
    log.append(b"k", b"a")
    log.spoil()
    log.append(b"k", b"b")
    log.spoil(2)
    follower = Follower("topic", {}, lambda: lost.append(1))

    with caplog.at_level(logging.ERROR):
        async with beside(follower.follow(lambda r: heard.append(r.value), loaded=lambda: heard.append(b""))):
            await until(lambda: b"" in heard)

    assert (heard, len(lost)) == ([b"a", b"b", b""], 3)
    places = [record.fields["why"].split(" cannot")[0] for record in caplog.records]
    assert places == [f"the record batch at topic/0/{offset}" for offset in (0, 4, 6)]


async def test_after_each_poll_it_tells_whether_it_stands_at_the_end(broker: FakeBroker):
    places = []

    async def look(place: Place) -> None:
        places.append(await place.is_end())

    broker.logs["topic", 0].append(b"k", b"a")
    async with beside(Follower("topic", {}, lambda: None).follow(lambda _: None, after_poll=look)):
        await until(lambda: len(places) > 3)

    assert all(places)


async def test_a_broker_that_is_away_is_waited_for_where_there_is_patience(broker: FakeBroker):
    broker.down, heard = True, []
    broker.logs["topic", 0].append(b"k", b"a")
    with pytest.raises(KafkaError):
        await Follower("topic", {}, lambda: None).follow(lambda _: None)

    patience = Patience()
    follower = Follower("topic", {}, lambda: None)
    async with beside(follower.follow(lambda r: heard.append(r.value), patience=patience)):
        await until(lambda: patience.waiting == ["topic"])
        broker.down = False
        await until(lambda: heard == [b"a"])


SKIP = msgspec.json.encode(Skip(topic="orders", partition=0, offset=5, said_by="eve", said_at=1))


@pytest.mark.parametrize(
    ("topic", "follow", "value", "is_known"),
    [
        (
            "control",
            lambda context: context.sessions.follow(context.patience),
            encode(Announcement("new", "open")),
            lambda context: context.sessions.standing.last == "new",
        ),
        (
            "skips",
            lambda context: context.skips.follow(context.patience),
            SKIP,
            lambda context: bool(context.skips._said),
        ),
    ],
)
async def test_a_worker_hears_what_is_said_behind_a_broken_batch(
    broker: FakeBroker,
    tmp_path: Path,
    topic: str,
    follow: Callable[[Context], Coroutine[Any, Any, None]],
    value: bytes,
    is_known: Callable[[Context], bool],
):
    context = context_of(broker, tmp_path)
    log = broker.logs[context.topics[topic], 0]
    log.spoil()
    log.append(b"k", value)

    async with beside(follow(context)):
        await until(lambda: is_known(context))

    assert metric(context.metrics.registry, "lost_batches_total", topic=topic) == 1


async def test_models_behind_a_broken_batch_come_into_force(broker: FakeBroker, tmp_path: Path):
    context = context_of(broker, tmp_path)
    log = broker.logs[context.topics["models"], 0]
    log.spoil()
    for key, value in version_records(constant_models(0.5, number=3), {}):
        log.append(key, value)

    async with beside(context.models.follow(context.patience)):
        await until(lambda: context.models.current.number == 3)

    assert metric(context.metrics.registry, "lost_batches_total", topic="models") == 1
    assert metric(context.metrics.registry, "refused_versions_total") == 1


async def test_a_worker_starts_though_a_batch_of_the_audit_is_broken(broker: FakeBroker, tmp_path: Path):
    context = context_of(broker, tmp_path)
    log = broker.logs[context.topics["audit"], 0]
    log.spoil()
    log.append(b"k", msgspec.json.encode(audit.entry_of(context.settings, 1)))
    before = log.end

    await audit.note_mode(context)

    assert log.end == before, "it is known in which mode it was"
    assert metric(context.metrics.registry, "lost_batches_total", topic="audit") == 1


async def test_a_replayer_hears_what_partitions_say_behind_a_broken_batch(broker: FakeBroker):
    board = ProgressBoard(1)
    log = broker.logs["progress", 0]
    log.spoil()
    log.append(b"k", msgspec.json.encode(Progress("swept", 0, 0, 7)))

    async with replay._following("progress", {}, board):
        await until(lambda: board.swept() == {0: 7})


async def test_a_replay_whose_progress_cannot_be_followed_ends_at_once_and_says_why(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
):
    async def refused(*_: Any, **__: Any) -> dict[Any, Any]:
        raise KafkaError("not allowed to read")

    async def replays() -> None:
        async with replay._following("progress", {}, ProgressBoard(1)):
            monkeypatch.setattr(FakeConsumer, "getmany", refused)
            await asyncio.sleep(60)

    with pytest.raises(ReplayStalledError, match="cannot be followed any more: KafkaError: not allowed"):
        await replays()

    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_who_is_cancelled_while_following_is_cancelled(broker: FakeBroker):
    async def replays() -> None:
        async with replay._following("progress", {}, ProgressBoard(1)):
            await asyncio.sleep(60)

    running = asyncio.create_task(replays())
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()
