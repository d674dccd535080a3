"""What went wrong in a storm, counted, with the first few it befell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

SHOWN: Final = 20

#: By identity every distinct value that was published under it, as in `tests.storm.said`.
Published = Mapping[tuple[str, ...], set[bytes]]


@dataclass
class Verdict:
    """Counts of what went wrong; all of them are zero when nothing did."""

    events: int = 0
    customers: int = 0
    lost: int = 0
    doubled: int = 0
    labels: int = 0
    labels_lost: int = 0
    labels_doubled: int = 0
    labels_wrong: int = 0
    #: Labels in the newest model version, and how many more or fewer than were sent to be learned by then.
    labels_learned: int = 0
    labels_learned_off: int = 0
    alerts: int = 0
    alerts_missing: int = 0
    alerts_unexpected: int = 0
    alerts_contradicted: int = 0
    triggers: int = 0
    triggers_missing: int = 0
    triggers_unexpected: int = 0
    decisions: int = 0
    decisions_missing: int = 0
    #: Two decisions about one alert that differ.
    decisions_doubled: int = 0
    #: About an alert that was never raised.
    decisions_unasked: int = 0
    commands: int = 0
    commands_missing: int = 0
    commands_doubled: int = 0
    commands_forbidden: int = 0
    caps_exceeded: int = 0
    budgets_exceeded: int = 0
    #: Alerts, decisions and commands whose mark is not that of the shop's operation at their time.
    mismarked: int = 0
    #: Commands that stand on a topic of gateways though they are not live, or beside it though they are.
    commands_misplaced: int = 0
    #: Alerts of the grid that were raised in a step that the guard held.
    alarmed_while_held: int = 0
    dead_letters: int = 0
    #: One line for each kind of fault, with the first few it befell.
    faults: list[str] = field(default_factory=list)
    #: The first customer with whom something is wrong.
    first: str | None = None

    def note(self, count: str, found: Any) -> None:
        """Add what went wrong to a count: messages, or tuples that begin with the customer."""
        if not (kept := list(found)):
            return
        setattr(self, count, getattr(self, count) + len(kept))
        self.faults.append(f"{count} {len(kept)}: {kept[:SHOWN]}")
        self.first = self.first or _user_in(kept[0])

    @property
    def is_clean(self) -> bool:
        """Whether nothing at all went wrong."""
        return not self.faults and not self.lost and not self.doubled

    def figures(self) -> dict[str, int]:
        """The counts."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


def _user_in(found: dict[str, Any] | tuple[Any, ...]) -> str:
    return str(found["user_id"] if isinstance(found, dict) else found[0])


def values(published: Published) -> list[Any]:
    """Each identity's value, decoded."""
    return [orjson.loads(min(found)) for found in published.values()]
