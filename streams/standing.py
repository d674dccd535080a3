"""How this worker stands in its group: what the consumer's thread knows, and what the broker says."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from aiokafka import TopicPartition

# Gives every consumer of this process the coordinator that knows when it was confirmed.
import streams.membership  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine

    from faust.types.tuples import TP

#: A broker that does not answer in this time is not waited for.
_ANSWER_SECONDS: Final = 5.0


class Standing:
    """Asks the consumer's `thread` (Faust's) from outside of it."""

    def __init__(self, thread: Any) -> None:
        self._thread = thread

    @property
    def has_begun(self) -> bool:
        """Whether there is a consumer yet: a worker may wait for its broker before."""
        return self._thread._consumer is not None  # noqa: SLF001 - as below

    @property
    def confirmed(self) -> float:
        """When the group last confirmed this member, by the monotonic clock; minus infinity if never."""
        membership = self._membership
        return -math.inf if membership is None else float(membership.confirmed)

    @property
    def _membership(self) -> Any:
        consumer = self._thread._consumer  # noqa: SLF001 - neither Faust nor aiokafka has a public way
        return consumer and consumer._coordinator  # noqa: SLF001

    async def pulse(self) -> None:
        """Return when the thread answers. Raises the KafkaError that keeps this worker out of its group."""
        await self._in_thread(self._check())

    async def _check(self) -> None:
        # aiokafka stays out of the group until somebody looks at the error, and Faust never does.
        if self._membership is not None:
            self._membership.check_errors()

    def position(self, tp: TP) -> int | None:
        """The offset behind all that was handed out and the markers that follow; None if not known."""
        consumer = self._thread._consumer  # noqa: SLF001 - reading a number is safe from any thread
        subscription = consumer and consumer._subscription.subscription  # noqa: SLF001
        state = subscription and subscription.assignment and subscription.assignment.state_value(tp)
        return int(state.position) if state and state.has_valid_position else None

    async def places(self, tps: Collection[TP]) -> dict[TP, tuple[int, int]]:
        """(committed offset, log end) of partitions as the broker knows them.

        Where nothing was committed yet, the log start stands for it. Raises KafkaError, and TimeoutError when
        the broker does not answer.
        """
        return await self._in_thread(self._places(tps)) if tps else {}

    async def _places(self, tps: Collection[TP]) -> dict[TP, tuple[int, int]]:
        consumer = self._thread._consumer  # noqa: SLF001
        asked = {tp: TopicPartition(*tp) for tp in tps}
        async with asyncio.timeout(_ANSWER_SECONDS):
            ends = await consumer.end_offsets(list(asked.values()))
            starts = await consumer.beginning_offsets(list(asked.values()))
            known = await self._membership.fetch_committed_offsets(list(asked.values()))
        return {
            tp: (known[each].offset if each in known else starts[each], ends[each])
            for tp, each in asked.items()
        }

    def _in_thread(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        # Not by Faust's queue of calls, in which commits wait for the broker for as long as it is away.
        loop = self._thread.thread_loop
        if loop.is_closed():
            coroutine.close()
            raise TimeoutError("the consumer's thread has ended")
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))
