"""Dispatching: the agent's partition of the ledger. Alerts in, decisions and commands out.

decide → write → publish → acknowledge: what is to be published is part of the ledger row, so a crash
repeats outputs byte for byte and decides nothing twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from features.layout import CHANNELS, DECAY_PER_MS, HALF_LIVES_DAYS
from features.observing import Record
from features.rejection import Rejected
from interventions.budget import largest_remainder
from interventions.ledger import LedgerPartition
from interventions.policy import CustomerView
from models.alerts import read_alert
from streams.engine import Engine, RevokedError
from streams.fencing import known_to_writer
from streams.logs import logger, pseudonym
from streams.partition import Partition
from streams.progress import Progress
from streams.state import LedgerState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from features.observing import RecordLike
    from interventions.dispatch import Verdict
    from models.core import PartitionCore
    from streams.context import Context
    from streams.customers import CustomerPartition

log = logger(__name__)

_LOOK_SECONDS: Final = 0.1
_VALUE = CHANNELS.index("value")
_LONGEST = len(HALF_LIVES_DAYS) - 1


class Erasures:
    """Customers to forget, as (user, ts).

    A batch like any other: applied again after a failed write, acknowledged when it is durable.
    """

    def __init__(self, customers: Sequence[tuple[str, int]]) -> None:
        self.customers = customers
        self.over = asyncio.Event()
        self.durable = False

    def ack(self) -> None:
        """The customers are forgotten for good."""
        self.durable = True
        self.over.set()


class DispatchPartition(Partition):
    """One partition of `churn-alerts`. `customers` gives that partition of the feature table."""

    ledger: LedgerPartition
    state: LedgerState

    def __init__(self, number: int, context: Context, customers: Callable[[], CustomerPartition]) -> None:
        super().__init__(number)
        self._context = context
        self._customers = customers
        self._next_alert = 0
        #: Customers who know less than that were waited for in vain.
        self._excused = 0
        self._unreadable: list[tuple[RecordLike, Rejected]] = []
        self._erasures: set[Erasures] = set()

    def make_engine(self) -> Engine:
        """See `Partition`."""
        context, policy = self._context, self._context.settings.policy()
        partitions = context.settings.kafka.partitions
        share = largest_remainder(policy.daily_budget_micros, [1] * partitions)[self.number]
        acting = context.settings.interventions
        self.ledger = LedgerPartition(
            policy, share, acting.mode, publish_rehearsals=acting.publish_rehearsals
        )
        self.state = LedgerState(self.ledger, sends=acting.mode == "live")
        self._unreadable = []
        return self._new_engine(context, "ledger", self.state)

    async def can_apply(self) -> bool:
        """See `Partition`: what customers refused must be known, all that was known to who raised the alerts.

        Of an empty table everybody has refused nothing, and to a zombie nobody has since it fell asleep. One
        hears within a session that its partitions are another's: whoever still has them then is none, though
        it knows less (the changelog was begun anew).
        """
        clock = asyncio.get_running_loop().time
        end = clock() + self._context.settings.kafka.session_timeout_seconds
        while await self._customers().whole():
            needed = self._known_to_raisers()
            if clock() > end:
                self._excused = needed
            if max(self._customers().engine.next_offset, self._excused) >= needed:
                return True
            if self.stopping or not self.owned:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    def _known_to_raisers(self) -> int:
        """How far the customers' changelog was known to those who raised the alerts that wait."""
        batches = (batch for batch in self._waiting if not isinstance(batch, Erasures))
        return max((known_to_writer(record) for batch in batches for record in batch.value), default=0)

    def apply(self, events: Sequence[Any]) -> None:
        """Decide about polls of alerts, or forget customers, in the order they came."""
        for event in events:
            if isinstance(event, Erasures):
                self._forget(event)
            else:
                self._decide(event)

    def _decide(self, event: Any) -> None:
        core, alerts = self._customers().core, []
        for record in event.value:
            try:
                alerts.append((record.offset, read_alert(record.value)))
            except Rejected as rejection:
                # We are the only writer of this topic; still, nothing may poison it.
                log.warning("an alert cannot be read", offset=record.offset, why=rejection.reason)
                self._unreadable.append((record, rejection))
        views = {alert.user_id: view_of(core, alert.user_id, alert.ts) for _, alert in alerts}
        result = self.ledger.step(alerts, views, self._context.now())
        self._unreadable += [
            (record, Rejected("row_too_large", "too many decisions about this customer wait to be published"))
            for record in event.value
            if record.offset in result.crowded
        ]
        self.ledger.reach(event.value[-1].offset)
        self._count(result.decided)
        self._next_alert = event.value[-1].offset + 1

    def _count(self, decided: Sequence[Verdict]) -> None:
        for verdict in decided:
            made = verdict.decision
            self._context.metrics.decisions.labels(made.action, made.withheld or "").inc()

    @property
    def retry_due(self) -> int | None:
        """The decision time at which alerts that the budget withheld are due to be decided again, if any.

        Its own alerts come first. In a replay, and when it is too old to act upon, nothing is.
        """
        customers, context = self._customers(), self._context
        announced = customers.announced
        if announced is None or not self.ledger.waiting_count or customers.core.replaying:
            return None
        ts, end = announced
        if (
            ts <= self.ledger.retried
            or self._next_alert < end
            or ts < context.now() - context.settings.act_within_ms
        ):
            return None
        return ts

    def _decide_again(self) -> None:
        ts = self.retry_due
        if ts is not None:
            core = self._customers().core
            views = {user: view_of(core, user, ts) for user in self.ledger.waiting(ts)}
            self._count(self.ledger.again(ts, views, self._context.now()))

    async def erase(self, customers: Sequence[tuple[str, int]]) -> None:
        """Forget customers, given as (user, ts), and wait until that is durable. Raises RevokedError."""
        erasures = Erasures(customers)
        self._erasures.add(erasures)
        await self.take(erasures)
        if self.owned:
            await erasures.over.wait()
        self._erasures.discard(erasures)
        if not erasures.durable:
            raise RevokedError(f"partition {self.number} went before its customers were forgotten")

    def _forget(self, erasures: Erasures) -> None:
        salt = self._context.settings.salt.get_secret_value()
        for user, ts in erasures.customers:
            self.state.erase(user, self._customers().core.hash(user), ts)
            log.info("customer erased", customer=pseudonym(user, salt))

    async def give_up(self) -> None:
        """See `Partition`."""
        await super().give_up()
        for erasures in self._erasures:
            erasures.over.set()

    async def flush(self) -> None:
        """See `Partition`."""
        while unreadable := self._unreadable.copy():
            await self._context.dead_letters.send("churn-alerts", self.number, unreadable)
            del self._unreadable[: len(unreadable)]
        await self.engine.flush()
        await self._bury()

    async def _bury(self) -> None:
        """Send to dead letters what the ledger holds and cannot publish, before a write forgets it."""
        while refused := self.state.refused.copy():
            letters = [(Record(-1, output.key, output.value), why) for output, why in refused]
            await self._context.dead_letters.send("ledger-changelog", self.number, letters)
            log.error("an output cannot be published", topics=sorted({output.topic for output, _ in refused}))
            del self.state.refused[: len(refused)]

    async def round(self) -> None:
        """See `Partition`."""
        decided = self._next_alert
        if self.ready.is_set() and self._customers().ready.is_set():
            self._decide_again()
        await self.flush()
        self._context.metrics.waiting.labels(str(self.number)).set(self.ledger.waiting_count)
        self._context.metrics.ledger_rows.labels(str(self.number)).set(self.ledger.row_count)
        await self._context.announce(Progress("decided", self.number, decided))

    async def settled(self) -> None:
        """Say again how far this partition has decided."""
        self._next_alert = max(self._next_alert, self.ledger.offset + 1)
        await self._bury()


def view_of(core: PartitionCore, user: str, ts: int) -> CustomerView:
    """What the policy may know of a customer as of an alert at `ts`."""
    slot, code = core.table.slot(user), core.hash(user)
    erased_at = core.erased[code].ts if code in core.erased else None
    if slot is None:
        return CustomerView(code, None, float("nan"), float("nan"), erased_at)
    row = core.table.rows[slot]
    orders = int(row["orders"])
    age = max(ts - int(row["last_ts"]), 0)
    recent = float(row["decayed"][_LONGEST, _VALUE]) * float(np.exp(-DECAY_PER_MS[_LONGEST] * age))
    mean = int(row["value_sum"]) / 1e6 / orders if orders else float("nan")
    return CustomerView(code, core.table.profiles.get(slot), mean, recent, erased_at)
