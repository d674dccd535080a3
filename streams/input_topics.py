"""Are the input topics still the logs that our state has read? Offsets of another log mean nothing in it.

A recreated topic begins at offset 0 again, below everything we have stamped: all that comes would look seen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError

from features.layout import TOPICS
from streams.logs import logger
from streams.recovery import START_ANEW
from streams.topic_ids import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.clock import TopicClock
    from streams.topics import Topics

log = logger(__name__)

_LOOK_SECONDS: Final = 10.0


class InputTopicError(RuntimeError):
    """An input topic is not what it was: what comes would be skipped as seen, or split over owners."""


class InputTopics:
    """Ids of the input topics, by logical name, as the broker tells them; empty where it does not."""

    def __init__(self, topics: Topics, options: dict[str, Any]) -> None:
        self.ids: dict[str, str] = {}
        self._topics = topics
        self._options = options

    async def look(self) -> None:
        """Ask the broker, in one request. Raises InputTopicError for a topic that changed, and KafkaError."""
        names = {self._topics[logical]: logical for logical in TOPICS}
        for full, facts in (await describe(self._options, list(names))).items():
            if facts.partitions != self._topics.partitions:
                raise InputTopicError(
                    f"input topic {full} has {facts.partitions} partitions, and kafka.partitions is "
                    f"{self._topics.partitions}: customers would lie in several. Recreate it, or {START_ANEW}"
                )
            self._same(full, self.ids.get(names[full], ""), facts.id)
            self.ids[names[full]] = facts.id

    async def watch(self) -> None:
        """Look again and again; a broker that is down is waited for. Runs until cancelled or an error."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except (KafkaError, OSError) as error:
                log.warning("topic ids are not known: the broker does not answer", why=repr(error))

    def check(self, partition: int, clocks: Mapping[str, TopicClock], ends: Mapping[str, int]) -> None:
        """Raises InputTopicError unless `clocks` can have read the logs that now end at `ends`.

        Notes in the clocks which logs these are.
        """
        for topic, clock in clocks.items():
            full, found = self._topics[topic], self.ids.get(topic, "")
            if clock.offset >= ends[topic]:
                raise InputTopicError(
                    f"input topic {full} was recreated or lost records: partition {partition} was read up "
                    f"to offset {clock.offset} and now ends at {ends[topic]}; nothing new would count. "
                    f"Way out: {START_ANEW}"
                )
            self._same(full, clock.log, found)
            clock.log = found or clock.log

    def _same(self, full: str, known: str, found: str) -> None:
        if known and found and known != found:
            raise InputTopicError(
                f"input topic {full} was recreated: its id was {known} and is {found}; what comes would be "
                f"skipped as seen. Way out: {START_ANEW}"
            )
