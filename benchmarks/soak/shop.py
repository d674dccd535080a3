"""A shop whose customers come, stay for some weeks and go: steady traffic in which nobody stays for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from benchmarks.latency import Due, Load
from benchmarks.workload import Record, user_name

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Days that a customer stays, and days after which the worker forgets one who is silent.
STAY_DAYS: Final = 20
EVICT_AFTER_DAYS: Final = 20
#: The ledger keeps a customer for as long as caps may ask for it (twice the window of `Caps`).
LEDGER_DAYS: Final = 60
#: After so many days the worker knows as many customers as it ever will: the ledger hears of a customer for
#: the last time when the table forgets them.
LIFE_DAYS: Final = STAY_DAYS + EVICT_AFTER_DAYS + LEDGER_DAYS
#: Every so many customers who go one asks to be erased.
_ERASED_EVERY: Final = 50
_DAY_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Shop(Load):
    """A `Load` with profiles of those who come and erasures of some who go."""

    def schedule(self) -> Iterator[Due]:
        """See `Load`; what is added goes out with the event before which it happened."""
        came, gone = self.users, 0
        for due in super().schedule():
            ts = self.event_time(due.at)
            first = self.workload.first_user(ts)
            while came < first + self.users:
                yield Due(due.at, _profile(came, ts))
                came += 1
            while gone < first:
                if gone % _ERASED_EVERY == 0:
                    yield Due(due.at, _erasure(gone, ts))
                gone += 1
            yield due


def shop(minutes: float, rate: int) -> Shop:
    """As many customers as make one event a day each, and time so fast that half the run is a whole life."""
    seconds = minutes * 60
    day_seconds = min(_DAY_SECONDS, seconds / 2 / LIFE_DAYS)
    return Shop(
        rate=rate,
        seconds=seconds,
        triggers=max(rate // 50, 1),
        users=int(rate * day_seconds),
        days=seconds / day_seconds,
        turnover=1 / STAY_DAYS,
    )


def _profile(number: int, ts: int) -> Record:
    consent = dict.fromkeys(("email", "sms", "call", "onsite"), number % 5 > 1)
    return _personal(number, ts, "profile", consent=consent, timezone="Europe/Berlin")


def _erasure(number: int, ts: int) -> Record:
    return _personal(number, ts, "erasure")


def _personal(number: int, ts: int, kind: str, **fields: object) -> Record:
    user = user_name(number)
    event = {"type": kind, "event_id": f"{kind}-{number}", "user_id": user, "ts": ts}
    return Record("customers", user.encode(), orjson.dumps(event | fields))
