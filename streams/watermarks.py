"""Which input topics of a partition are silent: read to their end, and nothing for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Idleness:
    """Silence of one partition number's topics.

    `at_end` tells of a logical topic whether everything on the broker was read; a topic with lag is never
    idle, however long it takes. `clock` is monotonic seconds.
    """

    def __init__(
        self, after_seconds: float, at_end: Callable[[str], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._after = after_seconds
        self._at_end = at_end
        self._clock = clock
        self._started = clock()
        self._last: dict[str, float] = {}

    def seen(self, topic: str) -> None:
        """A poll of `topic` brought records."""
        self._last[topic] = self._clock()

    def idle(self, topic: str) -> bool:
        """Whether the watermark may go on without `topic`."""
        silent = self._clock() - self._last.get(topic, self._started)
        return silent >= self._after and self._at_end(topic)
