"""The events of the workload as msgspec types: decoding one validates it, as churnwatch's own types do."""

from __future__ import annotations

from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Millis = Annotated[int, msgspec.Meta(ge=0, lt=1 << 43)]
Money = Annotated[float, msgspec.Meta(ge=0, lt=1e12)]
Rating = Annotated[float, msgspec.Meta(ge=0, le=10)]


class _Event(msgspec.Struct, tag_field="type", gc=False):
    event_id: Id
    user_id: Id
    ts: Millis


class _Browse(_Event):
    session_id: str = ""
    item_id: str = ""
    item_category: str = ""
    price: Money = 0.0
    quantity: int = 1
    dwell_ms: int = 0
    device: str = ""


class PageView(_Browse, tag="page_view"):
    """A page was seen."""


class Search(_Browse, tag="search"):
    """The shop was searched."""

    query: str = ""


class ViewItem(_Browse, tag="view_item"):
    """An item was seen."""


class Login(_Browse, tag="login"):
    """The user signed in."""


class AddToCart(_Browse, tag="add_to_cart"):
    """An item went into the cart."""


class BeginCheckout(_Browse, tag="begin_checkout"):
    """The checkout was opened."""


class Item(msgspec.Struct, gc=False):
    """One line of a purchase."""

    item_id: Id
    price: Money
    quantity: int
    item_category: str = ""


class Purchase(_Event, tag="purchase"):
    """An order was paid."""

    transaction_id: Id
    value: Money
    currency: str
    items: list[Item]
    coupon: str = ""


class Refund(_Event, tag="refund"):
    """Money went back."""

    transaction_id: Id
    value: Money
    currency: str


class Cancel(_Event, tag="cancel"):
    """An order was called off."""

    transaction_id: Id


class Review(_Event, tag="review"):
    """An item was rated, 1 to 5."""

    rating: Rating
    text: str = ""
    item_id: str = ""


class Survey(_Event, tag="survey"):
    """A satisfaction question was answered, 0 to 10."""

    score: Rating
    text: str = ""


class Support(_Event, tag="support"):
    """The user wrote or called."""

    text: str
    channel: str


Event = (
    PageView | Search | ViewItem | Login | AddToCart | BeginCheckout
    | Purchase | Refund | Cancel | Review | Survey | Support
)  # fmt: skip

#: Decode and validate one record's value; raises `msgspec.DecodeError` if it is no event.
decode = msgspec.json.Decoder(Event).decode
