"""A worker that kills itself with SIGKILL in a chosen gap: `python dying_worker.py [GAP OCCURRENCE]`.

Between two effects of DESIGN 4.7 lies an instruction at which a crash must lose nothing and double
nothing. Each gap wraps the method on whose border it lies, counts how often the worker comes by, and ends
the process at the given occurrence. What the method does is left as it is, but for writes that are torn.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from interventions.rows import LedgerRow, decode_row
from models import cohorts
from models.rows import COHORT
from streams import logs
from streams.context import Context
from streams.engine import Engine
from streams.outputs import Publisher
from streams.sending import Sender
from streams.serving import run_worker
from streams.settings import load
from streams.training import Training

Method = Callable[..., Awaitable[Any]]


#: More than twice the commit interval of the tests.
LINGER_SECONDS: Final = 0.5


class Fuse:
    """Burns down by one at each call; the last one is the end."""

    def __init__(self, occurrence: int) -> None:
        self.left = occurrence

    def burn(self) -> bool:
        """Whether this is the occurrence at which to die."""
        self.left -= 1
        return self.left == 0


async def die() -> None:
    """End as by `kill -9`, after time enough for the commit of whatever was acknowledged too early."""
    await asyncio.sleep(LINGER_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap(owner: type, name: str, around: Callable[[Method], Method]) -> None:
    setattr(owner, name, around(getattr(owner, name)))


def publication(fuse: Fuse, table: str, *, after: bool) -> None:
    """Before or after an engine of `table` publishes what a write allowed; only where there is something."""

    def around(publish: Method) -> Method:
        async def wrapped(engine: Engine) -> None:
            dying = engine.table == table and bool(engine.state.outputs()) and fuse.burn()
            if dying and not after:
                await die()
            await publish(engine)
            if dying:
                await die()

        return wrapped

    _wrap(Engine, "_publish", around)


def half_published(fuse: Fuse, first: str) -> None:
    """Some outputs of a publication went out, the topics that begin with `first`, the others did not."""

    def around(publish: Method) -> Method:
        async def wrapped(publisher: Publisher, partition: int, outputs: Any, *rest: Any) -> Any:
            chosen = [output for output in outputs if output.topic.startswith(first)]
            if 0 < len(chosen) < len(outputs) and fuse.burn():
                await publish(publisher, partition, chosen, *rest)
                await die()
            return await publish(publisher, partition, outputs, *rest)

        return wrapped

    _wrap(Publisher, "publish", around)


def alerts_torn(fuse: Fuse) -> None:
    """Half the alerts of a write went out."""

    def around(publish: Method) -> Method:
        async def wrapped(publisher: Publisher, partition: int, outputs: Any, *rest: Any) -> Any:
            if len(outputs) > 1 and outputs[0].topic == "churn-alerts" and fuse.burn():
                await publish(publisher, partition, outputs[: len(outputs) // 2], *rest)
                await die()
            return await publish(publisher, partition, outputs, *rest)

        return wrapped

    _wrap(Publisher, "publish", around)


def write_torn(fuse: Fuse, table: str, kept: Callable[[Engine, list[Any]], int | None]) -> None:
    """Only the first `kept` rows of a write reached the changelog; None lets the write pass."""

    def around(write: Method) -> Method:
        async def wrapped(engine: Engine, rows: list[Any]) -> None:
            length = kept(engine, rows) if engine.table == table else None
            if length is not None and fuse.burn():
                if length:
                    await write(engine, rows[:length])
                await die()
            await write(engine, rows)

        return wrapped

    _wrap(Engine, "_write", around)


def nothing_of_a_batch(engine: Engine, _: list[Any]) -> int | None:
    """A write that batches wait for: nothing was written."""
    return 0 if engine._unacked else None


def half_of_a_batch(engine: Engine, rows: list[Any]) -> int | None:
    """A write that batches wait for: half of it was written."""
    return len(rows) // 2 if engine._unacked and len(rows) > 2 else None


def half_of_a_charge(engine: Engine, rows: list[Any]) -> int | None:
    """A ledger's write: decisions that cost something were written, the sum of the day's costs was not."""
    length = half_of_a_batch(engine, rows) or 0
    decided = [decode_row(value, LedgerRow) for key, value in rows[:length] if key[:1] == b"u" and value]
    return length if any(each.cost_micros for row in decided for each in row.pending) else None


def half_the_cohort(_: Engine, rows: list[Any]) -> int | None:
    """A sweep's write: half the pieces of its cohort were written."""
    pieces = [number for number, (key, value) in enumerate(rows) if key[:1] == COHORT and value is not None]
    return pieces[len(pieces) // 2] if len(pieces) > 1 else None


def all_but_the_mark(engine: Engine, rows: list[Any]) -> int | None:
    """A sweep's write: all was written but the partition row, which says so."""
    return None if half_the_cohort(engine, rows) is None else len(rows) - 1


def topic_torn(fuse: Fuse, logical: str) -> None:
    """Of several records for `logical` the last was not sent."""

    def around(send: Method) -> Method:
        async def wrapped(sender: Sender, topic: str, partition: int, messages: Any) -> Any:
            # The topics of a test have a prefix of their own.
            if topic.rpartition(".")[2] == logical and len(messages) > 1 and fuse.burn():
                await send(sender, topic, partition, messages[:-1])
                await die()
            return await send(sender, topic, partition, messages)

        return wrapped

    _wrap(Sender, "send", around)


def version(fuse: Fuse, *, after: bool) -> None:
    """Before or after the trainer publishes a version, of which its checkpoint does not know."""

    def around(publish: Method) -> Method:
        async def wrapped(training: Training) -> None:
            dying = fuse.burn()
            if dying and not after:
                await die()
            await publish(training)
            if dying:
                await die()

        return wrapped

    _wrap(Training, "_publish", around)


def progress(fuse: Fuse, stage: str) -> None:
    """All is done and durable, and the replayer does not know it."""

    def around(announce: Method) -> Method:
        async def wrapped(context: Context, place: Any) -> None:
            if place.stage == stage and fuse.burn():
                await die()
            await announce(context, place)

        return wrapped

    _wrap(Context, "announce", around)


def checkpoint_torn(fuse: Fuse) -> None:
    """The new checkpoint lies beside the old one, which it was to replace."""
    replace = Path.replace

    def wrapped(path: Path, target: Path) -> Path:
        if path.name.startswith("customers") and fuse.burn():
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(path, target)

    Path.replace = wrapped  # type: ignore[method-assign, assignment]


GAPS: Final[dict[str, Callable[[Fuse], None]]] = {
    "row|alert": lambda fuse: publication(fuse, "customers", after=False),
    "alert|alert": alerts_torn,
    "alert|ack": lambda fuse: publication(fuse, "customers", after=True),
    "batch|row": lambda fuse: write_torn(fuse, "customers", nothing_of_a_batch),
    "row|mark": lambda fuse: write_torn(fuse, "customers", half_of_a_batch),
    "alerts|ledger": lambda fuse: write_torn(fuse, "ledger", nothing_of_a_batch),
    "ledger|mark": lambda fuse: write_torn(fuse, "ledger", half_of_a_charge),
    "ledger|decision": lambda fuse: publication(fuse, "ledger", after=False),
    "decision|command": lambda fuse: half_published(fuse, "decisions"),
    "command|decision": lambda fuse: half_published(fuse, "commands"),
    "command|ack": lambda fuse: publication(fuse, "ledger", after=True),
    "cohort|cohort": lambda fuse: write_torn(fuse, "customers", half_the_cohort),
    "cohort|sweep mark": lambda fuse: write_torn(fuse, "customers", all_but_the_mark),
    "sweep mark|progress": lambda fuse: progress(fuse, "swept"),
    "ack|progress": lambda fuse: progress(fuse, "decided"),
    "examples|examples": lambda fuse: topic_torn(fuse, "examples"),
    "examples|version": lambda fuse: version(fuse, after=False),
    "version|champion": lambda fuse: topic_torn(fuse, "models"),
    "version|ack": lambda fuse: version(fuse, after=True),
    "checkpoint|checkpoint": checkpoint_torn,
}


def main(gap: str | None = None, occurrence: str = "0") -> None:
    """Run until the gap; without one, for ever."""
    # Small pieces, so that cohorts and parts of a small shop have several.
    cohorts.CHUNK_MEMBERS = 10  # type: ignore[misc]
    if gap is not None:
        GAPS[gap](Fuse(int(occurrence)))
    settings = load(None)
    logs.configure(settings.worker.log_level)
    asyncio.run(run_worker(settings))


if __name__ == "__main__":
    main(*sys.argv[1:])
