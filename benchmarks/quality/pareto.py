"""Pareto/NBD, the model before BG/NBD: customers may leave at any time, not only after a purchase.

Schmittlein, Morrison & Colombo, "Counting Your Customers: Who Are They and What Will They Do Next?",
Management Science 33(1), 1987. Purchase rates are Gamma(r, alpha), rates of leaving Gamma(s, beta).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, expit, gammaln

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.quality.cohorts import JudgedCohort
    from features.returns import ReturnHistogram

    Floats = NDArray[np.float64]

#: Logarithms of r, alpha, s and beta as published for CDNOW, where time was in weeks.
PRIOR: Final = np.log([0.553, 7 * 10.578, 0.606, 7 * 11.669])
#: Standard deviation of each logarithm around them; worth less than one customer, as in `features.returns`.
_SPREAD: Final = 2.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


def log_likelihood(logs: Floats, x: Floats, t_x: Floats, T: Floats) -> Floats:
    """Log-likelihood of x purchases, the last at t_x, and none until T; each of shape (n,), in days.

    With k = r + x, a = alpha and b = beta the likelihood is
        Γ(k) a^r b^s / Γ(r) · [ (a+T)^-k (b+T)^-s + s ∫ (a+τ)^-k (b+τ)^-(s+1) dτ ],
    the integral over the time τ of leaving, from t_x to T. It is published as a difference of Gauss
    hypergeometric functions, which loses all digits for large x; a sum of positive numbers loses none.
    """
    return _with_gradient(logs, x, t_x, T)[0]


def _with_gradient(logs: Floats, x: Floats, t_x: Floats, T: Floats) -> tuple[Floats, Floats]:
    """The log-likelihood (n,), and its gradient (4, n) in the logarithms of the parameters."""
    r, alpha, s, beta = np.exp(logs)
    k = r + x
    # The integrand falls from t_x on within about `fall` days, and τ = t_x + fall (e^y - 1) shows it evenly.
    fall = 1 / (k / (alpha + t_x) + (s + 1) / (beta + t_x))
    end = np.log1p((T - t_x) / fall)
    y = (end / 2)[:, None] * (_NODES + 1)
    after = fall[:, None] * np.expm1(y) + t_x[:, None]
    log_a, log_b = np.log(alpha + after), np.log(beta + after)
    log_a_T, log_b_T = np.log(alpha + T), np.log(beta + T)
    stayed = k * log_a_T + s * log_b_T
    left = stayed[:, None] - k[:, None] * log_a - (s + 1) * log_b + y + np.log(_WEIGHTS)
    most = left.max(axis=1)
    share = np.exp(left - most[:, None])  # of each time of leaving, and at first not of 1
    total = share.sum(axis=1)
    with np.errstate(divide="ignore"):  # nobody has left at T = t_x
        odds_left = most + np.log(total * s * fall * end / 2)
    value = gammaln(k) - gammaln(r) + r * logs[1] + s * logs[3] - stayed + np.logaddexp(0, odds_left)
    gone = expit(odds_left)
    alive, share = 1 - gone, share * (gone / total)[:, None]
    by_rate = digamma(k) - digamma(r) + logs[1] - alive * log_a_T - (share * log_a).sum(axis=1)
    by_alpha = r / alpha - k * (alive / (alpha + T) + (share / (alpha + after)).sum(axis=1))
    by_leaving = logs[3] + gone / s - alive * log_b_T - (share * log_b).sum(axis=1)
    by_beta = s / beta - alive * s / (beta + T) - (s + 1) * (share / (beta + after)).sum(axis=1)
    return value, np.stack((r * by_rate, alpha * by_alpha, s * by_leaving, beta * by_beta))


def probability_of_no_purchase(
    logs: Floats, x: Floats, t_x: Floats, T: Floats, horizon_days: float
) -> Floats:
    """P(no purchase in the `horizon_days` after T) of each customer (n,).

    The likelihood of the same purchases and none until T + H, by that of none until T.
    """
    later = log_likelihood(logs, x, t_x, T + horizon_days)
    return np.asarray(np.exp(np.minimum(later - log_likelihood(logs, x, t_x, T), 0)))


def fit(histogram: ReturnHistogram, start: Floats = PRIOR) -> Floats:
    """Logarithms of the most likely parameters, searched from `start`; `start` if the search fails."""
    if not histogram.customers:
        return start
    count, *sums = histogram.sums.T.astype(np.float64)
    x, t_x, T = (total / count for total in sums)

    def loss(logs: Floats) -> tuple[float, Floats]:
        away = (logs - PRIOR) / _SPREAD
        value, gradient = _with_gradient(logs, x, t_x, T)
        total, slope = away @ away / 2 - count @ value, away / _SPREAD - gradient @ count
        return float(total) / histogram.customers, slope / histogram.customers

    bounds = [(value - 12, value + 12) for value in PRIOR]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-10})
    better = np.isfinite(found.x).all() and found.fun <= loss(start)[0]
    return np.asarray(found.x) if better else start


class ParetoNbd:
    """Fitted anew at every decision time on all customers, from where the last fit ended."""

    name = "Pareto/NBD"
    settings = f"prior {np.exp(PRIOR).round(3).tolist()} (days)"
    ranks_only = False

    def __init__(self, horizon_days: int) -> None:
        self._horizon_days = horizon_days
        self._logs = PRIOR

    def learn(self, _: Sequence[JudgedCohort]) -> None:
        """It learns from purchases alone."""

    def predict(self, cohort: JudgedCohort) -> Floats:
        """See `Baseline`."""
        self._logs = fit(cohort.customers, self._logs)
        x, t_x, T = cohort.rhythm.T.astype(np.float64)
        return probability_of_no_purchase(self._logs, x, t_x, T, self._horizon_days)
