"""Whether warnings can be trusted, as somebody asks who has a budget and no statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from models.episodes import TIERS
from models.intervals import Interval, wilson

if TYPE_CHECKING:
    from models.hindsight import Warned
    from models.operating import Calls
    from models.reliability import Calibration

#: `good`: warnings single out who leaves, and their probabilities hold. `bold`, `timid`: they single out, but
#: fewer, or more, leave than was said. `useless`: those warned about leave no more often than all.
#: `early`: too few labels, or warnings, to say.
Verdict = Literal["early", "useless", "bold", "timid", "good"]

#: Warnings with a known outcome below which there is no verdict.
MINIMUM: Final = 100
#: How far forecast and outcome of the warned may be apart, whatever the interval: nobody acts upon less.
TOLERANCE: Final = 0.03


@dataclass(frozen=True)
class Trust:
    """What became of warnings: of everybody for whom an alert stood, at each decision time.

    `precision`: share of the warned who left; `recall`: share of the leavers who were warned about;
    `base_rate`: share of all who left; `warned`: forecast against outcome of the warned. None if nobody is
    there to judge by.
    """

    calls: Calls
    base_rate: Interval
    precision: Interval | None
    recall: Interval | None
    warned: Calibration | None

    @property
    def verdict(self) -> Verdict:
        """The whole in one word."""
        if self.precision is None or self.warned is None or self.calls.called < MINIMUM:
            return "early"
        if self.precision.low <= self.base_rate.value:
            return "useless"
        if self.warned.holds or abs(self.warned.gap) <= TOLERANCE:
            return "good"
        return "bold" if self.warned.gap > 0 else "timid"


def trust(warned: Warned, design_effect: float = 1.0) -> Trust | None:
    """Judge warnings as they stood; None without labels. `design_effect` as in `models.intervals`."""
    calls = warned.calls
    if not calls.labels:
        return None
    found, called, churned = (int(n) for n in (calls.true_positives, calls.called, calls.churned))
    return Trust(
        calls,
        wilson(churned, int(calls.labels), design_effect),
        wilson(found, called, design_effect) if called else None,
        wilson(found, churned, design_effect) if churned else None,
        warned.calibration(*TIERS[1:], design_effect=design_effect),
    )
