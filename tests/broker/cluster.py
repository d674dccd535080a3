"""Worker processes that can be killed, on any broker, and a run of the small shop through them."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from features.layout import TOPICS
from streams.processes import environment, is_ready
from streams.replay import Replayer, replaying
from streams.settings import Settings, load
from tests.broker.leftovers import Left, Outputs, state_of
from tests.broker.shop import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from streams.sources import SourceEvent
    from tests.broker.brokers import Broker

    #: What befalls a cluster while something is replayed through it.
    Trouble = Callable[["Cluster", Replayer], Awaitable[None]]

#: Only a hang takes longer: on a busy machine a worker may take a minute to start.
PATIENCE_SECONDS: Final = 240.0
WORKER: Final = ("-m", "streams.cli", "worker")


def shop_settings(folder: Path, partitions: int = 2, **changes: dict[str, Any]) -> Settings:
    """Settings under which the small shop lives a full life: labels after 5 days, evictions after 20.

    Topics and group have a name of their own, since others may use the broker. `changes` are other settings
    by section.
    """
    name = f"test-{uuid.uuid4().hex[:8]}"
    sections: dict[str, dict[str, Any]] = {
        "kafka": {
            "topic_prefix": f"{name}.",
            "group": name,
            "partitions": partitions,
            "commit_interval_seconds": 0.2,
        },
        "model": {
            "horizon_days": 5,
            "every_days": 1,
            "active_within_days": 12,
            "grid_anchor": datetime.fromtimestamp(START / 1000, UTC).date(),
            "min_labels": 100,
            "evict_after_days": 20,
            # None of River's: to load it takes longer than all else that a worker does at its start.
            # Storms have all learners.
            "contenders": ["additive", "second_order", "return_probability"],
        },
        "alerting": {"medium": 0.5, "high": 0.6, "critical": 0.75},
        "interventions": {
            "mode": "live",
            "publish_rehearsals": True,
            "assume_consent": ["coupon"],
            "timezone": "UTC",
        },
        "worker": {
            "state_dir": folder / "state",
            "http_port": 0,
            "checkpoint_bytes": 64 << 10,
            "checkpoint_ratio": 0.0,
        },
    }
    return load(None, **{name: section | changes.get(name, {}) for name, section in sections.items()})


class WorkerProcess:
    """A worker in a process of its own. `program` are the arguments of the interpreter."""

    def __init__(self, settings: Settings, folder: Path, program: tuple[str, ...] = WORKER) -> None:
        self.log = folder / "worker.log"
        self.settings = settings
        self._program = program
        self._child: asyncio.subprocess.Process | None = None
        self._began = 0

    @property
    def child(self) -> asyncio.subprocess.Process:
        assert self._child is not None, "not started"
        return self._child

    async def start(self) -> None:
        self._began = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *self.command(), env=environment(self.settings), stdout=log, stderr=log
            )

    def command(self, *options: str) -> list[str]:
        """How such a process is started."""
        return [sys.executable, *self._program, *options]

    async def ready(self, seconds: float = 120.0) -> None:
        """Wait until the worker says that it is ready."""
        end = time.monotonic() + seconds
        while (page := self.page()) is None or not await asyncio.to_thread(is_ready, page):
            assert self.child.returncode is None, f"the worker ended:\n{self.said()}"
            assert time.monotonic() < end, f"the worker is not ready:\n{self.said()}"
            await asyncio.sleep(0.05)

    def page(self) -> str | None:
        """Address of the worker's page, once it has said so."""
        for line in self.said().splitlines():
            if '"answering"' in line:
                return f"http://127.0.0.1:{orjson.loads(line)['port']}/"
        return None

    def said(self) -> str:
        """What this process has logged."""
        with self.log.open("rb") as log:
            log.seek(self._began)
            return log.read().decode(errors="replace")

    async def kill(self) -> None:
        """SIGKILL: nothing can be tidied up."""
        self.child.send_signal(signal.SIGKILL)
        await self.child.wait()

    async def stop(self) -> int:
        """A graceful stop; the exit code."""
        if self.child.returncode is None:
            self.child.terminate()
        # The grace period of docs/operations.md.
        return await asyncio.wait_for(self.child.wait(), 60)

    async def ended(self, seconds: float = 400.0) -> int:
        """Wait for an end of its own accord; the exit code, negative for a signal."""
        return await asyncio.wait_for(self.child.wait(), seconds)


@dataclass
class Cluster:
    """The settings that reach a broker, and the workers that were started on it."""

    settings: Settings
    folder: Path
    workers: list[WorkerProcess] = field(default_factory=list)

    async def start_worker(
        self, program: tuple[str, ...] = WORKER, host: str = "", **kafka: Any
    ) -> WorkerProcess:
        """A new worker process, not waited for. Workers of different `host` share no state directory.

        `kafka` are settings of that section which it does not share with the others.
        """
        folder = self.folder / host
        folder.mkdir(exist_ok=True)
        sections = {
            "worker": self.settings.worker.model_copy(update={"state_dir": folder / "state"}),
            "kafka": self.settings.kafka.model_copy(update=kafka),
        }
        worker = WorkerProcess(self.settings.model_copy(update=sections), folder, program)
        await worker.start()
        self.workers.append(worker)
        return worker

    async def consumed(self) -> None:
        """Wait until the workers have acknowledged everything on the input topics."""
        kafka = self.settings.kafka
        topics = kafka.topics()
        tps = [TopicPartition(topics[name], p) for name in TOPICS for p in range(kafka.partitions)]
        async with AIOKafkaConsumer(
            **kafka.client_options(), group_id=kafka.group, enable_auto_commit=False
        ) as group:
            group.assign(tps)
            ends = {tp: end for tp, end in (await group.end_offsets(tps)).items() if end}
            while ends:
                up = [worker for worker in self.workers if worker.child.returncode is None]
                assert up, self.workers[-1].said()
                ends = {tp: end for tp, end in ends.items() if (await group.committed(tp) or 0) < end}
                await asyncio.sleep(0.02)

    async def guard(self, trouble: Trouble | None, replayer: Replayer) -> None:
        """Make the trouble; then fail as soon as a worker ends. Runs until cancelled."""
        if trouble is not None:
            await trouble(self, replayer)
        code = await self.workers[-1].child.wait()
        raise AssertionError(f"the worker ended with {code}:\n{self.workers[-1].said()}")

    async def stop(self) -> None:
        """Stop gracefully what still runs."""
        for worker in self.workers:
            if worker.child.returncode is None:
                assert await worker.stop() == 0, worker.said()


@asynccontextmanager
async def cluster(
    broker: Broker, folder: Path, partitions: int = 2, **changes: dict[str, Any]
) -> AsyncIterator[Cluster]:
    """A cluster without workers, with `changes` to the shop's settings; ends all workers in the end."""
    # Short, because a restarted worker waits for the session of its dead self.
    session = {"session_timeout_seconds": broker.session_seconds}
    changes["kafka"] = session | changes.get("kafka", {})
    settings = shop_settings(folder, partitions, **changes)
    async with broker.hosting(settings.kafka.topics()) as bootstrap:
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": bootstrap})
        found = Cluster(settings.model_copy(update={"kafka": kafka}), folder)
        try:
            yield found
        finally:
            for each in found.workers:
                if each.child.returncode is None:
                    await each.kill()


async def run_shop(
    broker: Broker,
    folder: Path,
    log: list[SourceEvent],
    *,
    partitions: int = 2,
    program: tuple[str, ...] = WORKER,
    trouble: Trouble | None = None,
    patience: float = PATIENCE_SECONDS,
    **changes: dict[str, Any],
) -> Left:
    """Replay `log` through one worker, started as `program`, with `trouble` going on meanwhile."""
    async with cluster(broker, folder, partitions, **changes) as running:
        await running.start_worker(program)
        outputs = await Outputs.follow(running.settings)
        try:
            async with (
                # The worker is still on its way.
                replaying(running.settings, patience, patience) as replayer,
                asyncio.TaskGroup() as tasks,
            ):
                guard = tasks.create_task(running.guard(trouble, replayer))
                # Kafka keeps everything, and may be away in the midst.
                await replayer.run(log, after_interval=None if broker.is_real else outputs.read)
                guard.cancel()
            await running.stop()
            await outputs.read()
        finally:
            await outputs.consumer.stop()
        return Left(await state_of(running.settings), outputs, running.workers)
