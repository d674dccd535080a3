"""Events: what the input topics carry, one struct per type, and how types are numbered.

The wire contract *is* these types: decoding, `docs/contracts.md` and the AsyncAPI document follow from
them. Unknown fields are ignored; a field without default is required; null is as good as absent where
the default is None. Names are those of Google Analytics 4; `inputs` says which topic carries which type,
and adds the names of Segment's specification.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from features.fields import (
    Channel,
    CurrencyCode,
    Dwell,
    Id,
    LateDays,
    Locale,
    Loyalty,
    Money,
    Price,
    Quantity,
    Rating,
    Score,
    Short,
    Timestamp,
    TimeZone,
    epoch_ms,
)

if TYPE_CHECKING:
    from datetime import datetime


@unique
class Kind(IntEnum):
    """Number of an event type, dense from 0: what columns hold."""

    TICK = 0
    PAGE_VIEW = 1
    SEARCH = 2
    VIEW_ITEM = 3
    ADD_TO_CART = 4
    REMOVE_FROM_CART = 5
    ADD_TO_WISHLIST = 6
    BEGIN_CHECKOUT = 7
    LOGIN = 8
    PURCHASE = 9
    REFUND = 10
    CANCEL = 11
    DELIVERY = 12
    REVIEW = 13
    SURVEY = 14
    SUPPORT = 15
    PROFILE = 16
    ERASURE = 17
    DELIVERED = 18
    OPENED = 19
    CLICKED = 20
    REDEEMED = 21
    UNSUBSCRIBED = 22
    COMPLAINED = 23
    REPLIED = 24


#: Kinds that score their customer at once.
TRIGGERS: Final = frozenset({Kind.REFUND, Kind.CANCEL, Kind.COMPLAINED, Kind.UNSUBSCRIBED})
#: Kinds that do so when what they say is bad.
TRIGGERS_IF_BAD: Final = frozenset({Kind.REVIEW, Kind.SURVEY})


def _snake(name: str) -> str:
    """`AddToCart` -> `add_to_cart`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Tick(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag=_snake):
    """A promise to one partition of one topic: nothing before `ts` follows. It belongs to no customer."""

    kind: ClassVar = Kind.TICK
    ts: Timestamp
    #: The replay session that promises it; nobody else's promise is believed.
    session: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag=_snake):
    """Envelope of all events: who, when, and by which id a retry is recognised."""

    # No event refers to another, so none needs the garbage collector (gc=False).
    kind: ClassVar[Kind]
    event_id: Id
    user_id: Id
    ts: Timestamp


class ClickstreamEvent(Event, frozen=True, kw_only=True):
    """What all events of `clickstream` may carry."""

    session_id: Id | None = None
    item_id: Id | None = None
    item_category: str | None = None
    price: Money | None = None
    quantity: Quantity | None = None
    dwell_ms: Dwell | None = None
    device: str | None = None


class PageView(ClickstreamEvent, frozen=True, kw_only=True):
    """A page was shown."""

    kind: ClassVar = Kind.PAGE_VIEW


class Search(ClickstreamEvent, frozen=True, kw_only=True):
    """The shop was searched."""

    kind: ClassVar = Kind.SEARCH
    query: str


class ViewItem(ClickstreamEvent, frozen=True, kw_only=True):
    """An item's page was shown."""

    kind: ClassVar = Kind.VIEW_ITEM


class AddToCart(ClickstreamEvent, frozen=True, kw_only=True):
    """An item was put into the cart."""

    kind: ClassVar = Kind.ADD_TO_CART


class RemoveFromCart(ClickstreamEvent, frozen=True, kw_only=True):
    """An item was taken out of the cart."""

    kind: ClassVar = Kind.REMOVE_FROM_CART


class AddToWishlist(ClickstreamEvent, frozen=True, kw_only=True):
    """An item was put on the wish list."""

    kind: ClassVar = Kind.ADD_TO_WISHLIST


class BeginCheckout(ClickstreamEvent, frozen=True, kw_only=True):
    """The checkout was entered."""

    kind: ClassVar = Kind.BEGIN_CHECKOUT


class Login(ClickstreamEvent, frozen=True, kw_only=True):
    """The customer signed in."""

    kind: ClassVar = Kind.LOGIN


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One line of an order."""

    item_id: Id
    item_category: str | None = None
    price: Price
    quantity: Quantity


class Purchase(Event, frozen=True, kw_only=True):
    """An order was placed: the event whose absence is churn."""

    kind: ClassVar = Kind.PURCHASE
    transaction_id: Id
    value: Annotated[Money, Meta(description="what the customer pays for the order")]
    currency: CurrencyCode
    coupon: str | None = None
    #: Empty when only the total is known.
    items: Annotated[tuple[Item, ...], Meta(max_length=1000)] = ()


class Refund(Event, frozen=True, kw_only=True):
    """Money went back for an order, in whole or in part."""

    kind: ClassVar = Kind.REFUND
    transaction_id: Id
    value: Annotated[Money, Meta(description="what went back, as a positive amount")]
    currency: CurrencyCode


class Cancel(Event, frozen=True, kw_only=True):
    """An order was called off."""

    kind: ClassVar = Kind.CANCEL
    transaction_id: Id


class Delivery(Event, frozen=True, kw_only=True):
    """An order arrived."""

    kind: ClassVar = Kind.DELIVERY
    transaction_id: Id
    late_days: LateDays | None = None


class Review(Event, frozen=True, kw_only=True):
    """A review of an item or of the shop."""

    kind: ClassVar = Kind.REVIEW
    rating: Rating | None = None
    text: str | None = None
    item_id: Id | None = None
    language: Locale | None = None


class Survey(Event, frozen=True, kw_only=True):
    """An answer to a survey."""

    kind: ClassVar = Kind.SURVEY
    score: Score
    text: str | None = None


class Support(Event, frozen=True, kw_only=True):
    """The customer turned to support."""

    kind: ClassVar = Kind.SUPPORT
    text: str
    channel: Annotated[str, Meta(description="such as `ticket`, `chat`, `call`")]


class Consent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Consent per channel: true, false, or null for unknown again; absent ones stay as they were."""

    email: bool | UnsetType | None = UNSET
    sms: bool | UnsetType | None = UNSET
    call: bool | UnsetType | None = UNSET
    onsite: bool | UnsetType | None = UNSET


class ProfileChange(Event, frozen=True, kw_only=True, tag="profile"):
    """What the shop knows of a customer. Only the fields present change; null makes them unknown."""

    kind: ClassVar = Kind.PROFILE
    consent: Consent = Consent()
    timezone: TimeZone | UnsetType | None = UNSET
    locale: Locale | UnsetType | None = UNSET
    tier: Loyalty | UnsetType | None = UNSET
    attributes: Annotated[
        dict[Short, Short | None], Meta(max_length=16, description="groups for fairness audits")
    ] = {}


class Erasure(Event, frozen=True, kw_only=True):
    """Forget this customer and all events up to `ts` (GDPR article 17)."""

    kind: ClassVar = Kind.ERASURE


class Outcome(Event, frozen=True, kw_only=True):
    """What became of a command."""

    command_id: Id
    channel: Channel | None = None


class Delivered(Outcome, frozen=True, kw_only=True):
    """The message reached the customer's inbox, phone or screen."""

    kind: ClassVar = Kind.DELIVERED


class Opened(Outcome, frozen=True, kw_only=True):
    """The message was opened."""

    kind: ClassVar = Kind.OPENED


class Clicked(Outcome, frozen=True, kw_only=True):
    """A link in the message was followed."""

    kind: ClassVar = Kind.CLICKED


class Redeemed(Outcome, frozen=True, kw_only=True):
    """The offer was used."""

    kind: ClassVar = Kind.REDEEMED


class Unsubscribed(Outcome, frozen=True, kw_only=True):
    """The customer wants no more of this channel, or no more messages at all if none is given."""

    kind: ClassVar = Kind.UNSUBSCRIBED


class Complained(Outcome, frozen=True, kw_only=True):
    """The customer complained about the message, or marked it as spam."""

    kind: ClassVar = Kind.COMPLAINED


class Replied(Outcome, frozen=True, kw_only=True):
    """The customer answered the message."""

    kind: ClassVar = Kind.REPLIED


def ts_ms(event: Event | Tick) -> int:
    """Time of `event` in epoch milliseconds. Of a decoded event that is `event.ts` itself."""
    ts: int | datetime = event.ts
    return ts if isinstance(ts, int) else epoch_ms(ts)
