"""What every part of a worker is given: built once by the composition root, frozen afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.patience import Patience
from streams.progress import Progress, encode
from streams.sending import Message, Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.deadletters import DeadLetters
    from streams.engine import EngineConfig
    from streams.flood import FloodGuard
    from streams.input_topics import InputTopics
    from streams.model_store import ModelStore
    from streams.outputs import Publisher
    from streams.session_store import SessionStore
    from streams.settings import Settings
    from streams.skips import Skips
    from streams.telemetry import Metrics
    from streams.topics import Topics


def wall_clock_ms() -> int:
    """Now, epoch milliseconds: the one clock that events are compared with."""
    return int(time.time() * 1000)


@dataclass(frozen=True)
class Context:
    """The worker's parts. `now` is a clock in epoch ms, replaced in tests."""

    settings: Settings
    topics: Topics
    sender: Sender
    publisher: Publisher
    dead_letters: DeadLetters
    flood: FloodGuard
    models: ModelStore
    sessions: SessionStore
    metrics: Metrics
    engine: EngineConfig
    inputs: InputTopics
    skips: Skips
    patience: Patience = field(default_factory=Patience)
    now: Callable[[], int] = field(default=wall_clock_ms)

    async def announce(self, progress: Progress) -> None:
        """Tell a replayer, if there is one, how far a partition is."""
        message = Message(progress.key, encode(progress))
        await self.sender.send(self.topics["progress"], 0, [message])
