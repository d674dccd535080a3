"""Metrics under weights, so that an interval costs a few hundred passes over sorted arrays.

A customer is judged week after week, and what is said of them in one week is much the same in the next: rows
are not independent, customers are. So whole customers are drawn with replacement, the same ones for every
model, and a difference of two models is taken within each draw (paired).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from models.progressive import CERTAINTY, GRID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

#: Equal-mass bins of the calibration error.
BINS: Final = 15
#: What is measured, in the order of `Weighted.metrics`.
METRICS: Final = ("auc", "log_loss", "pr_auc", "brier", "ece")


class Estimate(NamedTuple):
    """A figure and its 95 % interval: the basic bootstrap (Davison & Hinkley 1997, 5.2).

    The spread of the draws is turned around the figure, which takes out the bias of the calibration error:
    chance alone makes it larger than it is, and in a draw of customers, which adds chance, larger still.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: Floats) -> Estimate:
        """From the figure of all customers and those of each draw (r,)."""
        low, high = np.nanpercentile(drawn, [2.5, 97.5]).tolist()
        return cls(float(value), 2 * float(value) - high, 2 * float(value) - low)


def draws(customers: int, replicates: int, seed: int) -> Iterator[Floats]:
    """How often each customer is drawn (customers,), for each replicate; they add up to `customers`."""
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        chosen = rng.integers(customers, size=customers)
        yield np.bincount(chosen, minlength=customers).astype(np.float64)


class Weighted:
    """Probabilities (n,), labels (n,) and customers (n,), numbered from 0, made ready for many weightings.

    With weights of 1 all metrics are those of `models.progressive.ScoreCounts`. The bins of the calibration
    error are cut once, by the whole sample.
    """

    def __init__(self, probabilities: ArrayLike, churned: ArrayLike, customers: NDArray[np.integer]) -> None:
        points = np.rint(np.asarray(probabilities, np.float64) * GRID).astype(np.int64)
        order = np.argsort(points, kind="stable")
        points = points[order]
        self._customers = np.asarray(customers, np.int32)[order]
        self._churned = np.asarray(churned, bool)[order].astype(np.float64)
        self._starts = np.flatnonzero(np.diff(points, prepend=-1))
        self._sums = self._by_customer(points / GRID, int(self._customers.max()) + 1)

    def _by_customer(self, p: Floats, customers: int) -> Floats:
        """Sums by customer: rows, log loss, squared error, and forecast less label in each bin."""
        y, sure = self._churned, np.clip(p, CERTAINTY, 1 - CERTAINTY)
        loss = -np.where(y > 0, np.log(sure), np.log1p(-sure))
        columns = [np.ones_like(p), loss, (p - y) ** 2]
        columns += [np.where(self._bins() == b, p - y, 0) for b in range(BINS)]
        return np.stack([np.bincount(self._customers, column, customers) for column in columns])

    def _bins(self) -> NDArray[np.int64]:
        """The bin of each row: equal probabilities stay in one, that of their middle rank."""
        sizes = np.diff(self._starts, append=len(self._churned))
        middle = 2 * np.cumsum(sizes) - sizes
        return np.repeat(BINS * middle // (2 * len(self._churned)), sizes)

    def metrics(self, weights: Floats) -> Floats:
        """The `METRICS` when customer i counts `weights[i]` times; NaN where there is nothing to tell."""
        rows, loss, squared, *distances = self._sums @ weights
        own = weights[self._customers]
        churned = np.add.reduceat(own * self._churned, self._starts)
        stayed = np.add.reduceat(own, self._starts) - churned
        with np.errstate(invalid="ignore", divide="ignore"):
            auc = churned @ (np.cumsum(stayed) - stayed / 2) / (churned.sum() * stayed.sum())
            found = np.cumsum(churned[::-1])
            called = found + np.cumsum(stayed[::-1])
            precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
            pr_auc = churned[::-1] @ precision / churned.sum()
            means = np.array([loss, squared, np.abs(distances).sum()]) / rows
        return np.array([auc, means[0], pr_auc, means[1], means[2]])

    @property
    def chance_ece(self) -> float:
        """The calibration error to be expected of a perfectly calibrated model of as many customers.

        The mean of |a normal sum| in each bin, its variance from the sums of the customers, whose own rows
        go together.
        """
        rows, _, _, *distances = self._sums
        spread = [float(((d - d.mean()) ** 2).sum()) for d in distances]
        return float(np.sqrt(np.array(spread) * 2 / np.pi).sum() / rows.sum())


class Bootstrap:
    """Metrics of several models on the same rows: of all customers, and in each of the same draws.

    `probabilities` by name, each (n,); `labels` (n,); `users` (n,) who they belong to.
    """

    def __init__(
        self,
        probabilities: dict[str, Floats],
        labels: NDArray[np.bool_],
        users: NDArray[np.uint64],
        replicates: int,
        seed: int = 0,
    ) -> None:
        distinct, customers = np.unique(users, return_inverse=True)
        self.customers, self.labels = len(distinct), len(labels)
        self.base_rate = float(labels.mean())
        models = [Weighted(p, labels, customers) for p in probabilities.values()]
        #: By name; see `Weighted`.
        self.chance_ece = {name: each.chance_ece for name, each in zip(probabilities, models, strict=True)}
        once = np.ones(self.customers)
        self._row = {name: i for i, name in enumerate(probabilities)}
        self._values = _measured(models, once)
        self._drawn = np.stack(
            [_measured(models, weights) for weights in draws(self.customers, replicates, seed)]
        )

    def estimate(self, name: str, metric: str) -> Estimate:
        """A metric of one model."""
        i, j = self._row[name], METRICS.index(metric)
        return Estimate.of(self._values[i, j], self._drawn[:, i, j])

    def difference(self, name: str, reference: str, metric: str) -> Estimate:
        """A metric of one model less that of `reference`, in the same draws."""
        a, b, j = self._row[name], self._row[reference], METRICS.index(metric)
        return Estimate.of(
            self._values[a, j] - self._values[b, j], self._drawn[:, a, j] - self._drawn[:, b, j]
        )


def _measured(models: Sequence[Weighted], weights: Floats) -> Floats:
    return np.stack([model.metrics(weights) for model in models])
