"""One partition of one table while this worker owns it: apply batches, make them durable, heal.

Batches gather until the partition's own task begins its next round, which applies them in memory together
and makes them durable. When a write is not confirmed, the state in memory is dropped, rebuilt from the
changelog, and the batches that were not acknowledged are applied again: a retry serialises anew.
"""

from __future__ import annotations

import abc
import asyncio
from typing import TYPE_CHECKING, Any, Final

from streams.authorisation import RightsError, denied
from streams.engine import Engine, ForeignWriteError, RevokedError
from streams.flood import TooManyDeadLettersError
from streams.logs import logger
from streams.patience import AWAY_SECONDS, is_away
from streams.sending import SendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.context import Context
    from streams.state import State

log = logger(__name__)

#: Pauses before the recoveries between two rounds that succeed; after the last one the worker gives up.
#: A broker that is away is waited for besides.
_BACKOFF_SECONDS: Final = (0.0, 0.2, 1.0, 3.0, 10.0)

#: Why a stop may have to do without a last write: what is not durable comes again.
_NO_LAST_WRITE: Final = (SendError, ForeignWriteError, RevokedError, RightsError, TooManyDeadLettersError)


class Partition(abc.ABC):
    """Life of a partition: `start`, batches through `take`, `park` when it is revoked, `close` at the end."""

    engine: Engine

    def __init__(self, number: int) -> None:
        self.number = number
        self.owned = True
        self.ready = asyncio.Event()
        #: Set when `ready` is, and when the partition was given up before it could be.
        self._decided = asyncio.Event()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wake = asyncio.Event()
        #: Batches that came and were not applied yet; the consumer's window bounds them.
        self._waiting: list[Any] = []
        self._task: asyncio.Task[None] | None = None
        #: The round under way is the last one here.
        self.stopping = False
        self._failures = 0

    def _new_engine(self, context: Context, table: str, state: State) -> Engine:
        return Engine(
            table,
            context.topics[f"{table}-changelog"],
            self.number,
            state,
            sender=context.sender,
            publisher=context.publisher,
            metrics=context.metrics,
            config=context.engine,
            still_ours=lambda: self.owned,
        )

    # -- what a table defines

    @abc.abstractmethod
    def make_engine(self) -> Engine:
        """A new engine around a new, empty state."""

    async def can_apply(self) -> bool:
        """Wait until all that `apply` looks at besides its own state is there; False if it will not be."""
        return True

    @abc.abstractmethod
    def apply(self, events: Sequence[Any]) -> None:
        """Apply batches (Faust events of records), in the order they came, to the state in memory."""

    @abc.abstractmethod
    async def flush(self) -> None:
        """Make durable what was applied."""

    @abc.abstractmethod
    async def round(self) -> None:
        """Flush, and do whatever follows from it."""

    @abc.abstractmethod
    async def settled(self) -> None:
        """Called after each recovery, before batches are applied again: the partition is not `ready` yet."""

    # -- life

    async def start(self) -> None:
        """Recover and begin; raises RecoveryError or KafkaError."""
        self.owned = True
        await self._recover([])
        self._begin()

    def _begin(self) -> None:
        # Two rounds at once would apply events to a state that one of them is restoring.
        assert self._task is None, "a partition has one task"
        self._task = asyncio.create_task(self._run(), name=f"{type(self).__name__}-{self.number}")

    async def take(self, event: Any) -> bool:
        """Have a batch applied with the next round; it is acknowledged once it is durable.

        What comes while a round is under way gathers and is applied at once: each call into numpy costs
        the same for one event as for a hundred. False if the partition is given up before it can be.
        """
        if usable := await self.usable():
            self._waiting.append(event)
            self.wake()
        return usable

    async def usable(self) -> bool:
        """Wait until batches may be applied; False if the partition is given up."""
        return await self.whole() and self.owned

    async def whole(self) -> bool:
        """Wait until its state is in memory; False if the partition is given up before that."""
        await self._decided.wait()
        return self.ready.is_set()

    def wake(self) -> None:
        """Ask for a round."""
        self._wake.set()

    async def park(self) -> None:
        """The partition was revoked: finish the round under way, keep the state for its return.

        Again does no harm, and finishes a parking that was cut short.
        """
        await self.give_up()
        # Their generation is over: these batches come again, and are skipped by their stamps.
        self.engine.release()

    async def resume(self) -> bool:
        """Own the parked partition again, if nobody wrote to it meanwhile; False if it must start anew."""
        if not self.ready.is_set() or not await self.engine.unchanged():
            return False
        self.owned = True
        self._begin()
        self.wake()
        return True

    async def close(self) -> None:
        """Stop gracefully: one last round and a checkpoint."""
        await self._stop_task()
        # What failed may be applied by half: only the changelog knows what is true of it.
        if self.owned and self.ready.is_set() and not self.failed.done():
            try:
                if await self.can_apply():
                    self._apply(self._take_waiting())
                await self.flush()
                self.engine.checkpoint_now()
            except _NO_LAST_WRITE as error:
                log.warning("left without a last write", partition=self.number, why=str(error))
        await self.give_up()

    async def give_up(self) -> None:
        """Stop, and let go whoever waits for this partition."""
        self.owned = False
        self._decided.set()
        # Not acknowledged, so they come again.
        self._take_waiting()
        await self._stop_task()

    async def _stop_task(self) -> None:
        task = self._task
        if task is not None and not task.done():
            self.stopping = True
            self.wake()
            if not self.ready.is_set():
                # It is recovering: there is nothing to finish, and it may take long.
                task.cancel()
            await asyncio.wait([task])
        # A revocation and the end of the worker may both wait here; neither calls the stop off for the other.
        if self._task is task:
            self._task = None
            self.stopping = False

    async def _run(self) -> None:
        try:
            while not self.stopping:
                await self._wake.wait()
                self._wake.clear()
                if not self.stopping:
                    await self._one_round()
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must hear of it and stop
            if not self.failed.done():
                self.failed.set_exception(error)

    def _take_waiting(self) -> list[Any]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _apply(self, events: Sequence[Any]) -> None:
        if events:
            self.apply(events)
            for event in events:
                self.engine.accept(event)

    async def _one_round(self) -> None:
        try:
            if await self.can_apply():
                self._apply(self._take_waiting())
            await self.round()
        except RevokedError:
            return
        except (SendError, ForeignWriteError) as error:
            # Also if it is not ours any more: memory and changelog differ, so it must not be resumed.
            self.ready.clear()
            if self.owned and not self.stopping:
                await self._heal(error)
        else:
            self._failures = 0

    async def _heal(self, why: Exception) -> None:
        """Rebuild the state and apply the unacknowledged batches again, with growing pauses."""
        self._decided.clear()
        waiting = self.engine.release()
        told = ""
        while self.owned and not self.ready.is_set():
            if str(why) != told:
                # Once for each cause: a broker may be away for hours.
                log.warning("recovering after a failed write", partition=self.number, why=str(why))
                told = str(why)
            await asyncio.sleep(self._pause(why))
            try:
                await self._recover(waiting)
            except Exception as error:
                if denied(error):
                    raise
                why = error  # raised above when it does not pass

    def _pause(self, why: Exception) -> float:
        """Seconds to wait before the next recovery; raises `why` when there was enough of it."""
        if is_away(why):
            return AWAY_SECONDS
        if self._failures == len(_BACKOFF_SECONDS):
            raise why
        self._failures += 1
        return _BACKOFF_SECONDS[self._failures - 1]

    async def _recover(self, waiting: list[Any]) -> None:
        self.engine = self.make_engine()
        await self.engine.recover()
        await self.settled()
        if not await self.can_apply():
            raise RevokedError(f"partition {self.number} is given up")
        self._apply(waiting)
        self.ready.set()
        self._decided.set()
        self.wake()
