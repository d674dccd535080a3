"""A small shop that lives for a month: customers who come, buy, complain, leave and are forgotten.

The log is the same for the same seed. Every day of a customer is either a visit or one event that speaks for
itself (a trigger): what a trigger finds of its customer then does not hang on which topic was read first.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from features.layout import DAY_MS
from streams.sources import SourceEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Midnight of 2024-03-01, the first day of the log.
START: Final = 19_783 * DAY_MS
DAYS: Final = 30

_TRIGGERS: Final = ("review", "survey", "refund", "cancel", "unsubscribed", "complained")
_BROWSING: Final = ("page_view", "search", "view_item", "add_to_cart", "begin_checkout", "login")


def shop_log(customers: int, days: int = DAYS, seed: int = 3) -> list[SourceEvent]:
    """Everything that happens, by time."""
    rng = random.Random(seed)
    found = [event for number in range(customers) for event in _Customer(f"u{number}", rng, days).life()]
    return sorted(found, key=lambda event: (event.ts, event.value))


def purchase(user: str, ts: int, number: int = 0) -> bytes:
    """A purchase of its own for each user, time and number."""
    order = f"{user}-{ts}-{number}"
    return msgspec.json.encode(
        {
            "type": "purchase",
            "event_id": order,
            "user_id": user,
            "ts": ts,
            "transaction_id": order,
            "value": 20.0,
            "currency": "EUR",
        }
    )


def complaint(user: str, ts: int) -> bytes:
    """A review that triggers an alert."""
    review = {"type": "review", "event_id": f"{user}-complaint", "user_id": user, "ts": ts, "rating": 1}
    return msgspec.json.encode(review)


class _Customer:
    def __init__(self, user: str, rng: random.Random, days: int) -> None:
        self.user, self.rng = user, rng
        self.first = min(int(rng.expovariate(1 / 4)), days - 1)
        self.last = min(self.first + 2 + int(rng.expovariate(1 / 12)), days - 1)
        self.liveliness = rng.betavariate(2, 3)
        self.number = 0

    def life(self) -> Iterator[SourceEvent]:
        rng = self.rng
        yield from self._arrival(self.first)
        for day in range(self.first + 1, self.last):
            if rng.random() < 0.02:
                yield self._trigger(day)
            elif rng.random() < self.liveliness:
                yield from self._visit(day)
        if rng.random() < 0.02:
            yield self._event("customers", "erasure", self._time(self.last))

    def _arrival(self, day: int) -> Iterator[SourceEvent]:
        consent = {name: self.rng.random() < 0.6 for name in ("email", "sms", "call", "onsite")}
        yield self._event("customers", "profile", self._time(day), consent=consent, timezone="Europe/Berlin")
        yield self._purchase(self._time(day))

    def _visit(self, day: int) -> Iterator[SourceEvent]:
        rng = self.rng
        for _ in range(rng.randrange(1, 5)):
            name, ts = rng.choice(_BROWSING), self._time(day)
            fields = {"query": "red shoes"} if name == "search" else {"item_category": f"c{rng.randrange(6)}"}
            yield self._event("clickstream", name, ts, **fields)
        if rng.random() < 0.5:
            yield self._purchase(self._time(day))
        if rng.random() < 0.1:
            yield self._event("reviews", "review", self._time(day), rating=rng.choice([3, 4, 5]))
        if rng.random() < 0.05:
            yield self._event("outcomes", "opened", self._time(day), command_id="newsletter")

    def _purchase(self, ts: int) -> SourceEvent:
        value = round(self.rng.lognormvariate(3.5, 0.8), 2)
        order = f"{self.user}-{self.number}"
        return self._event("orders", "purchase", ts, transaction_id=order, value=value, currency="EUR")

    def _trigger(self, day: int) -> SourceEvent:
        name = self.rng.choice(_TRIGGERS)
        order = {"transaction_id": f"{self.user}-1"}
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            "review": ("reviews", {"rating": 1}),
            "survey": ("reviews", {"score": 0}),
            "refund": ("orders", order | {"value": 5.0, "currency": "EUR"}),
            "cancel": ("orders", order),
            "unsubscribed": ("outcomes", {"command_id": "newsletter", "channel": "email"}),
            "complained": ("outcomes", {"command_id": "newsletter"}),
        }
        topic, fields = kinds[name]
        return self._event(topic, name, self._time(day), **fields)

    def _time(self, day: int) -> int:
        return START + day * DAY_MS + self.rng.randrange(6 * 3_600_000, DAY_MS)

    def _event(self, topic: str, name: str, ts: int, **fields: Any) -> SourceEvent:
        self.number += 1
        envelope = {"type": name, "event_id": f"{self.user}.{self.number}", "user_id": self.user, "ts": ts}
        return SourceEvent(topic, self.user, ts, msgspec.json.encode(envelope | fields))
