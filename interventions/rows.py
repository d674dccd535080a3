"""What the ledger stores: one row per customer, one per partition, one per erased customer.

A value is one byte of kind, one byte of version and a msgpack array. Fields are only ever appended,
with defaults, so that a row of an older version is read with new fields missing.

    RowError
    ├── NewerRowError
    └── BrokenRowError
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from interventions.budget import DailyBudget
from interventions.caps import Contact
from interventions.commands import Action, Withheld
from models.alerts import Alert, Status, Tier
from models.marks import Mark

#: Version this code writes; it reads all up to it.
VERSION = 2

#: Decisions and outcomes remembered per customer.
REMEMBERED = 8

#: Bytes of unpublished outputs in one row beyond which no more alerts of its customer are decided. A row with
#: one more decision is still far below the megabyte that brokers take by default.
MAX_PENDING_BYTES = 256 * 1024

#: Changelog key of the partition's own row. A customer's is `user_key(user_id)`.
STATE_KEY = b"p"

RowT = TypeVar("RowT", bound=msgspec.Struct)


class RowError(ValueError):
    """A stored ledger row cannot be read."""


class NewerRowError(RowError):
    """A row was written by a newer churnwatch than this one."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"ledger row has version {version}, this churnwatch reads up to {VERSION}: upgrade")


class BrokenRowError(RowError):
    """A row is not what the ledger writes."""


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of one decision: enough to recognise its alert, and to show it."""

    alert_id: str
    status: Status
    tier: Tier
    ts: int
    action: Action
    withheld: Withheld | None
    mark: Mark

    def is_about(self, alert: Alert) -> bool:
        """Whether this was decided for the same alert at the same stage of its life."""
        return (self.alert_id, self.status, self.tier) == (alert.alert_id, alert.status, alert.tier)


class Episode(msgspec.Struct, frozen=True, array_like=True):
    """The customer's latest episode and the actions commanded in it; open while `closed_at` is None."""

    alert_id: str
    tier: Tier
    since: int
    actions: tuple[Action, ...] = ()
    closed_at: int | None = None
    #: Under which the actions were commanded.
    mark: Mark = "live"


class Outcome(msgspec.Struct, frozen=True, array_like=True, order=True):
    """What became of a command: delivered, opened, clicked, ... at `ts` (epoch ms)."""

    ts: int
    command_id: str
    kind: str


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """The complete outputs of one decision and what it charged, kept until they are published.

    `seq` is the partition's write that carries them, `offset` the alert's. The charge stands here
    because a crash may keep this row and lose the partition row that sums the charges up.
    """

    seq: int
    offset: int
    #: (logical topic, encoded value), in the order of publishing.
    outputs: tuple[tuple[str, bytes], ...]
    #: The UTC day charged, days since 1970.
    day: int
    cost_micros: int
    mark: Mark


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """An alert that the budget had nothing left for, without its reasons.

    It is decided again at later decision times, before `until` (epoch ms), as long as its mark is today's.
    """

    alert: Alert
    mark: Mark
    until: int


class LedgerRow(msgspec.Struct, array_like=True):
    """One customer: what was decided, sent and heard back."""

    #: Offset of the last alert taken in; anything up to it was seen.
    stamp: int = -1
    episode: Episode | None = None
    #: The last `REMEMBERED` decisions, oldest first.
    decided: tuple[Decided, ...] = ()
    contacts: list[Contact] = []
    #: The last `REMEMBERED` outcomes, oldest first.
    outcomes: tuple[Outcome, ...] = ()
    pending: tuple[Pending, ...] = ()
    waiting: Waiting | None = None

    @property
    def crowded(self) -> bool:
        """Whether so much waits to be published that one decision more could make the row too large."""
        outputs = (value for entry in self.pending for _, value in entry.outputs)
        return sum(map(len, outputs)) > MAX_PENDING_BYTES

    @property
    def newest(self) -> int:
        """When something was last decided, planned or heard of this customer (epoch ms); 0 for never."""
        decided, heard = (each.ts for each in self.decided), (each.ts for each in self.outcomes)
        return max((*decided, *heard, *(each.at for each in self.contacts)), default=0)


class PartitionRow(msgspec.Struct, array_like=True):
    """One partition; written last, so its presence proves that its write is complete."""

    #: The last write handed out, counted from 1.
    seq: int = 0
    #: The last write whose outputs are known to be published.
    published_seq: int = 0
    #: Offset of the newest alert taken in.
    offset: int = -1
    live: DailyBudget = msgspec.field(default_factory=DailyBudget)
    rehearsal: DailyBudget = msgspec.field(default_factory=DailyBudget)
    #: Offset up to which every alert was decided, its customer forgotten or not.
    forgotten: int = -1
    shadow: DailyBudget = msgspec.field(default_factory=DailyBudget)
    #: The last decision time (epoch ms) at which waiting alerts were decided again.
    retried: int = 0

    def book(self, mark: Mark) -> DailyBudget:
        """The budget that pays for the decisions of a mark: each mark has its own."""
        book: DailyBudget = getattr(self, mark)
        return book


class ErasedRow(msgspec.Struct, array_like=True):
    """Alerts up to `erased_at` (epoch ms) must not bring this customer back."""

    erased_at: int


_KINDS: dict[type[msgspec.Struct], bytes] = {LedgerRow: b"u", PartitionRow: b"p", ErasedRow: b"e"}
_DECODERS: dict[type[msgspec.Struct], msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in _KINDS
}


def user_key(user_id: str) -> bytes:
    """Changelog key of a customer's row."""
    return b"u" + user_id.encode()


def erased_key(user_hash: int) -> bytes:
    """Changelog key of what is left of an erased customer: the salted hash alone."""
    return b"e" + user_hash.to_bytes(8, "big")


def encode_row(row: msgspec.Struct) -> bytes:
    """The stored form of a row."""
    return _KINDS[type(row)] + bytes([VERSION]) + msgspec.msgpack.encode(row)


def decode_row(value: bytes, kind: type[RowT]) -> RowT:
    """Read a stored row. Raises NewerRowError for a version not known yet, BrokenRowError otherwise."""
    if len(value) < 3 or value[:1] != _KINDS[kind]:
        raise BrokenRowError(f"not a {kind.__name__}: {value[:8]!r}")
    if value[1] > VERSION:
        raise NewerRowError(value[1])
    try:
        if value[1] == 1:
            fields = _marked(msgspec.msgpack.decode(value[2:], type=list[Any]), kind)
            return msgspec.convert(fields, kind)
        row: RowT = _DECODERS[kind].decode(value[2:])
    except (msgspec.DecodeError, IndexError, TypeError) as error:
        raise BrokenRowError(f"{kind.__name__}: {error}") from error
    return row


def _marked(fields: list[Any], kind: type[msgspec.Struct]) -> list[Any]:
    """The fields of a version 1 row, whose entries said `dry_run` where they say their mark now."""
    if kind is LedgerRow:
        # (field of the row, place of the flag in each entry): decided, contacts, pending.
        for field, place in ((2, 6), (3, 3), (5, 5)):
            for entry in fields[field] if field < len(fields) else ():
                entry[place] = "rehearsal" if entry[place] else "live"
    return fields
