"""A shop's life as data, phase after phase: history, shadow, live, outages, an operator's words.

Between two phases everything is read and learned from, so what was read in one belongs to one operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from models.words import Verdict


@dataclass(frozen=True)
class History:
    """The shop's first `days` are replayed, and handed over; workers are killed on each of `kills`."""

    days: int
    kills: tuple[int, ...] = ()


@dataclass(frozen=True)
class BrokenOff:
    """The same, but the replayer is killed `after` so many days: the session is cut off.

    It replays at so many days a second at most. A second replay of the rest must be refused.
    """

    days: int
    after: int
    days_a_second: float = 2.0


@dataclass(frozen=True)
class Days:
    """So many days of live operation; `closed` is an outage: of these nothing arrives but time."""

    days: int
    kills: tuple[int, ...] = ()
    closed: bool = False


@dataclass(frozen=True)
class Mode:
    """All workers are started anew in this mode."""

    mode: Literal["shadow", "live"]


@dataclass(frozen=True)
class Word:
    """An operator says so of what is held back."""

    verdict: Verdict


Phase = History | BrokenOff | Days | Mode | Word
