"""The catalogue of topics: the only place where a topic is named, and what each must be like."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Role = Literal["input", "output", "internal"]
Cleanup = Literal["delete", "compact"]

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS

#: Kafka's own word for "never deleted by age".
FOREVER: Final = -1

#: Commands stay longer than they are valid, so that a gateway that was down finds them: this is how long they
#: are kept, and how long they may be valid.
COMMAND_DAYS: Final = 30
VALID_DAYS: Final = 16

#: Commands that gateways carry out, and beside them those that nobody may carry out.
LIVE_COMMANDS: Final = ("commands.coupon", "commands.email", "commands.sms", "commands.call")
SHADOW_COMMANDS: Final = tuple(f"{name}.shadow" for name in LIVE_COMMANDS)

#: Topics that belong to one consumer group; their names carry the group.
_OF_THE_GROUP: Final = frozenset(
    {"customers-changelog", "ledger-changelog", "control", "progress", "queries", "answers", "skips"}
)


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic as the design wants it. A topic has one writer, so that nobody must ask who wrote.

    On `models` each key has one: an operator's override stands beside what the trainer writes.
    """

    #: Logical name; the name on the broker comes from `Topics`.
    name: str
    role: Role
    writer: str
    #: What the record key holds; every per-user topic is keyed by the user.
    key: str = "user_id"
    #: True: partitioned like every other per-user topic. False: a single partition.
    per_user: bool = True
    cleanup: Cleanup = "delete"
    #: Age at which records go; without meaning when compacted.
    retention_ms: int = FOREVER
    #: Age before which they must not go.
    least_retention_ms: int = 0
    #: Age at which a segment is closed, so that it can go; Kafka's own default (a week) where that is None.
    segment_ms: int | None = None
    #: A record younger than this is not compacted away: what recovery may still need in order (§7).
    min_compaction_lag_ms: int = 0
    #: Records bear the broker's clock, whatever their producer says: it bounds what they promise.
    stamped_by_broker: bool = False

    def configs(self) -> dict[str, str]:
        """Kafka topic settings that make it so."""
        stamped = {"message.timestamp.type": "LogAppendTime"} if self.stamped_by_broker else {}
        if self.cleanup == "delete":
            segment = {} if self.segment_ms is None else {"segment.ms": str(self.segment_ms)}
            return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms), **segment, **stamped}
        lag = {"min.compaction.lag.ms": str(self.min_compaction_lag_ms)}
        return {"cleanup.policy": "compact", **lag, **stamped}


def _input(name: str, writer: str, days: int) -> Topic:
    retention_ms = days * _DAY_MS
    return Topic(name=name, role="input", writer=writer, retention_ms=retention_ms, stamped_by_broker=True)


def _output(name: str, writer: str, days: int, key: str = "user_id") -> Topic:
    return Topic(name=name, role="output", writer=writer, retention_ms=days * _DAY_MS, key=key)


def _changelog(name: str) -> Topic:
    return Topic(
        name=name,
        role="internal",
        writer="owner of the partition",
        key="kind and user_id",
        cleanup="compact",
        min_compaction_lag_ms=_HOUR_MS,
    )


def _passing(name: str, writer: str) -> Topic:
    return Topic(
        name=name,
        role="internal",
        writer=writer,
        key="request id",
        per_user=False,
        retention_ms=_HOUR_MS,
        segment_ms=_HOUR_MS,
    )


_CATALOGUE: Final = (
    # Inputs keep two years of what a rebuild needs, clicks a quarter: they outweigh all else together.
    _input("clickstream", "shop", 90),
    _input("orders", "shop", 730),
    _input("reviews", "shop", 730),
    _input("customers", "shop", 730),
    _input("outcomes", "gateways", 730),
    _output("churn-alerts", "scorer", 90),
    Topic(name="scores", role="output", writer="scorer", cleanup="compact"),
    # Decisions are the data of every later estimate of effect: as long as the outcomes.
    _output("decisions", "dispatcher", 730),
    *(
        replace(_output(name, "dispatcher", COMMAND_DAYS), least_retention_ms=VALID_DAYS * _DAY_MS)
        for name in (*LIVE_COMMANDS, *SHADOW_COMMANDS)
    ),
    Topic(name="examples", role="output", writer="trainer", key="decision time", per_user=False),
    Topic(
        name="models",
        role="output",
        writer="trainer; operator (override)",
        key="version/<name>/<n>, champion/<n>, champion or override",
        per_user=False,
        cleanup="compact",
    ),
    # Few entries, and whoever asks may ask years later.
    Topic(name="audit", role="output", writer="worker", key="worker", per_user=False),
    _output("dead-letters", "worker", 30, key="key of the original"),
    _changelog("customers-changelog"),
    _changelog("ledger-changelog"),
    Topic(
        name="control",
        role="internal",
        writer="replayer",
        key="replay session",
        per_user=False,
        cleanup="compact",
        stamped_by_broker=True,
    ),
    Topic(
        name="skips",
        role="internal",
        writer="operator",
        key="topic/partition/offset",
        per_user=False,
        cleanup="compact",
    ),
    Topic(
        name="progress",
        role="internal",
        writer="owner of the partition",
        key="partition",
        per_user=False,
        cleanup="compact",
    ),
    # Nobody waits longer than seconds for an answer, and it tells of a customer: gone within two hours.
    _passing("queries", "inspectors"),
    _passing("answers", "owner of the partition"),
)

#: Every topic by its logical name.
CATALOGUE: Final[Mapping[str, Topic]] = {topic.name: topic for topic in _CATALOGUE}

#: Logical names of the topics from which events come.
INPUTS: Final = tuple(topic.name for topic in _CATALOGUE if topic.role == "input")


@dataclass(frozen=True)
class Topics:
    """Names on the broker for the logical names, and the partition count of all per-user topics.

    `overrides` maps logical names to full ones and knows no prefix; a shop has its own names. What
    belongs to the consumer `group` carries its name, so that two groups never share a changelog.
    Raises ValueError for an unknown logical name, a name used twice and fewer than one partition.

    >>> Topics(prefix="eu.", overrides={"orders": "shop.sales"})["orders"]
    'shop.sales'
    >>> Topics(prefix="eu.")["customers-changelog"]
    'eu.churnwatch-customers-changelog'
    """

    prefix: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 12
    group: str = "churnwatch"

    def __post_init__(self) -> None:
        if self.partitions < 1:
            raise ValueError(f"topics need at least one partition, not {self.partitions}")
        if unknown := sorted(self.overrides.keys() - CATALOGUE.keys()):
            raise ValueError(f"no such topic to rename: {', '.join(unknown)}")
        if twice := [name for name, uses in Counter(map(self.__getitem__, CATALOGUE)).items() if uses > 1]:
            raise ValueError(f"one name for several topics: {', '.join(twice)}")

    def __getitem__(self, logical: str) -> str:
        """The full name; KeyError when the catalogue has no such topic."""
        name = CATALOGUE[logical].name
        in_group = f"{self.group}-{name}" if name in _OF_THE_GROUP else name
        return self.overrides.get(name, f"{self.prefix}{in_group}")

    def __iter__(self) -> Iterator[tuple[str, Topic]]:
        """(full name, topic) of the whole catalogue."""
        return ((self[logical], topic) for logical, topic in CATALOGUE.items())

    def logical(self, full: str) -> str:
        """The logical name behind a full one; KeyError when it is none of ours."""
        for name, topic in self:
            if name == full:
                return topic.name
        raise KeyError(full)

    def partition_counts(self) -> dict[str, int]:
        """Full name to the number of partitions: what the embedded broker is started with."""
        return {name: self.partitions if topic.per_user else 1 for name, topic in self}
