"""The ledger of one partition: decide → write → publish → ack, with nothing decided twice.

The order the shell keeps, for one batch of alerts at a time:

    step(alerts, views)                decide; rows change in memory only
    rows = dirty_rows(); seq = self.seq
    write rows, the partition row last, await
    pending()                          publish these, await
    mark_published(seq)                and only then ack the alerts

Whatever is lost in between comes back: rows are restored, `finish_recovery` sums up what a torn write
left, the alerts are delivered again, those whose row survived are skipped by its stamp, and what was
not known to be published is published again byte for byte. A write that fails drops the partition.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from interventions.caps import DAY_MS
from interventions.dispatch import Case, Verdict, close, decide, remember
from interventions.durable import DurableRows
from interventions.rows import (
    REMEMBERED,
    STATE_KEY,
    ErasedRow,
    LedgerRow,
    Outcome,
    Pending,
    decode_row,
    encode_row,
    erased_key,
    user_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interventions.policy import CustomerView, PolicyConfig
    from models.alerts import Alert
    from models.marks import Mark, Mode


class StepResult(NamedTuple):
    """What one batch of alerts came to."""

    decided: list[Verdict]
    #: Decisions without a command, by reason.
    withheld: Counter[str]
    #: Commands by channel.
    commands: Counter[str]
    #: Alerts seen before, or of a customer erased since.
    skipped: int
    #: Offsets of alerts that were not decided, because too much of their customers' waits to be published.
    crowded: list[int]


class LedgerPartition(DurableRows):
    """The ledger of one partition; `share` is its part of the daily budget in micros, `mode` what it may do.

    After a torn write the lost rows are decided anew against a budget that already carries the
    survivors. Without exploration that gives the same commands (what fitted before them still fits, what
    did not still does not); with it, an almost spent budget can make the second draw differ from the
    first, of which nothing was published.
    """

    def __init__(
        self, policy: PolicyConfig, share: int, mode: Mode, *, publish_rehearsals: bool = False
    ) -> None:
        super().__init__()
        self._policy = policy
        self._share = share
        self._mode = mode
        self._publish_rehearsals = publish_rehearsals
        self._decision_time = 0
        self._forgotten: list[bytes] = []
        self._crowded: list[int] = []

    def step(
        self, alerts: Sequence[tuple[int, Alert]], views: Mapping[str, CustomerView], now: int
    ) -> StepResult:
        """Decide at `now` (epoch ms) about (offset, alert) in topic order; marks the changed rows dirty.

        `views` holds every alerted user; KeyError, and nothing changed, otherwise. A resolved alert
        closes its episode and yields nothing, like one that was seen before. In mode off nothing is decided.
        """
        cases = [(offset, alert, views[alert.user_id], now) for offset, alert in alerts]
        self._forget_old([alert.ts for _, alert in alerts if alert.kind == "episode"])
        self._crowded = []
        verdicts = [self._take(*case) for case in cases]
        decided = [verdict for verdict in verdicts if verdict is not None]
        asked = sum(alert.status != "resolved" for _, alert in alerts)
        return StepResult(
            decided,
            withheld=Counter(str(v.decision.withheld) for v in decided if v.command is None),
            commands=Counter(v.command.channel for v in decided if v.command is not None),
            skipped=asked - len(decided) - len(self._crowded),
            crowded=self._crowded,
        )

    def reach(self, offset: int) -> None:
        """All alerts up to `offset` were taken in, whatever became of them.

        Some leave no trace in a customer's row (seen before, erased, unreadable), and whoever asks after a
        restart how far this partition has decided must not wait for them.
        """
        if offset > self._state.offset:
            self._state.offset = offset
            self._dirty.add(STATE_KEY)

    @property
    def retried(self) -> int:
        """The last decision time given to `again`, epoch ms; 0 before the first."""
        return self._state.retried

    def waiting(self, ts: int) -> list[str]:
        """Customers about whom `again` has to decide at decision time `ts`, those most at risk first."""
        if self._mode == "off" or ts <= self._state.retried:
            return []
        due = sorted((*place, key) for key, place in self._waiting.items() if place[1] < ts)
        return [key[1:].decode() for *_, key in due]

    def again(self, ts: int, views: Mapping[str, CustomerView], now: int) -> list[Verdict]:
        """Decide at `now` (epoch ms) about the customers `waiting(ts)`, out of the budget of that day.

        To be called when the alerts of `ts` itself are decided. `views` holds each of them; KeyError, and
        nothing changed, otherwise. Not among the verdicts are those who still wait, or have waited too long.
        """
        cases = [(user_key(user), views[user]) for user in self.waiting(ts)]
        verdicts = [self._retry(key, view, ts, now) for key, view in cases]
        self._state.retried = max(ts, self._state.retried)
        if cases:
            self._dirty.add(STATE_KEY)
        return [verdict for verdict in verdicts if verdict is not None]

    def _retry(self, key: bytes, view: CustomerView, ts: int, now: int) -> Verdict | None:
        row = self._row(key)
        waiting = row.waiting
        assert waiting is not None, "the index of those who wait knows better"
        over = ts >= waiting.until or self._mark(waiting.alert) != waiting.mark
        if over or self._is_erased(view, waiting.alert.ts):
            row.waiting = None
            self._put(key, row)
            return None
        book, day = self._state.book(waiting.mark), ts // DAY_MS
        book.advance(day)
        case = Case(waiting.alert, view, row, waiting.mark, now, book, day, self._share, self._policy, ts)
        verdict = decide(case)
        if verdict.short or row.crowded:
            return None
        self._note(case, verdict, self._state.offset)
        self._put(key, row)
        return verdict

    def outcome(self, user_id: str, command_id: str, kind: str, ts: int) -> bool:
        """Note what became of a command; the latest few are kept, in whatever order they arrive.

        False, and nothing noted, if the ledger does not know the customer.
        """
        row = self.history(user_id)
        if row is None:
            return False
        kept = tuple(sorted({*row.outcomes, Outcome(ts, command_id, kind)})[-REMEMBERED:])
        if kept != row.outcomes:
            row.outcomes = kept
            self._put(user_key(user_id), row)
        return True

    def erase(self, user_id: str, user_hash: int, ts: int) -> bytes:
        """Forget a customer at once, pending outputs too; returns the changelog key to clear.

        What stays is {salted hash, erased_at}: alerts up to `ts` cannot bring the customer back, later
        ones start a new row. Once the input up to the erasure is committed, write `value_of(key)` under
        the key: a tombstone, or the new row if there is one by then.
        """
        key = user_key(user_id)
        self._drop(key)
        self._dirty.discard(key)
        self._store(erased_key(user_hash), encode_row(ErasedRow(ts)))
        self._dirty.add(erased_key(user_hash))
        return key

    def take_forgotten(self) -> list[bytes]:
        """Keys of customers forgotten since the last call, to be cleared by the write after the next."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def finish_recovery(self) -> None:
        """Call once after the last `restore`: charges again what a torn write charged."""
        for entry in self.collect_torn():
            self._state.book(entry.mark).charge(entry.day, entry.cost_micros, self._share)

    @classmethod
    def from_snapshot(cls, policy: PolicyConfig, share: int, mode: Mode, blob: bytes) -> LedgerPartition:
        """A ledger from `snapshot`; `restore` the changelog's tail, then `finish_recovery`.

        Raises BrokenRowError for a blob that is no snapshot, NewerRowError as `restore` does.
        """
        ledger = cls(policy, share, mode)
        ledger.restore_snapshot(blob)
        return ledger

    def _forget_old(self, decision_times: list[int]) -> None:
        """At each new decision time: triggers are as old as their events, and prove nothing."""
        newest = max(decision_times, default=0)
        if newest > self._decision_time:
            self._decision_time = newest
            self._forgotten += self.forget(newest - self._policy.forget_after_ms)

    def _mark(self, alert: Alert) -> Mark | None:
        """What an alert is decided for, or None in mode off: a live alert is so only while we are."""
        if self._mode == "off":
            return None
        return "shadow" if alert.mark == "live" and self._mode != "live" else alert.mark

    def _take(self, offset: int, alert: Alert, view: CustomerView, now: int) -> Verdict | None:
        mark = self._mark(alert)
        # The log's progress counts also where the alert itself was seen: after a torn write the day
        # must stand where it stood when the lost rows were first decided.
        if mark is not None and self._state.book(mark).advance(alert.ts // DAY_MS):
            self._dirty.add(STATE_KEY)
        key = user_key(alert.user_id)
        row = self._row(key)
        if offset <= max(row.stamp, self._state.forgotten) or self._is_erased(view, alert.ts):
            return None
        row.stamp = offset
        self._state.offset = max(self._state.offset, offset)
        if mark is None and key not in self._rows:
            self._dirty.add(STATE_KEY)
            return None
        verdict = None
        if alert.status == "resolved":
            close(row, alert)
        elif row.crowded:
            self._crowded.append(offset)
        elif mark is not None and not any(known.is_about(alert) for known in row.decided):
            verdict = self._decide(offset, alert, view, row, mark=mark, now=now)
        self._put(key, row)
        return verdict

    def _decide(
        self, offset: int, alert: Alert, view: CustomerView, row: LedgerRow, *, mark: Mark, now: int
    ) -> Verdict:
        book, day = self._state.book(mark), alert.ts // DAY_MS
        # A rehearsal plays what would have been done then.
        moment = alert.ts if mark == "rehearsal" else now
        case = Case(alert, view, row, mark, moment, book, day, self._share, self._policy)
        verdict = decide(case)
        self._note(case, verdict, offset)
        return verdict

    def _note(self, case: Case, verdict: Verdict, offset: int) -> None:
        """Make a verdict part of its customer's row, and charge it."""
        row, mark, cost = case.row, case.mark, verdict.cost_micros
        if verdict.command is not None:
            case.budget.charge(case.day, cost, case.share)
        remember(row, case.alert, verdict, case.policy)
        outputs = verdict.outputs()
        if mark == "rehearsal" and not self._publish_rehearsals:
            outputs = outputs[:1]
        row.pending = (*row.pending, Pending(self._state.seq + 1, offset, outputs, case.day, cost, mark))

    def _is_erased(self, view: CustomerView, ts: int) -> bool:
        if view.erased_at is not None and ts <= view.erased_at:
            return True
        value = self._rows.get(erased_key(view.user_hash))
        return value is not None and ts <= decode_row(value, ErasedRow).erased_at
