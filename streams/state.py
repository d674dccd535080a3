"""What the durability engine needs of a partition's state, and the two states that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from interventions.rows import STATE_KEY, BrokenRowError
from models.storage import Row, Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from interventions.ledger import LedgerPartition
    from models.core import PartitionCore


class Output(NamedTuple):
    """One record to publish: logical topic, Kafka key, value."""

    topic: str
    key: bytes
    value: bytes


class State(Protocol):
    """One partition's state as the engine sees it: rows to write, then outputs to publish, then a mark."""

    def take(self) -> list[Row]:
        """The rows of the next write, the partition row last; nothing if nothing changed."""

    def confirm(self) -> None:
        """The rows taken last are durable."""

    def outputs(self) -> list[Output]:
        """What the writes confirmed so far allow to publish."""

    def published(self) -> None:
        """What `outputs` gave is on its topics."""

    def restore(self, rows: Iterable[Row]) -> list[tuple[bytes, str]]:
        """Take rows in log order; (key, why) of those that cannot be read and are left out.

        Raises a RowError for a row without which nothing can be right.
        """

    def finish(self) -> None:
        """All rows are restored. Raises a RowError when something is missing."""

    def everything(self) -> Iterator[Row]:
        """All rows for a checkpoint that stands right behind the last `take`."""


class CustomersState:
    """The feature table, cohorts and pending alerts of one partition."""

    def __init__(self, core: PartitionCore) -> None:
        self.core = core
        self._storage = Storage(core)

    def take(self) -> list[Row]:
        """See `State`; also writes when only the mark of what was published has moved."""
        return self._storage.take()

    def confirm(self) -> None:
        """See `State`."""
        self._storage.confirm()

    def outputs(self) -> list[Output]:
        """See `State`: alerts, by customer in the order they were raised."""
        return [
            Output("churn-alerts", user.encode(), pending.value)
            for user, alerts in sorted(self.core.pending.items())
            for pending in alerts
            if pending.seq <= self.core.seq
        ]

    def published(self) -> None:
        """See `State`."""
        self._storage.mark_published(self.core.seq)

    def restore(self, rows: Iterable[Row]) -> list[tuple[bytes, str]]:
        """See `State`."""
        return self._storage.restore(rows)

    def finish(self) -> None:
        """See `State`."""
        self._storage.finish()

    def everything(self) -> Iterator[Row]:
        """See `State`."""
        return self._storage.everything()


class _Command(msgspec.Struct):
    dry_run: bool


_command = msgspec.json.Decoder(_Command)


class LedgerState:
    """The ledger of one partition. Commands from replayed history go out only with `live_commands`."""

    def __init__(self, ledger: LedgerPartition, *, live_commands: bool) -> None:
        self.ledger = ledger
        self._live_commands = live_commands
        self._tombstones: list[bytes] = []

    def erase(self, user: str, user_hash: int, ts: int) -> None:
        """Forget a customer; the tombstone goes out with the next write."""
        self._tombstones.append(self.ledger.erase(user, user_hash, ts))

    def take(self) -> list[Row]:
        """See `State`."""
        tombstones, self._tombstones = self._tombstones, self.ledger.take_forgotten()
        return [*((key, self.ledger.value_of(key)) for key in tombstones), *self.ledger.dirty_rows()]

    def confirm(self) -> None:
        """See `State`: the ledger needs no word of it."""

    def outputs(self) -> list[Output]:
        """See `State`: decisions and commands in the order they were made."""
        return [Output(*each) for each in self.ledger.pending() if self._goes_out(each.topic, each.value)]

    def _goes_out(self, topic: str, value: bytes) -> bool:
        return self._live_commands or not topic.startswith("commands.") or not _command.decode(value).dry_run

    def published(self) -> None:
        """See `State`."""
        self.ledger.mark_published(self.ledger.seq)

    def restore(self, rows: Iterable[Row]) -> list[tuple[bytes, str]]:
        """See `State`; a newer churnwatch's rows are not left out: customers would be contacted again."""
        broken = []
        for key, value in rows:
            try:
                self.ledger.restore(key, value)
            except BrokenRowError as error:
                if key == STATE_KEY:
                    raise
                broken.append((key, str(error)))
        return broken

    def finish(self) -> None:
        """See `State`."""
        self.ledger.finish_recovery()

    def everything(self) -> Iterator[Row]:
        """See `State`."""
        return iter(msgspec.msgpack.decode(self.ledger.snapshot(), type=list[tuple[bytes, bytes]]))
