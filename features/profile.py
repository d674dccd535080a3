"""What the shop said of a customer: consent, time zone, loyalty tier, groups. The latest word counts.

Every field is a last-writer-wins register ordered by (`ts`, `event_id`), so a profile is a function of
the set of events and not of their order (DESIGN 4.1); see Shapiro et al., *Conflict-free Replicated Data
Types*, 2011. Profiles are read and changed rarely and kept for everybody, so they stay packed: some 150
bytes in memory, where a dictionary of registers takes 900.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from features.events import Consent, Event, ProfileChange, Unsubscribed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from features.fields import Channel

Value = str | bool | None
Stamp = tuple[int, str]

#: Groups that are kept of a customer. Of more, those first in the alphabet stay: a choice that, like
#: the registers, does not depend on the order of arrival.
MAX_ATTRIBUTES: Final = 16

#: Channels on which the shop speaks first; a coupon is only shown to who comes by.
_MESSAGES: Final = ("email", "sms", "call")
_CONSENT: Final[dict[str, str]] = {"coupon": "onsite"}
_ATTRIBUTE: Final = "@"


class _Registers(msgspec.Struct, array_like=True):
    """`fields`: name -> (value, index into `stamps`); `stamps`: the (ts, event_id) that wrote them."""

    fields: dict[str, tuple[Value, int]]
    stamps: list[Stamp]


class _Fields(msgspec.Struct, array_like=True):
    """The same without the stamps, which take most of the time to read."""

    fields: dict[str, tuple[Value, int]]


_encoder: Final = msgspec.msgpack.Encoder(order="sorted")
_decoder: Final = msgspec.msgpack.Decoder(_Registers)
_fields: Final = msgspec.msgpack.Decoder(_Fields)


class Profile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The registers of one customer, packed (MessagePack). Equal registers are equal bytes."""

    packed: bytes = _encoder.encode(_Registers({}, []))

    def consent(self, channel: Channel) -> bool | None:
        """What the customer said about `channel`; None if that is unknown."""
        value = self._read(_CONSENT.get(channel, channel))
        return value if isinstance(value, bool) else None

    @property
    def timezone(self) -> str | None:
        """IANA name as the shop gave it, not checked."""
        return _text(self._read("timezone"))

    @property
    def locale(self) -> str | None:
        """BCP 47 tag as the shop gave it, not checked."""
        return _text(self._read("locale"))

    @property
    def tier(self) -> str | None:
        """Loyalty tier in the shop's words."""
        return _text(self._read("tier"))

    @property
    def attributes(self) -> dict[str, str]:
        """Groups for fairness audits by name, at most MAX_ATTRIBUTES."""
        fields = _decoder.decode(self.packed).fields
        return {
            name.removeprefix(_ATTRIBUTE): value
            for name, (value, _) in fields.items()
            if name.startswith(_ATTRIBUTE) and isinstance(value, str)
        }

    def groups(self, names: Sequence[str]) -> list[str | None]:
        """The customer's group by each of these attributes; None where that is unknown."""
        fields = _fields.decode(self.packed).fields
        return [_text(fields.get(_ATTRIBUTE + name, (None, 0))[0]) for name in names]

    @property
    def said(self) -> dict[str, Value]:
        """All that is known, by name, consents as the shop named their channels; groups begin with `@`."""
        return {name: value for name, (value, _) in sorted(_decoder.decode(self.packed).fields.items())}

    def _read(self, name: str) -> Value:
        value, _ = _decoder.decode(self.packed).fields.get(name, (None, 0))
        return value


def merge(profile: Profile | None, event: Event) -> Profile:
    """`profile` (None: nothing known yet) after `event`. Events that say nothing of it change nothing.

    Commutative, associative and idempotent over events. Of two events with the same (`ts`, `event_id`)
    that contradict each other, the refusal counts.
    """
    known = profile or Profile()
    changes = dict(_changes(event))
    if not changes:
        return known
    registers = _decoder.decode(known.packed)
    written = {name: (registers.stamps[index], value) for name, (value, index) in registers.fields.items()}
    for name, value in changes.items():
        new = ((event.ts, event.event_id), value)
        if name not in written or _order(*new) > _order(*written[name]):
            written[name] = new
    return Profile(_encoder.encode(_packable(written)))


def _changes(event: Event) -> Iterator[tuple[str, Value]]:
    if isinstance(event, Unsubscribed):
        for channel in (event.channel,) if event.channel else _MESSAGES:
            yield _CONSENT.get(channel, channel), False
    elif isinstance(event, ProfileChange):
        for owner, names in (
            (event.consent, Consent.__struct_fields__),
            (event, ("timezone", "locale", "tier")),
        ):
            for name in names:
                if (value := getattr(owner, name)) is not UNSET:
                    yield name, value
        for name, value in event.attributes.items():
            yield _ATTRIBUTE + name, value


def _order(stamp: Stamp, value: Value) -> tuple[Stamp, bool, str]:
    return stamp, value is False, str(value)


def _packable(written: dict[str, tuple[Stamp, Value]]) -> _Registers:
    surplus = sorted(name for name in written if name.startswith(_ATTRIBUTE))[MAX_ATTRIBUTES:]
    for name in surplus:
        del written[name]
    # One event writes several fields as a rule, so stamps are kept once each.
    stamps = sorted({stamp for stamp, _ in written.values()})
    index = {stamp: i for i, stamp in enumerate(stamps)}
    return _Registers({name: (value, index[stamp]) for name, (stamp, value) in written.items()}, stamps)


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None
