"""A worker of which partition 0 of `customers-changelog` is mute: `mute_worker.py HOW FILE`.

While the file is there, either no write to it is confirmed, or it cannot be read to its end. Nothing else of
the worker is changed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

from streams import logs
from streams.engine import Engine
from streams.sending import Sender
from streams.serving import run_worker
from streams.settings import load

_LOOK_SECONDS: Final = 0.02


async def _while_there(file: Path) -> None:
    while await asyncio.to_thread(file.exists):  # noqa: ASYNC110 - another process takes it away
        await asyncio.sleep(_LOOK_SECONDS)


def mute_write(file: Path) -> None:
    """The broker takes no row of the partition: each write fails when its time is over."""
    send = Sender._send

    async def mute(sender: Sender, topic: str, partition: int, messages: Any) -> Any:
        # The topics of a test have a prefix of their own.
        if topic.endswith("customers-changelog") and partition == 0:
            async with asyncio.timeout(sender._seconds):
                await _while_there(file)
        return await send(sender, topic, partition, messages)

    Sender._send = mute  # type: ignore[method-assign]


def mute_recovery(file: Path) -> None:
    """The partition's recovery does not come to its end."""
    recover = Engine.recover

    async def mute(engine: Engine) -> None:
        if (engine.table, engine.partition) == ("customers", 0):
            await _while_there(file)
        await recover(engine)

    Engine.recover = mute  # type: ignore[method-assign]


def main(how: str, file: str) -> None:
    """Run until the file is gone, and then on."""
    {"write": mute_write, "recovery": mute_recovery}[how](Path(file))
    settings = load(None)
    logs.configure(settings.worker.log_level)
    asyncio.run(run_worker(settings))


if __name__ == "__main__":
    main(*sys.argv[1:])
