"""Deterministic traffic of a synthetic shop, and its way into a broker.

85 % of the events are clicks, 10 % orders, 5 % reviews and tickets; some users are far more active than
others; one event in fifty comes twice, as from a platform that retries. Same arguments, same bytes.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import orjson
from confluent_kafka import Producer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DAY_MS = 86_400_000
TOPICS = ("clickstream", "orders", "reviews")
DUPLICATE_SHARE = 0.02
#: A retry follows its original within so many events.
RETRY_WITHIN = 200
CATEGORIES = ("shoes", "shirts", "garden", "books", "toys", "kitchen", "audio", "bikes")

# Cumulated shares, looked up by bisection: random.choices would take most of the time.
_TOPIC_STEPS = (0.85, 0.95)
_CLICKS = ("page_view", "view_item", "add_to_cart", "search", "begin_checkout", "login")
_CLICK_STEPS = (0.40, 0.70, 0.82, 0.90, 0.95)
_STARS = (1, 2, 3, 4, 4, 5, 5, 5)
# Above 1: the lower a user number, the more active. At 1.3 the busiest of 100,000 has 0.014 % of the events.
_SKEW = 1.3


class Record(NamedTuple):
    """One Kafka record to be: logical topic, key (the user id's bytes) and JSON value."""

    topic: str
    key: bytes
    value: bytes


@dataclass(frozen=True)
class Workload:
    """What to generate. `days` is the span of event time that the events are spread over evenly."""

    events: int = 400_000
    users: int = 100_000
    seed: int = 7
    start_ms: int = 1_735_689_600_000  # 2025-01-01T00:00:00Z
    days: float = 3.0
    #: Share of the users whom new ones replace each day; 0 keeps the same users throughout.
    turnover: float = 0.0

    @property
    def end_ms(self) -> int:
        """Event time behind the last event."""
        return self.start_ms + int(self.days * DAY_MS)

    def first_user(self, ts: float) -> int:
        """Number of the oldest user who is still there at event time `ts`: there are `users` from them on."""
        return int((ts - self.start_ms) / DAY_MS * self.turnover * self.users)

    def records(self) -> Iterator[Record]:
        """Exactly `events` records in order of event time, retries (`DUPLICATE_SHARE` of them) included."""
        rng = random.Random(self.seed)
        retries: dict[int, list[Record]] = defaultdict(list)
        step = self.days * DAY_MS / self.events
        made = 0
        for slot in range(self.events):
            # By its place among all, retries included: the n-th record is of the n-th moment.
            ts = self.start_ms + int(made * step)
            record = _record(rng, slot, ts, self.first_user(ts) + int(self.users * rng.random() ** _SKEW))
            if rng.random() < DUPLICATE_SHARE:
                retries[slot + 1 + int(rng.random() * RETRY_WITHIN)].append(record)
            for due in (record, *retries.pop(slot, ())):
                if made == self.events:
                    return
                made += 1
                yield due


def user_name(number: int) -> str:
    """The user id of a number."""
    return f"user-{number:07d}"


def preload(
    bootstrap: str, prefix: str, records: Iterable[Record], compression: str = "none"
) -> dict[str, int]:
    """Write `records` to `prefix` + topic, partitioned as Kafka's Java client does; events per topic.

    Raises RuntimeError if the broker did not take everything within a minute after the last record.
    """
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "compression.type": compression,
            "linger.ms": 50,
            "log_level": 2,
            "batch.num.messages": 5_000,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    counts = dict.fromkeys(TOPICS, 0)
    for record in records:
        producer.produce(prefix + record.topic, key=record.key, value=record.value)
        counts[record.topic] += 1
        if sum(counts.values()) % 1_000 == 0:
            producer.poll(0)
    if left := producer.flush(60):
        raise RuntimeError(f"the broker did not take {left} of {sum(counts.values())} records")
    return counts


def _record(rng: random.Random, number: int, ts: int, user: int) -> Record:
    user_id = user_name(user)
    event: dict[str, object] = {"event_id": f"{rng.getrandbits(128):032x}", "user_id": user_id, "ts": ts}
    topic = TOPICS[bisect(_TOPIC_STEPS, rng.random())]
    _FIELDS[topic](event, rng, number)
    return Record(topic, user_id.encode(), orjson.dumps(event))


def _click(event: dict[str, object], rng: random.Random, number: int) -> None:
    kind = _CLICKS[bisect(_CLICK_STEPS, rng.random())]
    event |= {"type": kind, "session_id": f"s-{number // 7:08d}", "device": "mobile"}
    if kind == "search":
        event["query"] = CATEGORIES[number % len(CATEGORIES)]
    elif kind in {"page_view", "login"}:
        event["dwell_ms"] = int(rng.random() * 60_000)
    else:
        event |= _item(rng)


def _order(event: dict[str, object], rng: random.Random, number: int) -> None:
    event["transaction_id"] = f"t-{number:09d}"
    draw = rng.random()
    if draw < 0.06:
        event |= {"type": "refund", "value": _price(rng), "currency": "EUR"}
    elif draw < 0.10:
        event["type"] = "cancel"
    else:
        items = [_item(rng) for _ in range(1 + number % 3)]
        event |= {"type": "purchase", "value": _price(rng), "currency": "EUR", "items": items}


def _voice(event: dict[str, object], rng: random.Random, number: int) -> None:
    draw = rng.random()
    if draw < 0.15:
        event |= {"type": "support", "text": "Where is my parcel? It was due on Monday.", "channel": "chat"}
    elif draw < 0.20:
        event |= {"type": "survey", "score": number % 11}
    else:
        event |= {"type": "review", "rating": _STARS[number % len(_STARS)], "text": "Fits well, came late."}


def _item(rng: random.Random) -> dict[str, object]:
    number = int(rng.random() * 5_000)
    category = CATEGORIES[number % len(CATEGORIES)]
    return {"item_id": f"i-{number:05d}", "item_category": category, "price": _price(rng), "quantity": 1}


def _price(rng: random.Random) -> float:
    return (199 + int(rng.random() * 19_800)) / 100


_FIELDS = {"clickstream": _click, "orders": _order, "reviews": _voice}
