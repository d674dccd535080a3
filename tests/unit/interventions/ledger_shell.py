"""A worker reduced to what the ledger sees of it: a changelog, topics, and a life that may end anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from interventions.commands import Command
from interventions.ledger import LedgerPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from interventions.policy import CustomerView, PolicyConfig
    from models.alerts import Alert


class CrashError(Exception):
    """The process is gone."""


class Shell:
    """Keeps the order decide → write → publish → ack; `fuse` counts single effects down to a crash."""

    def __init__(
        self,
        policy: PolicyConfig,
        share: int,
        views: Mapping[str, CustomerView],
        log: Sequence[tuple[int, Alert]],
    ) -> None:
        self.policy, self.share, self.views, self.log = policy, share, views, log
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.published: list[tuple[str, bytes, bytes]] = []
        self.acked = 0
        self.fuse: int | None = None

    def run(self, batch: int = 4):
        """Start from the changelog and go on to the end of the log."""
        ledger = self.recover()
        self._settle(ledger)
        while self.acked < len(self.log):
            for entry in self.log[self.acked : self.acked + batch]:
                # Decided at the alert's own time, whenever that happens: what is decided again is the same.
                ledger.step([entry], self.views, entry[1].ts)
            self._settle(ledger)
            self._burn()
            self.acked = min(self.acked + batch, len(self.log))
        return ledger

    def recover(self):
        ledger = LedgerPartition(self.policy, self.share, "live", publish_rehearsals=True)
        for key, value in self.changelog:
            ledger.restore(key, value)
        ledger.finish_recovery()
        return ledger

    def run_with_crashes(self, fuses: Iterable[int], batch: int = 4):
        for fuse in fuses:
            self.fuse = fuse
            try:
                return self.run(batch)
            except CrashError:
                continue
        self.fuse = None
        return self.run(batch)

    def commands(self):
        """Every command published, by id; fails if one id ever carried two contents."""
        found: dict[str, Command] = {}
        for topic, _, value in self.published:
            if topic.startswith("commands."):
                command = msgspec.json.decode(value, type=Command)
                assert found.setdefault(command.command_id, command) == command
        return found

    def _settle(self, ledger: LedgerPartition) -> None:
        for row in ledger.dirty_rows():
            self._burn()
            self.changelog.append(row)
        for output in ledger.pending():
            self._burn()
            self.published.append(output)
        self._burn()
        ledger.mark_published(ledger.seq)

    def _burn(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise CrashError
