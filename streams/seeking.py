"""Where reading begins after a rebalance, and when: what stock Faust gets wrong (docs/operations.md)."""

from __future__ import annotations

import abc
import asyncio
from typing import TYPE_CHECKING, Any

from faust.transport.drivers import aiokafka as driver

from streams.guard import HoleGuard

if TYPE_CHECKING:
    from faust.types.tuples import TP


class SeekingConsumer(driver.Consumer, abc.ABC):  # type: ignore[misc]
    """Faust's consumer, which reads on only where the group has dealt and the places are sought."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.guard = HoleGuard()
        #: The generation in which we own what we own, None in a rebalance; and the one that was sought for.
        self._dealt: int | None = None
        self._sought: int | None = None
        #: What resumes the flow after a seek that was not waited for to its end.
        self._seeking: asyncio.Task[None] | None = None
        super().__init__(*args, **kwargs)
        # Faust waits for a seek twice as long.
        self._seek_seconds = self.app.conf.broker_request_timeout / 2

    @abc.abstractmethod
    def forget(self, tps: set[TP]) -> None:
        """What was read of these partitions is not waited for any more."""

    @abc.abstractmethod
    def forget_all(self) -> None:
        """As `forget` of everything that was read: it is read again from the committed offsets."""

    async def perform_seek(self) -> None:
        """Go to the committed offsets; what was delivered and not committed is delivered again.

        While the group's coordinator is away that takes as long. Faust waits for a while, and then ends the
        task that lets it read on, for good: so this returns before, and resumes the flow itself.
        """
        seeking = asyncio.create_task(self._seek_committed())
        try:
            await asyncio.wait([seeking], timeout=self._seek_seconds)
        except asyncio.CancelledError:
            seeking.cancel()
            raise
        if seeking.done():
            seeking.result()
        else:
            self.log.warning("the group's coordinator does not say where to read on")
            self._seeking = asyncio.create_task(self._resume_after(seeking))

    async def _resume_after(self, seeking: asyncio.Task[None]) -> None:
        try:
            await seeking
        except Exception as error:  # noqa: BLE001 - as Faust does with what it waits for itself
            await self.crash(error)
        else:
            self.resume_flow()

    async def _seek_committed(self) -> None:
        dealt = self._dealt
        self.forget_all()
        await super().perform_seek()
        if dealt == self._dealt:
            self._sought = dealt
        known = {tp: offset for tp, offset in self._read_offset.items() if offset is not None}
        unknown = [tp for tp in self.assignment() if tp not in known]
        starts = await self.earliest_offsets(*unknown) if unknown else {}
        self.guard.expect({**known, **starts})

    def resume_flow(self) -> None:
        """Read on, unless the next rebalance has begun: Faust ends one in the midst of another."""
        if self._dealt is not None and self._sought == self._dealt:
            super().resume_flow()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """From now on the places of these partitions may be sought, and read from."""
        self._dealt = generation_id
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget partitions that go."""
        self._dealt = self._sought = None
        if self._seeking is not None:
            self._seeking.cancel()
        # Also where nothing was ours so far: Faust would read on while the places of what comes are sought.
        self.stop_flow()
        await super().on_partitions_revoked(revoked)
        self.forget(revoked)
        self.guard.forget(set(revoked))
