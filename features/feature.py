"""What a feature is: its description, how it is computed, and by which rule it becomes a model input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.speaking import Rule
    from features.view import Floats, View

#: How a raw value becomes a model input. `log`: log(1 + value) tames outliers and turns ratios into
#: differences; `logit`: the log-odds of a probability; `linear`: as it is.
Scale = Literal["log", "linear", "logit"]

#: What a feature is about. Features of one theme say nearly the same, some of it twice: the shares of a theme
#: are added up, and an alert gives at most one reason of each.
Theme = Literal["rhythm", "spend", "browsing", "service", "satisfaction"]

#: What common sense says of more of it: the customer is likelier to leave, or likelier to stay. `either` is
#: what reads neither way; a model may go by it, but it is told to nobody as a reason.
Direction = Literal["riskier", "safer", "either"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature of the catalogue.

    `compute` gives raw values (n,), NaN = missing. Its model input takes the raw value `fill` for a missing
    one, is bounded by `high` against outliers (from 0 up; from -`high` if `linear`), and scaled by `scale`.
    What is said of it to people stands in `features.wording`; `speaks` says when that speaks for leaving,
    which is in `direction` and by the customer's own numbers (`features.speaking`), never if it is None.
    Raises ValueError unless exactly the features with a direction have such a rule.
    """

    name: str
    theme: Theme
    direction: Direction
    unit: str
    formula: str
    why: str
    compute: Callable[[View], Floats]
    scale: Scale = "log"
    fill: float = 0.0
    high: float = 1e7
    speaks: Rule | None = None

    def __post_init__(self) -> None:
        if (self.direction == "either") != (self.speaks is None):
            raise ValueError(f"{self.name}: a direction, and when it speaks for leaving, go together")

    @property
    def low(self) -> float:
        """The lower bound of raw values in model inputs."""
        return -self.high if self.scale == "linear" else 0.0


def share(part: str, whole: str) -> Callable[[View], Floats]:
    """Computes one stored number divided by another."""
    return lambda view: view.share(part, whole)


def decayed(channel: str, days: int) -> Callable[[View], Floats]:
    """Computes a decayed sum."""
    return lambda view: view.decayed(channel, days)


def since(name: str) -> Callable[[View], Floats]:
    """Computes days since a stored time."""
    return lambda view: view.days_since(name)


def trend(channel: str, short: int, long: int) -> Callable[[View], Floats]:
    """Computes the log of a recent rate against the usual one; 0 for a steady stream."""

    def compute(view: View) -> Floats:
        # Decayed sums of a steady stream are proportional to their half-life. A floor of one event in
        # twenty half-lives keeps the silent from dividing nothing by nothing.
        recent, usual = view.decayed(channel, short) * (long / short), view.decayed(channel, long)
        return np.asarray(np.log((recent + 0.05) / (usual + 0.05)))

    return compute
