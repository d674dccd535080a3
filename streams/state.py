"""What the durability engine needs of a partition's state, and the two states that exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from interventions.rows import STATE_KEY, NewerRowError, RowError
from models.storage import Row, Storage
from streams.outputs import Output, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from features.rejection import Rejected
    from interventions.ledger import LedgerPartition
    from models.core import PartitionCore


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
        """Take rows in log order; (key, why) of those that cannot be read and are left out."""

    def finish(self) -> None:
        """All rows are restored. Raises a RowError for a row without which nothing can be right."""

    def rewrite(self, keys: AbstractSet[bytes]) -> None:
        """Have the next write repeat what is true of `keys`: void rows cover it up. After `finish`."""

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
        """See `State`: alerts by write, those most at risk first."""
        waiting = [
            (pending.seq, -pending.probability, user, place, pending.value)
            for user, alerts in self.core.pending.items()
            for place, pending in enumerate(alerts)
            if pending.seq <= self.core.seq
        ]
        return [Output("churn-alerts", user.encode(), value) for *_, user, _, value in sorted(waiting)]

    def published(self) -> None:
        """See `State`."""
        self._storage.mark_published(self.core.seq)

    def restore(self, rows: Iterable[Row]) -> list[tuple[bytes, str]]:
        """See `State`."""
        return self._storage.restore(rows)

    def finish(self) -> None:
        """See `State`."""
        self._storage.finish()

    def rewrite(self, keys: AbstractSet[bytes]) -> None:
        """See `State`."""
        self._storage.rewrite(keys)

    def everything(self) -> Iterator[Row]:
        """See `State`."""
        return self._storage.everything()


class LedgerState:
    """The ledger of one partition. Commands for gateways go out only from a worker that `sends` them."""

    def __init__(self, ledger: LedgerPartition, *, sends: bool) -> None:
        self.ledger = ledger
        self._sends = sends
        self._tombstones: list[bytes] = []
        #: By key: what cannot be left out, unless something better follows.
        self._fatal: dict[bytes, RowError] = {}
        #: Outputs that cannot be published, and why; for dead letters.
        self.refused: list[tuple[Output, Rejected]] = []
        self._withheld: list[tuple[Output, Rejected]] = []

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
        pending = map(Output._make, self.ledger.pending())
        judged = [(output, refusal(output, sends=self._sends)) for output in pending]
        self._withheld = [(output, why) for output, why in judged if why is not None]
        return [output for output, why in judged if why is None]

    def published(self) -> None:
        """See `State`. What cannot be published is `refused` instead, once."""
        self.refused += self._withheld
        self._withheld = []
        self.ledger.mark_published(self.ledger.seq)

    def restore(self, rows: Iterable[Row]) -> list[tuple[bytes, str]]:
        """See `State`."""
        broken = []
        for key, value in rows:
            try:
                self.ledger.restore(key, value)
                self._fatal.pop(key, None)
            except RowError as error:
                if key == STATE_KEY or isinstance(error, NewerRowError):
                    self._fatal[key] = error
                else:
                    broken.append((key, str(error)))
        return broken

    def finish(self) -> None:
        """See `State`; a newer churnwatch's rows are not left out: customers would be contacted again."""
        for error in self._fatal.values():
            raise error
        self.ledger.finish_recovery()

    def rewrite(self, keys: AbstractSet[bytes]) -> None:
        """See `State`."""
        self._tombstones += sorted(key for key in keys if not self.ledger.touch(key))

    def everything(self) -> Iterator[Row]:
        """See `State`."""
        return iter(msgspec.msgpack.decode(self.ledger.snapshot(), type=list[tuple[bytes, bytes]]))
