"""Drift of the delayed loss: Page's cumulative sum on what the champion loses beyond the base rate.

Page, 'Continuous Inspection Schemes', Biometrika 41, 1954, in the form of Page and Hinkley, which learns the
usual level by itself. Three choices fit it to decision times:

- What is followed is the log loss less that of the base rate in hindsight. The loss alone moves with the
  share of churners: on CDNOW it rises from 0.40 to 0.61 while the model is as good as ever.
- It is counted in its own standard deviations, so that one setting fits every shop.
- Label windows of neighbouring decision times overlap, so their losses are nearly one number. The sum
  therefore grows by 1 / `span` per decision time, `span` being decision times per horizon.

On simulated losses that is one false alarm in some 30 runs of 40 horizons, whatever the span, and a lasting
rise of three standard deviations is found after 2 to 4 horizons.

ADWIN (Bifet & Gavaldà 2007) was tried and left out: its bound is for independent values in [0, 1]. On the
same losses (8 standard deviations scaled to 1), with 14 decision times per horizon, it gives a false alarm in
every fifth run, and with 2 it does not find that rise within 20 horizons. River's ADWIN also keeps its
buckets in a binary form of its own, which must not travel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from models.drift.told import LOSS, Drift

if TYPE_CHECKING:
    from models.progressive import ScoreCounts

#: Rises of less than this many standard deviations are not counted, and the sum that is told: the textbook
#: chart for a rise of one deviation, a false alarm in some 900 independent values (Montgomery, *Introduction
#: to Statistical Quality Control*, table 9.3, one side).
_SLACK: Final = 0.5
_TOLD: Final = 5.0
#: A deviation counts at least this many nats: a rise below it is nothing to act upon.
_LEAST_DEVIATION: Final = 0.005
#: Usual level and deviation are averages over about this many horizons.
_MEMORY: Final = 20
#: How much must be seen before anything is told: horizons, and decision times.
_WARM_HORIZONS: Final = 2
_WARM_TIMES: Final = 20
#: A rise of this many deviations is large.
_LARGE: Final = 3.0


def excess_loss(counts: ScoreCounts) -> float:
    """Log loss of a decision time less that of its base rate, in nats; negative where the model is of use."""
    return counts.log_loss - counts.base_rate_log_loss


class LossWatch(msgspec.Struct):
    """Tells when the loss rose; then it learns the new level. Saved as it is, by `msgspec.json`.

    `span`: decision times per horizon, at least 1; may be a fraction.
    """

    span: float
    seen: int = 0
    mean: float = 0.0
    variance: float = 0.0
    #: The cumulative sum, in standard deviations times horizons; it is told at 5.
    sum: float = 0.0
    #: Decision times for which the sum is above 0, and the first of them.
    rising: int = 0
    since: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.span < math.inf:
            raise ValueError("there is at least one decision time per horizon")

    def see(self, ts: int, loss: float) -> Drift | None:
        """Take the (excess) loss of decision time `ts` (epoch ms), in rising order.

        Raises ValueError for one that is not finite: a decision time without labels has no loss.
        """
        if not math.isfinite(loss):
            raise ValueError(f"{loss} is no loss")
        deviation = max(math.sqrt(self.variance), _LEAST_DEVIATION)
        if self.seen >= max(_WARM_TIMES, _WARM_HORIZONS * self.span):
            self._add(ts, (loss - self.mean) / deviation)
        if self.sum > _TOLD:
            return self._tell(ts, deviation)
        self._learn(loss)
        return None

    def _add(self, ts: int, deviations: float) -> None:
        self.sum = max(0.0, self.sum + (deviations - _SLACK) / self.span)
        self.rising = self.rising + 1 if self.sum > 0 else 0
        if self.rising == 1:
            self.since = ts

    def _tell(self, ts: int, deviation: float) -> Drift:
        rise = _SLACK + self.sum * self.span / self.rising
        found = Drift(
            at=ts,
            since=self.since,
            what=LOSS,
            measure="page_hinkley",
            strength=rise * deviation,
            level="large" if rise >= _LARGE else "moderate",
        )
        self.seen, self.mean, self.variance, self.sum, self.rising = 0, 0.0, 0.0, 0.0, 0
        return found

    def _learn(self, loss: float) -> None:
        """Mean and variance with equal weights at first, fading ones later (West 1979)."""
        self.seen += 1
        weight = 1 / min(self.seen, _MEMORY * self.span)
        from_old = loss - self.mean
        self.mean += weight * from_old
        self.variance += weight * (from_old * (loss - self.mean) - self.variance)
