"""The catalogue of rights: who may do what on which topic and group. Documents and resources come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from streams.topics import CATALOGUE, INPUTS, LIVE_COMMANDS, SHADOW_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from streams.topics import Topics

#: Kafka's own words. Read and Write bring Describe along.
Operation = Literal[
    "Read", "Write", "Describe", "DescribeConfigs", "Create", "Alter", "AlterConfigs", "Delete"
]
Kind = Literal["topic", "group"]


@dataclass(frozen=True)
class Right:
    """What a role may do on one topic or group, by its full name; with `prefix` on all that begin so."""

    kind: Kind
    name: str
    operations: tuple[Operation, ...]
    prefix: bool = False


@dataclass(frozen=True, kw_only=True)
class Role:
    """One kind of user. `topics` are operations by logical name, `group` those on the workers' group."""

    name: str
    who: str
    topics: Mapping[str, tuple[Operation, ...]]
    group: tuple[Operation, ...] = ()
    #: May read with consumer groups of its own, whose names begin with that of the role.
    own_groups: bool = False

    def rights(self, topics: Topics) -> Iterator[Right]:
        """The rights under the names of one deployment."""
        for logical, operations in self.topics.items():
            yield Right("topic", topics[logical], operations)
        if self.group:
            yield Right("group", topics.group, self.group)
        if self.own_groups:
            yield Right("group", f"{topics.prefix}{self.name}", ("Read",), prefix=True)


def _each(names: Iterable[str], *operations: Operation) -> dict[str, tuple[Operation, ...]]:
    return dict.fromkeys(names, operations)


_OUTCOMES: Final = "outcomes"
#: What operators alone write and workers heed.
_OF_OPERATORS: Final = ("skips",)
#: What a worker reads again: its state, and what one part of it tells another.
_READ_AGAIN: Final = (
    "churn-alerts",
    "examples",
    "models",
    "audit",
    "customers-changelog",
    "ledger-changelog",
)

#: Questions about customers, and what workers say to them: the business of nobody else.
_QUERIES: Final = "queries"
_ANSWERS: Final = "answers"

#: What only the replayer writes: who may say that a session is open may make a shop's present its history.
_OF_THE_REPLAYER: Final = ("control",)

#: What keeping topics takes, and looking into them.
_KEEPING: Final[tuple[Operation, ...]] = (
    "Create",
    "Describe",
    "DescribeConfigs",
    "Alter",
    "AlterConfigs",
    "Delete",
    "Read",
)

#: Every role. The worker's DescribeConfigs serve `worker --check` only.
ROLES: Final = (
    Role(
        name="shop",
        who="shop platform: sends events",
        topics=_each((name for name in INPUTS if name != _OUTCOMES), "Write"),
    ),
    Role(
        name="worker",
        who="`churnwatch worker`",
        topics={
            **_each((*INPUTS, *_OF_THE_REPLAYER, *_OF_OPERATORS, _QUERIES), "Read", "DescribeConfigs"),
            **_each(
                (
                    name
                    for name in CATALOGUE
                    if name not in {*INPUTS, *_OF_THE_REPLAYER, *_OF_OPERATORS, *_READ_AGAIN, _QUERIES}
                ),
                "Write",
                "DescribeConfigs",
            ),
            **_each(_READ_AGAIN, "Read", "Write", "DescribeConfigs"),
        },
        group=("Read",),
    ),
    Role(
        name="marketing",
        who="marketing tools and gateways: follow alerts and live commands, send outcomes",
        topics={
            **_each(("churn-alerts", "scores", "decisions", *LIVE_COMMANDS), "Read"),
            _OUTCOMES: ("Write",),
        },
        own_groups=True,
    ),
    Role(
        name="analyst",
        who="those who judge shadow and rehearsals: follow alerts, decisions and commands of every mark",
        topics=_each(("churn-alerts", "scores", "decisions", *LIVE_COMMANDS, *SHADOW_COMMANDS), "Read"),
        own_groups=True,
    ),
    Role(
        name="replayer",
        who="`churnwatch replay`",
        topics={**_each((*INPUTS, *_OF_THE_REPLAYER), "Write"), "progress": ("Read",)},
        # It ends when the group has read everything.
        group=("Describe",),
    ),
    Role(
        name="operator",
        who="`churnwatch topics`, `models`, `alarms`, `skip`, `features`, `inspect --offline`, "
        "`report --live`",
        topics={
            **_each(CATALOGUE, *_KEEPING),
            **_each((_QUERIES, _ANSWERS), *(each for each in _KEEPING if each != "Read")),
            # Where an override of the trainer stands.
            "models": (*_KEEPING, "Write"),
            # Where the trainer is told to go on without a partition.
            "examples": (*_KEEPING, "Write"),
            **_each(_OF_OPERATORS, *_KEEPING, "Write"),
        },
        group=("Describe", "Read", "Delete"),
        own_groups=True,
    ),
    Role(
        name="inspector",
        who="`churnwatch inspect`: asks workers about customers, and hears all answers",
        topics={_QUERIES: ("Write",), _ANSWERS: ("Read",)},
    ),
    Role(
        name="monitoring",
        who="lag exporters",
        topics=_each(CATALOGUE, "Describe"),
        group=("Describe",),
    ),
)

BY_NAME: Final[Mapping[str, Role]] = {role.name: role for role in ROLES}
WORKER: Final = BY_NAME["worker"]
INSPECTOR: Final = BY_NAME["inspector"]
