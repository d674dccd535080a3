"""The job that every rival does, as pure functions: dedupe, update, features, score, alert.

It is written for speed in per-event Python, because that is what the rival engines offer: msgspec packs
the state, which is one flat record, and decays are shared by all channels of a half-life.
Sums decay towards the latest timestamp of a user whatever the arrival order, so engines that interleave
topics differently still end with the same state.
"""

from __future__ import annotations

import math
from operator import mul

import msgspec
import xxhash

from benchmarks.rivals.events import (
    AddToCart,
    BeginCheckout,
    Cancel,
    Event,
    Login,
    PageView,
    Purchase,
    Refund,
    Review,
    Search,
    Support,
    Survey,
    ViewItem,
)

DAY_MS = 86_400_000
HALF_LIVES_DAYS = (1.0, 7.0, 30.0)
CHANNELS = ("browse", "cart", "orders", "spend", "trouble", "voice")
#: Event ids remembered for each user, to recognise platform retries.
RECENT_IDS = 16
#: Alert threshold: with `WEIGHTS` about 1 % of the default workload's events lie above it.
THETA = 0.845

_RATES = tuple(math.log(2.0) / (days * DAY_MS) for days in HALF_LIVES_DAYS)
_WIDTH = len(CHANNELS)

_CHANNEL_OF = {
    PageView: 0, Search: 0, ViewItem: 0, Login: 0, AddToCart: 1, BeginCheckout: 1,
    Purchase: 2, Refund: 4, Cancel: 4, Review: 5, Survey: 5, Support: 5,
}  # fmt: skip


class Profile(msgspec.Struct, array_like=True, gc=False):
    """What is known of one user; `decayed` holds `CHANNELS` for the first half-life, then the next."""

    recent: list[int]
    decayed: list[float]
    counts: list[int]
    spent: float
    first_ts: int
    last_ts: int
    last_order_ts: int


_PROFILE = msgspec.msgpack.Decoder(Profile)
_TO_MSGPACK = msgspec.msgpack.Encoder()
_TO_JSON = msgspec.json.Encoder()

#: A `Profile` as compact bytes, and back: what engines with a byte store keep.
pack = _TO_MSGPACK.encode
unpack = _PROFILE.decode


def new_profile(ts: int) -> Profile:
    """The empty profile of a user first seen at `ts` (epoch milliseconds)."""
    return Profile([], [0.0] * (_WIDTH * len(_RATES)), [0] * _WIDTH, 0.0, ts, ts, 0)


def observe(profile: Profile, event: Event) -> bool:
    """Count `event` into `profile`, in place; False if it repeats one of the last `RECENT_IDS` events."""
    seen = xxhash.xxh3_64_intdigest(event.event_id.encode())
    recent = profile.recent
    if seen in recent:
        return False
    recent.append(seen)
    if len(recent) > RECENT_IDS:
        del recent[0]
    ts = event.ts
    age = profile.last_ts - ts
    decayed = profile.decayed
    if age < 0:
        fast, middle, slow = (math.exp(age * rate) for rate in _RATES)
        decayed = profile.decayed = list(
            map(mul, decayed, [fast] * _WIDTH + [middle] * _WIDTH + [slow] * _WIDTH)
        )
        profile.last_ts = ts
        weights: tuple[float, ...] = (1.0, 1.0, 1.0)
    else:
        weights = tuple(math.exp(-age * rate) for rate in _RATES)
        profile.first_ts = min(profile.first_ts, ts)
    channel = _CHANNEL_OF[type(event)]
    profile.counts[channel] += 1
    _add(decayed, channel, weights, 1.0)
    if isinstance(event, Purchase):
        profile.spent += event.value
        profile.last_order_ts = max(profile.last_order_ts, ts)
        _add(decayed, 3, weights, event.value)
    elif isinstance(event, Review) and event.rating <= 2:
        _add(decayed, 4, weights, 1.0)
    return True


def _add(decayed: list[float], channel: int, weights: tuple[float, ...], amount: float) -> None:
    decayed[channel] += weights[0] * amount
    decayed[channel + _WIDTH] += weights[1] * amount
    decayed[channel + 2 * _WIDTH] += weights[2] * amount


def features(profile: Profile) -> list[float]:
    """The 24 features as of the user's latest event: the decayed sums, then tenure, recency, counts."""
    orders = profile.counts[2]
    x = profile.decayed.copy()
    x += (
        (profile.last_ts - profile.first_ts) / DAY_MS,
        (profile.last_ts - profile.last_order_ts) / DAY_MS if orders else 90.0,
        float(sum(profile.counts)),
        float(orders),
        profile.spent / orders if orders else 0.0,
        profile.counts[4] / (orders + 1.0),
    )
    return x


#: One weight a feature, in the order of `features`, then the bias: fixed, as if exported by a trained model.
WEIGHTS = (
    -0.04, -0.10, -0.60, -0.002, 0.90, 0.10,
    -0.03, -0.08, -0.50, -0.002, 0.70, 0.05,
    -0.02, -0.05, -0.40, -0.001, 0.50, 0.02,
    -0.01, 0.02, -0.01, -0.05, -0.001, 1.10,
)  # fmt: skip
BIAS = -3.0
NAMES = (
    *(f"{channel}_{days:g}d" for days in HALF_LIVES_DAYS for channel in CHANNELS),
    "tenure_days", "days_since_order", "events", "orders", "mean_order_value", "trouble_rate",
)  # fmt: skip


def score(x: list[float]) -> float:
    """Probability of churn under the fixed logistic regression, rounded to 1e-6 as ours is."""
    return round(1.0 / (1.0 + math.exp(-BIAS - sum(map(mul, WEIGHTS, x)))), 6)


def alert(event: Event, probability: float, x: list[float]) -> bytes:
    """The alert as JSON, with the three features that raised the score most."""
    parts = sorted(zip(map(mul, WEIGHTS, x), NAMES, x, strict=True), reverse=True)[:3]
    body = {
        "alert_id": f"{xxhash.xxh3_64_intdigest(event.event_id.encode()):016x}",
        "status": "opened",
        "user_id": event.user_id,
        "ts": event.ts,
        "probability": probability,
        "tier": "high" if probability >= 0.8 else "medium",
        "reasons": [{"feature": name, "value": value, "contribution": part} for part, name, value in parts],
        "model": {"name": "fixed", "version": 1},
        "horizon_days": 30,
    }
    return _TO_JSON.encode(body)


def judge(profile: Profile, event: Event) -> bytes | None:
    """Score the user of `event`; the alert to publish, or None below `THETA`."""
    x = features(profile)
    probability = score(x)
    return alert(event, probability, x) if probability >= THETA else None
