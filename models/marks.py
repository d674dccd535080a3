"""The mark of what is published, and what decides it: the shop's mode, and whether history is replayed.

    operation   what a partition does now          mark of what it publishes
    live        the present, mode live             live
    shadow      the present, mode shadow           shadow
    off         the present, mode off              shadow (alerts only, nothing is decided)
    rehearsal   replayed history, in any mode      rehearsal

An episode remembers the operation under which it was opened, because what was rehearsed or raised in shadow
was never acted upon: when the operation changes, its alert is raised again under the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What the shop lets churnwatch do with the present (`interventions.mode`).
Mode = Literal[
    "off",  # alerts are raised, nothing is decided
    "shadow",  # everything is decided and published, nothing may be sent
    "live",  # commands are sent
]

#: What may follow from a message.
Mark = Literal[
    "live",  # it is meant: commands are sent
    "shadow",  # nothing may be sent: what would have been done in the present
    "rehearsal",  # nothing may be sent: what would have been done in replayed history
]

#: What a partition does now.
Operation = Literal["live", "shadow", "rehearsal", "off"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
MARKS: Final[tuple[Mark, ...]] = get_args(Mark)

#: The mark of what is published under each operation.
PUBLISHED_AS: Final[Mapping[Operation, Mark]] = {
    "live": "live",
    "shadow": "shadow",
    "off": "shadow",
    "rehearsal": "rehearsal",
}

#: How a customer's record stores the operation of an open episode. 0: a release that knew none opened it.
CODES: Final[Mapping[Operation, int]] = {"live": 1, "shadow": 2, "rehearsal": 3, "off": 4}
#: The same of an episode that never raised an alert, because an operator dropped it.
DROPPED: Final = 5


def operation(mode: Mode, *, replaying: bool) -> Operation:
    """What a partition does now."""
    return "rehearsal" if replaying else mode


def mark_of_command(command_id: str) -> Mark:
    """The mark of the command that an outcome tells of, by the command's id.

    >>> mark_of_command("rehearsal-376c07e3d18e3333bd43e3930110fbba")
    'rehearsal'
    >>> mark_of_command("376c07e3d18e3333bd43e3930110fbba")
    'live'
    """
    prefix, dash, _ = command_id.partition("-")
    if dash and prefix == "shadow":
        return "shadow"
    return "rehearsal" if dash and prefix == "rehearsal" else "live"
