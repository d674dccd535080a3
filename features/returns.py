"""The return probability: BG/NBD, from nothing but when a customer bought.

Fader, Hardie & Lee, '"Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model',
Marketing Science 24(2), 2005. While alive a customer buys as a Poisson process; after each purchase they
leave with a probability of their own. Purchase rates are Gamma(r, alpha) over the customers, leaving
probabilities Beta(a, b). Three numbers say all that the model needs about a customer at time t:

    x     days with a purchase after the first such day
    t_x   days from the first purchase to the last
    T     days from the first purchase to t
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from scipy.special import digamma, expit, gammaln, log_expit

from features.young import Experience

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray


#: A logit is cut off where its probability is this close to 0 or 1.
_CERTAINTY = 1e-6


class ReturnModel(msgspec.Struct, frozen=True):
    """The four parameters of BG/NBD, time in days; raises ValueError unless they are positive and finite.

    What it says is no surer than the shop's `experience` allows; by default that is long enough for all.
    """

    r: float
    alpha: float
    a: float
    b: float
    experience: Experience = Experience()

    def __post_init__(self) -> None:
        if not all(0 < value < np.inf for value in (self.r, self.alpha, self.a, self.b)):
            raise ValueError("the parameters of BG/NBD are positive and finite")

    def probability_of_no_purchase(
        self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, horizon_days: float
    ) -> NDArray[np.float64]:
        """P(no purchase in the next `horizon_days`) of each customer; finite for every finite input.

        As BG/NBD has it, and no surer than the shop's experience allows.
        """
        x, t_x, T = (np.maximum(np.asarray(v, dtype=np.float64), 0) for v in (x, t_x, T))
        p = self.untempered(x, t_x, T, horizon_days)
        return self.experience.tempered(p, x, t_x, T, horizon_days)

    def untempered(
        self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, horizon_days: float
    ) -> NDArray[np.float64]:
        """BG/NBD's own probability of no purchase in the next `horizon_days`.

        1 - P(alive) · P(a purchase | alive). Of one who is alive the rate is Gamma(r + x, alpha + T), so
        P(no purchase | alive) = ((alpha + T) / (alpha + T + H))^(r + x). One who never came back counts as
        alive (x = 0): in this model customers leave only right after a repeat purchase.
        """
        x, t_x, T = (np.maximum(np.asarray(v, dtype=np.float64), 0) for v in (x, t_x, T))
        shape = self.r + x
        age = self.alpha + T
        none_if_alive = np.exp(shape * np.log(age / (age + horizon_days)))
        silence = np.log(age / (self.alpha + np.minimum(t_x, T)))
        with np.errstate(over="ignore"):  # infinite odds of having left are certainty
            odds_gone = np.exp(shape * silence) * (self.a / np.maximum(self.b + x - 1, self.b))
        alive = 1 / (1 + np.where(x > 0, odds_gone, 0))
        return np.asarray(1 - alive * (1 - none_if_alive))

    def no_purchase_logit(
        self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike, horizon_days: float
    ) -> NDArray[np.float64]:
        """Log-odds of `probability_of_no_purchase`, cut off where that is 1e-6 from 0 or 1."""
        p = np.clip(self.probability_of_no_purchase(x, t_x, T, horizon_days), _CERTAINTY, 1 - _CERTAINTY)
        return np.asarray(np.log(p) - np.log1p(-p))


#: What is believed before there is data: the parameters published for CDNOW (r, alpha in weeks, a, b).
PRIOR = ReturnModel(r=0.243, alpha=7 * 4.414, a=0.793, b=2.426)

#: What is said of a shop that was not seen at all: one in two.
UNSEEN = msgspec.structs.replace(PRIOR, experience=Experience(seen_days=0.0, evidence=0.0))

#: How much is believed of it: the standard deviation of each parameter's logarithm, a factor of seven.
_PRIOR_SPREAD = 2.0

#: Cells are a week wide in t_x and T, and exact in x up to here; above, x is cut into 8 cells per octave.
_CELL_DAYS = 7
_EXACT_X = 16


class ReturnHistogram:
    """Customers counted by (x, t_x, T): a partition in whole numbers and bounded size, all that `fit` needs.

    A cell keeps its count and the sums of x, t_x and T, so that the fit can place it at its mean: the
    likelihood is exact up to its curvature within a week, and on CDNOW no probability moves by more than
    0.0004. Sums of integers do not depend on the order or on the split into partitions, and cells stand in
    sorted order, so neither does the fitted model.
    """

    def __init__(self, cells: NDArray[np.int64], sums: NDArray[np.int64]) -> None:
        """Add up entries in any order; `cells` int64[k] as `_cell` numbers them, `sums` int64[k, 4]."""
        self.cells, which = np.unique(cells, return_inverse=True)
        #: Customers and their sums of x, t_x, T in each cell.
        self.sums = np.zeros((len(self.cells), 4), dtype=np.int64)
        np.add.at(self.sums, which, sums.reshape(-1, 4))

    @classmethod
    def from_arrays(cls, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> ReturnHistogram:
        """Count customers; days are cut to whole ones. Raises ValueError unless 0 ≤ x and 0 ≤ t_x ≤ T."""
        whole = [np.asarray(values, dtype=np.float64).astype(np.int64) for values in (x, t_x, T)]
        if any((values < 0).any() for values in whole) or (whole[1] > whole[2]).any():
            raise ValueError("x, t_x and T must not be negative and t_x must not exceed T")
        return cls(_cell(*whole), np.stack((np.ones_like(whole[0]), *whole), axis=1))

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> ReturnHistogram:
        """The histogram that `to_json` gave."""
        return cls(np.array(kept["cells"], dtype=np.int64), np.array(kept["sums"], dtype=np.int64))

    def to_json(self) -> dict[str, Any]:
        """Cells (a list of integers) and their sums (a list of four integers each)."""
        return {"cells": self.cells.tolist(), "sums": self.sums.tolist()}

    @classmethod
    def merge(cls, parts: Iterable[ReturnHistogram]) -> ReturnHistogram:
        """The histogram of all customers of `parts`."""
        whole = (cls(np.zeros(0, dtype=np.int64), np.zeros((0, 4), dtype=np.int64)), *parts)
        return cls(np.concatenate([p.cells for p in whole]), np.concatenate([p.sums for p in whole]))

    @property
    def customers(self) -> int:
        """Customers counted."""
        return int(self.sums[:, 0].sum())


def fit(histogram: ReturnHistogram, start: ReturnModel | None = None) -> ReturnModel:
    """The most likely model, searched from `start` (default `PRIOR`); never worse than `start`, never NaN.

    Each parameter's logarithm carries a wide normal prior around `PRIOR`, worth less than one customer; it
    keeps the search finite where the data say nothing (nobody came back, too few customers).
    Deterministic for the same histogram and start.
    """
    # Half a second of CPU time to load, and only a trainer fits.
    from scipy.optimize import minimize  # noqa: PLC0415

    start = start or PRIOR
    first = _logs(start)
    if not histogram.customers:
        return start
    data = _Sample(histogram)
    bounds = [(value - 12, value + 12) for value in _logs(PRIOR)]
    found = minimize(data.loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12})
    experience = Experience.of(*histogram.sums.T.astype(np.float64))
    if not np.isfinite(found.x).all() or not found.fun <= data.loss(first)[0]:
        return msgspec.structs.replace(start, experience=experience)
    r, alpha, a, b = np.exp(found.x).tolist()
    return ReturnModel(r, alpha, a, b, experience)


class _Sample:
    """Cells at their means, with the mean negative log posterior and its gradient in the parameters' logs."""

    def __init__(self, histogram: ReturnHistogram) -> None:
        count, *sums = histogram.sums.T.astype(np.float64)
        x, self.t_x, self.T = (total / count for total in sums)
        self.weight = count / count.sum()
        self.spread = _PRIOR_SPREAD * np.sqrt(count.sum())
        self.repeated = x > 0
        # gamma functions are dear and x takes few values
        self.x, self.which = np.unique(x, return_inverse=True)

    def loss(self, logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Equations (6) of the paper; with l = log odds of having left, ln L = A1 + A2 + A3 + ln(1 + e^l)."""
        r, alpha, a, b = np.exp(logs)
        x, which = self.x, self.which
        log_T, log_t_x = np.log(alpha + self.T), np.log(alpha + self.t_x)
        before_last = np.maximum(b + x - 1, b)
        gone = np.where(
            self.repeated, (np.log(a / before_last))[which] + (r + x)[which] * (log_T - log_t_x), -np.inf
        )
        by_x = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        by_x += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        likelihood = by_x[which] - (r + x)[which] * log_T - log_expit(-gone)
        q = expit(gone)  # the chance of having left
        rate_time = (1 - q) * log_T + q * log_t_x
        inverse_age = (1 - q) / (alpha + self.T) + q / (alpha + self.t_x)
        shared = digamma(a + b) - digamma(a + b + x)
        gradient = np.array(
            [
                r * self.weight @ ((digamma(r + x) - digamma(r) + np.log(alpha))[which] - rate_time),
                alpha * self.weight @ (r / alpha - (r + x)[which] * inverse_age),
                a * self.weight @ (shared[which] + q / a),
                b * self.weight @ ((shared + digamma(b + x) - digamma(b))[which] - q / before_last[which]),
            ]
        )
        away = (logs - _logs(PRIOR)) / self.spread
        return float(away @ away / 2 - self.weight @ likelihood), away / self.spread - gradient


def _logs(model: ReturnModel) -> NDArray[np.float64]:
    return np.log([model.r, model.alpha, model.a, model.b])


def _cell(x: NDArray[np.int64], t_x: NDArray[np.int64], T: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of each customer's cell: x in the high bits, the weeks of t_x and of T in 20 bits each."""
    octaves = np.log2(np.maximum(x, _EXACT_X) / _EXACT_X)
    x_cell = np.minimum(x, _EXACT_X) + (8 * octaves).astype(np.int64)
    last = (1 << 20) - 1
    weeks_t_x, weeks_T = (np.minimum(days // _CELL_DAYS, last) for days in (t_x, T))
    return (x_cell << 40) | (weeks_t_x << 20) | weeks_T
