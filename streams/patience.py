"""The broker is away: wait and try again. What waiting does not mend stops the worker."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from streams.logs import logger
from streams.sending import SendError
from streams.topic_admin import TopicsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logger(__name__)

T = TypeVar("T")

#: A broker that comes back is noticed within this time.
AWAY_SECONDS: Final = 1.0
#: Whoever looks at the log must see that it is still so.
_REMIND_SECONDS: Final = 60.0


def is_away(error: BaseException) -> bool:
    """Whether the broker does not answer, or says that it cannot just now: there is nothing to do but wait.

    A topic that is unknown is not away: it may be so for a moment, and for ever.
    """
    cause = error.__cause__ if isinstance(error, SendError | TopicsError) else error
    if isinstance(cause, TimeoutError | ConnectionError | KafkaTimeoutError):
        return True
    retriable = isinstance(cause, KafkaError) and cause.retriable
    return retriable and not isinstance(cause, UnknownTopicOrPartitionError)


class Patience:
    """Outlasts a broker that is away, and knows what waits for it."""

    def __init__(self) -> None:
        self._waiting: dict[str, float] = {}

    @property
    def waiting(self) -> list[str]:
        """What waits for the broker now, in words."""
        return sorted(self._waiting)

    async def outlast(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` gives, made again and again while the broker is away; raises any other error."""
        try:
            while True:
                try:
                    found = await attempt()
                except (KafkaError, SendError, TopicsError, OSError) as error:
                    if not is_away(error):
                        raise
                    self.missed(what, error)
                else:
                    self.met(what)
                    return found
                await asyncio.sleep(AWAY_SECONDS)
        finally:
            self._waiting.pop(what, None)

    def met(self, what: str) -> None:
        """The broker has answered `what` asks of it; the log says so if it was away."""
        if self._waiting.pop(what, None) is not None:
            log.info("the broker is back", what=what)

    def missed(self, what: str, error: Exception) -> None:
        """The broker did not answer `what` asks of it; the log says so once, and then every minute."""
        now = time.monotonic()
        if now - self._waiting.get(what, -_REMIND_SECONDS) >= _REMIND_SECONDS:
            log.warning("the broker is away: waiting for it", what=what, why=repr(error))
            self._waiting[what] = now
