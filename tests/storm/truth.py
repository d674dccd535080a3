"""What must be true of a run, from the input topics alone: pandas, and nothing of churnwatch.

The rules are those of the contract (docs/contracts.md), written down a second time. An event is late when its
time lies below the newest time before it on its topic partition less the lateness, or below the newest tick;
late ones do not count. A retry has the `event_id` of an earlier event. An erasure takes with it all that its
customer did up to its time.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import orjson
import pandas as pd
import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tests.storm.logs import Record

DAY_MS: Final = 86_400_000
FEATURED: Final = ("clickstream", "orders", "reviews")
COUNTED_AS: Final = {
    "view_item": "views",
    "search": "searches",
    "add_to_cart": "carts",
    "begin_checkout": "checkouts",
    "login": "logins",
    "purchase": "orders",
    "refund": "refunds",
    "cancel": "cancels",
    "delivery": "deliveries",
    "review": "reviews",
    "survey": "surveys",
}
#: Everything that is counted of a customer: whole numbers, so that one event more or less shows.
COUNTS: Final = ("clicks", *COUNTED_AS.values(), "value_micros")
CHANNELS: Final = {"email": "email", "sms": "sms", "call": "call", "coupon": "onsite"}
_COLUMNS: Final = [
    "topic",
    "partition",
    "offset",
    "user",
    "type",
    "ts",
    "event_id",
    "amount",
    "body",
    "written",
]


class Era(NamedTuple):
    """From `since` on (epoch ms, the clock on the wall) what was read was `mark`: what may follow from it."""

    since: int
    mark: str


#: Nothing but live operation.
LIVE: Final = (Era(0, "live"),)


@dataclass(frozen=True)
class Rules:
    """The settings that the truth hangs on."""

    lateness_ms: int
    horizon_days: int
    active_within_days: int
    salt: str
    holdout_share: float
    low_rating: float = 2.0
    low_survey: float = 3.0
    #: In the order of time; between two of them everything was read.
    eras: tuple[Era, ...] = LIVE

    def mark_at(self, written: int) -> str:
        """What could follow from a record of this time."""
        return [era.mark for era in self.eras if era.since <= written][-1]


class Truth:
    """What must be true after all of `records` (logical topics, each partition in log order)."""

    def __init__(self, records: Iterable[Record], rules: Rules) -> None:
        self.rules = rules
        rows = [_row(record) for record in records]
        everything = pd.DataFrame(rows, columns=_COLUMNS)
        promised = _promised(everything, rules.lateness_ms)
        #: Every event that was sent, with `late` and `again` (a retry of an earlier one).
        self.sent = _judged(everything, promised)
        #: The newest decision time (midnight) that is due: no topic partition promises less.
        self.decided = int(promised.groupby([everything.topic, everything.partition]).max().min())
        self.decided -= self.decided % DAY_MS
        first = int(self.sent.ts.min() // DAY_MS + 1) * DAY_MS
        #: Every decision time, and when the record was written by which it came due in all partitions.
        self.due = _due(everything, promised, np.arange(first, self.decided + 1, DAY_MS))

    @cached_property
    def erased(self) -> set[str]:
        """Customers who were erased: nothing of them may be left."""
        return set(self.sent.user[self.sent.type == "erasure"])

    @cached_property
    def accepted(self) -> pd.DataFrame:
        """The events that count, of customers who were not erased."""
        sent = self.sent
        return sent[~sent.again & ~(sent.late & sent.topic.isin(FEATURED)) & ~sent.user.isin(self.erased)]

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Counts of each customer: columns COUNTS, index user."""
        events = self.accepted[self.accepted.topic.isin(FEATURED)]
        pairs = events.groupby(["user", events.type.map(COUNTED_AS)]).size()
        found = pairs.unstack(fill_value=0)  # noqa: PD010 - a pivot table takes minutes
        found = found.reindex(index=events.user.unique())
        found["clicks"] = events[events.topic == "clickstream"].groupby("user").size()
        found["value_micros"] = self.purchases.groupby("user").amount.sum()
        return found.reindex(columns=list(COUNTS)).fillna(0).astype("int64")

    @cached_property
    def purchases(self) -> pd.DataFrame:
        """The purchases that count."""
        return self.accepted[self.accepted.type == "purchase"]

    @cached_property
    def triggers(self) -> dict[tuple[str, int], str]:
        """(user, ts) of every event that must be answered at once → the mark of the answer."""
        events = self.accepted
        said = events.amount.to_numpy()
        speaks = (
            events.type.isin(["refund", "cancel", "complained", "unsubscribed"])
            | ((events.type == "review") & (said <= self.rules.low_rating))
            | ((events.type == "survey") & (said <= self.rules.low_survey))
        )
        spoken = events[speaks]
        marks = [self.rules.mark_at(written) for written in spoken.written.tolist()]
        return dict(zip(zip(spoken.user, spoken.ts, strict=True), marks, strict=True))

    @cached_property
    def users(self) -> dict[int, str]:
        """hash → user, of everybody of whom anything was sent."""
        return {hash_of(user, self.rules.salt): user for user in self.sent.user.unique()}

    @cached_property
    def labels(self) -> dict[int, dict[int, bool]]:
        """decision time → hash of each of the active base → churned, for all that have matured."""
        horizon, active = self.rules.horizon_days * DAY_MS, self.rules.active_within_days * DAY_MS
        bought = self.purchases.sort_values("ts")
        users, codes = np.unique(bought.user, return_inverse=True)
        hashes = np.array([hash_of(user, self.rules.salt) for user in users], np.uint64)
        times = bought.ts.to_numpy()
        found = {}
        for start in [each for each in self.due if each + horizon <= self.decided]:
            recent = np.unique(codes[(times >= start - active) & (times < start)])
            again = np.unique(codes[(times >= start) & (times < start + horizon)])
            churned = ~np.isin(recent, again)
            found[start] = dict(zip(hashes[recent].tolist(), churned.tolist(), strict=True))
        return found

    @cached_property
    def consents(self) -> dict[tuple[str, str], list[tuple[int, bool, int]]]:
        """(user, channel) → what was said about it, by time: (time, allowed, when it was written)."""
        said: dict[tuple[str, str], list[tuple[int, bool, int]]] = {}
        for event in self.sent[self.sent.type.isin(["profile", "unsubscribed"])].itertuples():
            body: Any = event.body
            if event.type == "profile":
                spoken = body.get("consent", {})
            else:
                spoken = dict.fromkeys(
                    [body["channel"]] if "channel" in body else ["email", "sms", "call"], False
                )
            for channel, allowed in spoken.items():
                said.setdefault((str(event.user), channel), []).append(
                    (int(event.ts), allowed, int(event.written))
                )
        return {place: sorted(each) for place, each in said.items()}

    def may_contact(self, user: str, channel: str, ts: int, written: int) -> bool:
        """Whether consent allows a command that was first written at `written` about an alert of `ts`.

        A decision waits for the slowest partition, and is made by all that has been read of its customer:
        what was said after the alert may allow it, if it stood in the log before the command did.
        """
        said = self.consents.get((user, CHANNELS[channel]), [])
        before = [allowed for when, allowed, _ in said if when < ts]
        standing = before[-1] if before else channel == "coupon"
        return standing or any(allowed for when, allowed, known in said if when >= ts and known <= written)

    def is_held_out(self, user: str) -> bool:
        """Whether the customer must be left alone."""
        code = hash_of(user, self.rules.salt)
        drawn = xxhash.xxh3_64_intdigest(code.to_bytes(8, "big") + b"holdout")
        return (drawn >> 11) * 2.0**-53 < self.rules.holdout_share

    def history(self, user: str) -> pd.DataFrame:
        """Everything that was sent of a customer, in the order of its topics' logs."""
        return self.sent[self.sent.user == user].drop(columns=["user"])


def hash_of(user: str, salt: str) -> int:
    """The salted hash under which a customer is known where no user id may stand."""
    return int.from_bytes(blake2b(user.encode(), digest_size=8, key=salt.encode()).digest(), "big")


def _row(record: Record) -> tuple[Any, ...]:
    body = orjson.loads(record.value or b"null")
    name, amount = body["type"], np.nan
    if name == "purchase":
        amount = round(body["value"] * 1e6)
    elif name in {"review", "survey"}:
        amount = body.get("rating", body.get("score"))
    kept = body if name in {"profile", "unsubscribed"} else None
    place = record.topic, record.partition, record.offset
    # Of millions of events few are of another customer or kind.
    user, name = sys.intern(body.get("user_id", "")), sys.intern(name)
    return (*place, user, name, body["ts"], body.get("event_id", ""), amount, kept, record.written)


def _promised(everything: pd.DataFrame, lateness_ms: int) -> pd.Series[float]:
    """Up to which time each topic partition is complete with each of its records."""
    tick = everything.type == "tick"
    promised = everything.ts.where(tick, everything.ts - lateness_ms)
    return promised.groupby([everything.topic, everything.partition], sort=False).cummax()


def _judged(everything: pd.DataFrame, promised: pd.Series[float]) -> pd.DataFrame:
    bound = promised.groupby([everything.topic, everything.partition], sort=False).shift()
    sent = everything.assign(late=everything.ts < bound)[everything.type != "tick"]
    # What comes too late was never counted, so a retry of it is no retry; it is late as well.
    counted = sent[~sent.late]
    again = counted[counted.duplicated(["topic", "user", "event_id"])].index
    return sent.assign(again=sent.index.isin(again))


def _due(everything: pd.DataFrame, promised: pd.Series[float], times: NDArray[np.int64]) -> dict[int, int]:
    due = np.zeros(len(times), np.int64)
    for places in everything.groupby(["topic", "partition"]).groups.values():
        first = np.searchsorted(promised[places].to_numpy(), times)
        due = np.maximum(due, everything.written[places].to_numpy()[first])
    return dict(zip(times.tolist(), due.tolist(), strict=True))
