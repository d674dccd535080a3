"""The input topics: which event types each carries, under which names."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from features import events as e

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Event types by logical topic, without the tick that every topic carries besides.
EVENT_TYPES: Final[Mapping[str, tuple[type[e.Event], ...]]] = MappingProxyType(
    {
        "clickstream": (
            e.PageView,
            e.Search,
            e.ViewItem,
            e.AddToCart,
            e.RemoveFromCart,
            e.AddToWishlist,
            e.BeginCheckout,
            e.Login,
        ),
        "orders": (e.Purchase, e.Refund, e.Cancel, e.Delivery),
        "reviews": (e.Review, e.Survey, e.Support),
        "customers": (e.ProfileChange, e.Erasure),
        "outcomes": (
            e.Delivered,
            e.Opened,
            e.Clicked,
            e.Redeemed,
            e.Unsubscribed,
            e.Complained,
            e.Replied,
        ),
    }
)

#: Names of Segment's specifications (page, e-commerce, B2B SaaS, e-mail) for the same types.
ALIASES: Final[Mapping[str, type[e.Event]]] = MappingProxyType(
    {
        "page": e.PageView,
        "Products Searched": e.Search,
        "Product Viewed": e.ViewItem,
        "Product Added": e.AddToCart,
        "Product Removed": e.RemoveFromCart,
        "Product Added to Wishlist": e.AddToWishlist,
        "Checkout Started": e.BeginCheckout,
        "Signed In": e.Login,
        "Order Completed": e.Purchase,
        "Order Refunded": e.Refund,
        "Order Cancelled": e.Cancel,
        "Product Reviewed": e.Review,
        "Email Delivered": e.Delivered,
        "Email Opened": e.Opened,
        "Email Link Clicked": e.Clicked,
        "Email Marked as Spam": e.Complained,
        "Unsubscribed": e.Unsubscribed,
    }
)


def type_name(kind: type[msgspec.Struct]) -> str:
    """The value of `type` that stands for an event type.

    >>> type_name(e.AddToCart)
    'add_to_cart'
    """
    return str(kind.__struct_config__.tag)


#: The topic of every type name, aliases included; ticks belong to all topics and are not here.
TOPIC_OF: Final[Mapping[str, str]] = MappingProxyType(
    {type_name(kind): topic for topic, kinds in EVENT_TYPES.items() for kind in kinds}
    | {
        alias: topic
        for alias, kind in ALIASES.items()
        for topic, kinds in EVENT_TYPES.items()
        if kind in kinds
    }
)


def wire_types(topic: str) -> tuple[type[msgspec.Struct], ...]:
    """All structs that may stand in `topic`: its types, one subclass for each alias, and the tick.

    An alias is a subclass that differs only in its tag, so it costs the decoder nothing; it is an
    instance of its type and has its `kind`. Raises KeyError for a topic that is no input.
    """
    types = EVENT_TYPES[topic]
    aliases = [
        msgspec.defstruct(f"{kind.__name__}Alias", [], bases=(kind,), tag=name)
        for name, kind in ALIASES.items()
        if kind in types
    ]
    return (*types, *aliases, e.Tick)
