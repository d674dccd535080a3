"""The job on Quix Streams: one concatenated stateful dataframe, RocksDB store, changelog topic.

Raw bytes in and out with msgspec in between, and state handed over as bytes, in place of its JSON. The
default checkpoint of 5 s writes a user's row once however often it changed in between. `concat` is what
gives the three topics one state; it also aligns them by record time, which this job does not need but
cannot switch off.
"""

from __future__ import annotations

from typing import Any

import msgspec
from quixstreams import Application, State

from benchmarks.rivals import job
from benchmarks.rivals.events import decode
from benchmarks.rivals.tally import Tally, Task, relax_gc, task_from_arguments

STATE_KEY = b"p"


def build(task: Task, tally: Tally) -> Application:
    """The application, which stops itself after the task's last event (with a last checkpoint)."""
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        state_dir=task.state_dir,
        loglevel="WARNING",
    )
    alerts = app.topic(task.alerts_topic, key_serializer="bytes", value_serializer="bytes")

    def step(value: bytes, state: State) -> bytes | None:
        if tally.arrived():
            app.stop()
        try:
            event = decode(value)
        except msgspec.DecodeError:
            tally.rejected += 1
            return None
        packed = state.get_bytes(STATE_KEY)
        if packed is None:
            tally.users += 1
            profile = job.new_profile(event.ts)
        else:
            profile = job.unpack(packed)
        if not job.observe(profile, event):
            tally.duplicates += 1
            return None
        state.set_bytes(STATE_KEY, job.pack(profile))
        return job.judge(profile, event)

    def is_alert(value: Any) -> bool:
        if value is None:
            return False
        tally.alerts += 1
        return True

    first, *others = (
        app.dataframe(app.topic(name, key_deserializer="bytes", value_deserializer="bytes"))
        for name in task.topics
    )
    stream = first
    for other in others:
        stream = stream.concat(other)
    stream.apply(step, stateful=True).filter(is_alert).to_topic(alerts)
    return app


def main() -> None:
    """Run one task to its end."""
    relax_gc()
    task = task_from_arguments()
    tally = Tally(task.events)
    build(task, tally).run()
    tally.report()


if __name__ == "__main__":
    main()
