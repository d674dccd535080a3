"""The job on stock faust-streaming: one agent over the three topics, a table in memory with its changelog.

The best of the few configurations tried (docs/performance.md): raw keys and values with msgspec in
between, the table in memory (RocksDB cost more; the changelog makes either durable), large buffers and
producer batches, no waiting for the buffer to drain. uvloop is used too, without a gain that was proved.
No web server, no standby.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import faust
import msgspec

from benchmarks.rivals import job
from benchmarks.rivals.events import decode
from benchmarks.rivals.tally import Tally, Task, relax_gc, task_from_arguments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def build(task: Task, tally: Tally, done: asyncio.Event) -> faust.App:
    """The application; `done` is set when the task's last event was handled."""
    app = faust.App(
        task.group,
        broker=f"kafka://{task.bootstrap}",
        store="memory://",
        datadir=str(task.state_dir),
        topic_partitions=task.partitions,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        table_standby_replicas=0,
        stream_wait_empty=False,
        stream_buffer_maxsize=16_384,
        broker_max_poll_records=5_000,
        broker_commit_every=50_000,
        producer_linger=0.02,
        producer_max_batch_size=1 << 20,
        web_enabled=False,
    )
    raw = {"key_serializer": "raw", "value_serializer": "raw"}
    events = app.topic(*task.topics, key_type=bytes, value_type=bytes, **raw)
    alerts = app.topic(task.alerts_topic, key_type=bytes, value_type=bytes, **raw)
    profiles = app.Table("profiles", key_type=bytes, value_type=bytes, partitions=task.partitions)

    @app.agent(events)
    async def observe(stream: faust.Stream[bytes]) -> None:
        items: AsyncIterator[tuple[bytes, bytes]] = stream.items()
        async for key, value in items:
            await handle(key, value)
            if tally.arrived():
                done.set()

    async def handle(key: bytes, value: bytes) -> None:
        try:
            event = decode(value)
        except msgspec.DecodeError:
            tally.rejected += 1
            return
        packed = profiles.get(key)
        if packed is None:
            tally.users += 1
            profile = job.new_profile(event.ts)
        else:
            profile = job.unpack(packed)
        if not job.observe(profile, event):
            tally.duplicates += 1
            return
        profiles[key] = job.pack(profile)
        alert = job.judge(profile, event)
        if alert is not None:
            tally.alerts += 1
            await alerts.send(key=key, value=alert)

    return app


async def run(task: Task) -> None:
    """Run one task to its end: all changelog rows confirmed, then offsets committed."""
    tally, done = Tally(task.events), asyncio.Event()
    app = build(task, tally, done)
    await app.start()
    await done.wait()
    await app.producer.flush()
    await app.consumer.commit()
    tally.report()
    # Faust's own shutdown waits for seconds on its services and measures nothing.
    os._exit(0)


def main() -> None:
    """Run one task on uvloop, as `faust -L uvloop worker` would."""
    import uvloop  # noqa: PLC0415 - only this script's environment has it

    relax_gc()
    uvloop.run(run(task_from_arguments()))


if __name__ == "__main__":
    main()
