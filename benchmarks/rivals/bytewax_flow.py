"""The job on Bytewax: Kafka source, `stateful_batch` keyed by user, SQLite recovery store, Kafka sink.

The best of the few configurations tried (docs/performance.md): `stateful_batch` with a state object that
stays in memory and is packed only for the snapshot of an epoch (`stateful_map` deep-copies it), a whole
batch decoded in one step, one worker. An epoch of 5 s writes a user's row once however often it changed
in between.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.rivals import job
from benchmarks.rivals.events import Event, decode
from benchmarks.rivals.tally import Tally, Task, relax_gc, task_from_arguments

if TYPE_CHECKING:
    from collections.abc import Iterable

EPOCH = timedelta(seconds=5)
BATCH = 5_000


class User(StatefulBatchLogic[Event, KafkaSinkMessage[bytes, bytes], bytes]):
    """One user's profile, judged once for each batch that holds events of theirs."""

    def __init__(self, packed: bytes | None, tally: Tally) -> None:
        self.profile = None if packed is None else job.unpack(packed)
        self.tally = tally
        tally.users += 1

    def on_batch(self, values: list[Event]) -> tuple[Iterable[KafkaSinkMessage[bytes, bytes]], bool]:
        """Count the events and score once."""
        if self.profile is None:
            self.profile = job.new_profile(values[0].ts)
        profile, fresh = self.profile, None
        for event in values:
            if job.observe(profile, event):
                fresh = event
            else:
                self.tally.duplicates += 1
        alert = job.judge(profile, fresh) if fresh is not None else None
        if alert is None:
            return (), self.RETAIN
        self.tally.alerts += 1
        return (KafkaSinkMessage(fresh.user_id.encode(), alert),), self.RETAIN

    def snapshot(self) -> bytes:
        """The profile as bytes, which nothing can change after."""
        return job.pack(self.profile)


def build(task: Task, tally: Tally) -> Dataflow:
    """The dataflow, which ends at the end of the topics."""

    def decode_all(batch: list[KafkaSourceMessage[bytes, bytes]]) -> list[tuple[str, Event]]:
        tally.arrived(len(batch))
        decoded = []
        for message in batch:
            try:
                event = decode(message.value)
            except msgspec.DecodeError:
                tally.rejected += 1
                continue
            decoded.append((event.user_id, event))
        return decoded

    flow = Dataflow("bench")
    brokers = [task.bootstrap]
    quiet = {"statistics.interval.ms": "0"}
    source = KafkaSource(brokers, task.topics, tail=False, batch_size=BATCH, add_config=quiet)
    records = op.input("in", flow, source)
    events = op.flat_map_batch("decode", records, decode_all)
    alerts = op.stateful_batch("users", events, lambda packed: User(packed, tally))
    op.output("out", op.key_rm("unkey", alerts), KafkaSink(brokers, task.alerts_topic))
    return flow


def main() -> None:
    """Run one task to its end."""
    relax_gc()
    task = task_from_arguments()
    tally = Tally(task.events)
    task.state_dir.mkdir(parents=True, exist_ok=True)
    init_db_dir(task.state_dir, 1)
    cli_main(build(task, tally), epoch_interval=EPOCH, recovery_config=RecoveryConfig(task.state_dir))
    tally.report()


if __name__ == "__main__":
    main()
