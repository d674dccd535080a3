"""How sure one may be of a shop that was seen for a short time only.

BG/NBD fits what it is shown. Of a shop in its first weeks that is next to nothing, and the most likely
parameters are extreme: where nobody has come back yet, nobody ever will. Weekly buyers in their first week
and a monthly box in its first month would all be called lost. Three things are not known yet:

- *Whether those who return go on returning.* Leaving takes time to see. So log-odds of returning count in
  proportion to the square root of the time for which the shop was seen, up to a horizon, as errors shrink by
  it, and never for more than 12 to 1.
- *Whether silence means anything.* In BG/NBD gaps are exponential: the shortest are the most frequent, and a
  customer soon looks late. With a regular rhythm nobody returns before the usual gap is over, and silence
  until then says nothing. The two are told apart by where in their time T customers made their last purchase,
  t_x. Without a rhythm x repeat purchases lie anywhere in T and (t_x / T)^x is uniform, or smaller where
  customers leave; with one it is 0.65 on average, as less than a gap has passed since. Unless that speaks for
  exponential gaps, nobody is called more likely gone than not; nobody is before their own mean gap is over.
- *Whether those who ordered once return.* In BG/NBD nobody leaves before a second order, so whoever has not
  come back returns late. Once the usual gap of the shop is over they are not called more likely to return.

All limits fall away as the shop is seen for longer; from then on BG/NBD speaks as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: The shop was seen for as long as this share of its customers was.
_SEEN_BY: Final = 0.05
#: Under a regular rhythm the density of z = (t_x / T)^x is taken to be proportional to e^(2z).
_TILT: Final = 2.0
_NORM: Final = float(np.log(np.expm1(_TILT) / _TILT))
#: Nats of evidence for exponential gaps that one of log-odds takes.
_EVIDENCE: Final = 10.0
#: From how many horizons on a shop is no longer young, and the log-odds that each further one allows.
_YOUNG: Final = 1.5
_RELEASE: Final = 8.0
#: Log-odds of returning that a young shop allows at most: 12 to 1.
_SUREST: Final = 2.5
#: Log-odds of certainty, where probabilities are cut off.
_CERTAIN: Final = float(np.log(1e6 - 1))
#: Of a shop about which nothing is asked: long and well enough known.
_LONG: Final = 1e6


class Experience(msgspec.Struct, frozen=True):
    """For how many days a shop was seen, and the evidence (nats) for exponential gaps; below 0 for a rhythm.

    `gap_days` is the mean time between two orders of a customer, by which those are late who ordered once.
    Raises ValueError unless all are finite and days not negative.
    """

    seen_days: float = _LONG
    evidence: float = _LONG
    gap_days: float = _LONG

    def __post_init__(self) -> None:
        days = min(self.seen_days, self.gap_days)
        if days < 0 or not np.isfinite([self.seen_days, self.evidence, self.gap_days]).all():
            raise ValueError("a shop was seen for a finite time, with finite evidence and gaps")

    @classmethod
    def of(cls, count: Floats, x: Floats, t_x: Floats, T: Floats) -> Experience:
        """Of customers in cells (k,): their `count`, and sums of x, t_x and T as in `features.returns`."""
        gap_days = float(t_x.sum() / x.sum()) if x.any() else _LONG
        x, t_x, T = x / count, t_x / count, T / count
        back = (x > 0) & (T > 0)
        z = (t_x[back] / T[back]) ** x[back]
        oldest = np.argsort(-T, kind="stable")
        reached = np.searchsorted(np.cumsum(count[oldest]), _SEEN_BY * count.sum())
        evidence = float(count[back] @ (_NORM - _TILT * z))
        return cls(seen_days=float(T[oldest][reached]), evidence=evidence, gap_days=gap_days)

    def tempered(self, p: Floats, x: Floats, t_x: Floats, T: Floats, horizon_days: float) -> Floats:
        """Probabilities `p` (n,) of no purchase within the horizon, no surer than this experience allows."""
        age = self.seen_days / horizon_days
        released = _RELEASE * max(age - _YOUNG, 0.0)
        if released >= _CERTAIN:
            return p
        with np.errstate(divide="ignore"):  # log-odds of certainty are infinite
            log_odds = np.clip(np.log(p) - np.log1p(-p), -_CERTAIN, _CERTAIN)
        silent = T - t_x
        late = silent * x >= t_x  # longer than the own mean gap, or there is none
        ceiling = released + np.where(late, max(self.evidence, 0.0) / _EVIDENCE, 0.0)
        floor = -released - np.where((x == 0) & (silent > self.gap_days), 0.0, _SUREST)
        low = np.maximum(log_odds * min(age, 1.0) ** 0.5, floor)
        allowed = np.where(log_odds < 0, low, np.minimum(log_odds, ceiling))
        return np.asarray(expit(allowed))
