"""Random input logs of one partition: shuffled within the allowed lateness, with ticks and late events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.grid import DecisionGrid
from features.inputs import TOPIC_OF
from features.layout import DAY_MS, TOPICS
from tests.building import HOUR_MS, START, config, day, event, record, tick

if TYPE_CHECKING:
    import random

    from features.observing import Record
    from models.config import CoreConfig

DAYS = 20
LATENESS = DAY_MS
USERS = [f"u{n}" for n in range(9)]
PLAIN = ("purchase", "purchase", "purchase", "view_item", "add_to_cart", "review", "delivery")
#: What acts at once, so that it depends on when it arrives.
ABRUPT = ("refund", "unsubscribed", "erasure", "erasure", "profile", "delivered", "complained")

Payload = dict[str, Any]


def settings(**changes: Any) -> CoreConfig:
    """The core that these logs are made for: horizon and grid do not fit into each other."""
    defaults: dict[str, Any] = {
        "horizon_days": 5,
        "active_within_days": 8,
        "grid": DecisionGrid(2, START),
        "lateness_ms": LATENESS,
        "evict_after_days": 17,
        "min_labels": 5,
        "trigger_cooldown_ms": 2 * DAY_MS,
    }
    return config(**defaults | changes)


def payloads(rng: random.Random, *, abrupt: bool, n: int = 130) -> list[Payload]:
    """Events in no order; customers come and go, so that some are evicted."""
    lives = {user: sorted(rng.uniform(0, DAYS) for _ in range(2)) for user in USERS}
    found = []
    for _ in range(n):
        user = rng.choice(USERS)
        name = rng.choice(ABRUPT) if abrupt and rng.random() < 0.2 else rng.choice(PLAIN)
        begin, end = lives[user]
        # Now and then exactly at a decision time, or at the same moment as another event.
        ts = day(rng.uniform(begin, end)) if rng.random() < 0.7 else day(rng.randint(0, DAYS - 1))
        fields = {"transaction_id": f"t{len(found)}"} if name == "delivery" else {}
        fields |= {"rating": rng.choice([1.0, 4.0])} if name == "review" and abrupt else {}
        fields |= {"consent": {"email": rng.random() < 0.5}} if name == "profile" else {}
        found.append(event(name, user, ts, **fields))
    return found


def logs(rng: random.Random, found: list[Payload], *, late: int = 6) -> dict[str, list[Record]]:
    """The payloads as logs by topic: shuffled within the lateness, ticks between, `late` events added."""
    return {topic: _log(rng, topic, found, late) for topic in TOPICS}


def _log(rng: random.Random, topic: str, found: list[Payload], late: int) -> list[Record]:
    keyed = [(p["ts"] + rng.uniform(0, LATENESS - 1), p) for p in found if TOPIC_OF[p["type"]] == topic]
    # A tick promises what the shuffling keeps.
    keyed += [(day(d) + LATENESS, tick(day(d))) for d in range(3, DAYS, 5)]
    ordered = [p for _, p in sorted(keyed, key=lambda each: each[0])]
    for _ in range(late if topic in {"clickstream", "orders"} else 0):
        place = rng.randrange(1, len(ordered))
        newest = max(p["ts"] for p in ordered[:place])
        ts = newest - LATENESS - rng.randint(1, 100 * HOUR_MS)
        name = "view_item" if topic == "clickstream" else "purchase"
        ordered.insert(place, event(name, rng.choice(USERS), ts))
    ordered.append(tick(day(DAYS + 6)))
    return [record(offset, p, replayed=True) for offset, p in enumerate(ordered)]
