"""A shop that never closes: its events day by day, as a careless platform would send them.

Customers come, buy, complain and go. Some events are sent twice, some arrive hours after younger ones and a
few so late that they must not count. What a day brings is the same for the same seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPICS: Final = ("clickstream", "orders", "reviews", "customers", "outcomes")
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
#: Midnight of 2025-01-01, the first day.
START: Final = 20_089 * DAY_MS

#: An event that takes longer than this is late: `model.allowed_lateness_hours` of the storms.
LATENESS_MS: Final = 6 * HOUR_MS
#: What the network delays a third of the events by, at most; ticks promise nothing younger.
DISORDER_MS: Final = 5 * HOUR_MS
_DISORDERLY, _LATE, _SENT_TWICE = 0.3, 0.01, 0.03

_BROWSING: Final = ("page_view", "view_item", "search", "add_to_cart", "begin_checkout", "login")


class Sent(NamedTuple):
    """One message as it goes out, at event time `at`."""

    at: int
    topic: str
    user: str
    value: bytes


@dataclass
class Shop:
    """`arrivals` new customers a day; `day` must be asked for in order, from 0 on."""

    arrivals: int
    seed: int = 1
    _alive: list[_Customer] = field(default_factory=list)
    _late: list[Sent] = field(default_factory=list)

    def day(self, number: int) -> list[Sent]:
        """Everything that is sent on a day, in the order of sending."""
        rng = random.Random(f"{self.seed}/{number}")
        self._alive += [_Customer(f"c{number}-{i}", rng) for i in range(self.arrivals)]
        events = [event for customer in self._alive for event in customer.lives(number)]
        self._alive = [customer for customer in self._alive if customer.stays]
        sent = self._late + [copy for event in events for copy in _on_the_way(rng, *event)]
        end = day_start(number + 1)
        self._late = [each for each in sent if each.at >= end]
        return sorted(each for each in sent if each.at < end)


def day_start(number: int) -> int:
    """Midnight at which day `number` begins, epoch ms."""
    return START + number * DAY_MS


def _on_the_way(rng: random.Random, topic: str, event: dict[str, Any]) -> Iterator[Sent]:
    ts, user, value = event["ts"], event["user_id"], orjson.dumps(event)
    delay = rng.randrange(DISORDER_MS) if rng.random() < _DISORDERLY else rng.randrange(1_000)
    # What a customer says of themselves counts however late it is, so only the rest can come too late.
    if topic in TOPICS[:3] and rng.random() < _LATE:
        delay = LATENESS_MS + rng.randrange(HOUR_MS, 12 * HOUR_MS)
    yield Sent(ts + delay, topic, user, value)
    if rng.random() < _SENT_TWICE:
        yield Sent(ts + delay + rng.randrange(30_000), topic, user, value)


class _Customer:
    """Each complains by one way only, at most once a day: what a trigger finds must not hang on polling."""

    def __init__(self, user: str, rng: random.Random) -> None:
        self.user = user
        self.rng = random.Random(rng.random())
        self.days = 1 + int(self.rng.expovariate(1 / 12))
        self.eagerness = self.rng.betavariate(2, 3)
        self.complains_by = self.rng.choice(("orders", "reviews", "outcomes"))
        self.number = 0
        self.orders: list[str] = []
        self.stays = True

    def lives(self, day: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """(topic, event) of one day."""
        if not self.number:
            consent = {name: self.rng.random() < 0.6 for name in ("email", "sms", "call", "onsite")}
            yield self._event("customers", "profile", day, 0, consent=consent, timezone="Europe/Berlin")
            yield self._purchase(day, 1)
        if self.rng.random() < self.eagerness:
            yield from self._visit(day, self.rng.randrange(1, 21))
        if self.rng.random() < 0.03:
            yield from self._complaint(day)
        if self.rng.random() < 0.01:
            channel = self.rng.choice(("email", "sms", "call"))
            yield self._event("customers", "profile", day, 22, consent={channel: self.rng.random() < 0.5})
        self.days -= 1
        if not self.days:
            self.stays = False
            if self.rng.random() < 0.01:
                yield self._event("customers", "erasure", day, 23)

    def _visit(self, day: int, hour: int) -> Iterator[tuple[str, dict[str, Any]]]:
        for _ in range(self.rng.randrange(2, 12)):
            name = self.rng.choice(_BROWSING)
            detail = (
                {"query": "red shoes"} if name == "search" else {"item_category": f"k{self.rng.randrange(8)}"}
            )
            yield self._event("clickstream", name, day, hour, **detail)
        if self.rng.random() < 0.3:
            yield self._purchase(day, hour)
        if self.rng.random() < 0.1:
            yield self._event("reviews", "review", day, hour, rating=self.rng.choice((3, 4, 5)))
        if self.orders and self.rng.random() < 0.1:
            late = self.rng.randrange(3)
            yield self._event("orders", "delivery", day, hour, transaction_id=self.orders[-1], late_days=late)

    def _purchase(self, day: int, hour: int) -> tuple[str, dict[str, Any]]:
        order = f"{self.user}/{self.number}"
        self.orders.append(order)
        value = round(self.rng.lognormvariate(3.5, 0.8), 2)
        return self._event("orders", "purchase", day, hour, transaction_id=order, value=value, currency="EUR")

    def _complaint(self, day: int) -> Iterator[tuple[str, dict[str, Any]]]:
        ways: tuple[tuple[str, dict[str, Any]], ...] = ()
        if self.complains_by == "reviews":
            ways = ("review", {"rating": 1}), ("survey", {"score": 2})
        elif self.complains_by == "outcomes":
            command = {"command_id": "newsletter"}
            ways = ("complained", command), ("unsubscribed", command | {"channel": "email"})
        elif self.orders:
            order = {"transaction_id": self.orders.pop(0)}
            ways = ("refund", order | {"value": 5.0, "currency": "EUR"}), ("cancel", order)
        if ways:
            name, fields = self.rng.choice(ways)
            yield self._event(self.complains_by, name, day, 12, **fields)

    def _event(self, topic: str, name: str, day: int, hour: int, **fields: Any) -> tuple[str, dict[str, Any]]:
        self.number += 1
        ts = day_start(day) + hour * HOUR_MS + self.rng.randrange(HOUR_MS)
        envelope = {"type": name, "event_id": f"{self.user}.{self.number}", "user_id": self.user, "ts": ts}
        return topic, envelope | fields
