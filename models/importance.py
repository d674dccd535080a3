"""Global importance: what the model goes by, over many customers, in the shares that alerts are made of.

The weight of a feature is the mean absolute share that it has in the log-odds, relative to the average
customer. Features of one theme say nearly the same and may contradict each other, so the weight of a theme
is that of its shares added up: what cancels out does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from features.catalogue import BY_NAME, CATALOGUE, NAMES
from features.speaking import more_than_orders

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.feature import Direction, Theme
    from models.scorers import Scorer

#: Rows looked at. Cohorts are in the order of a hash, so the first rows are a fair draw.
_ROWS: Final = 20_000
#: A shop is seen to do more than sell if at least this share of its customers was seen to do more than buy.
_BROWSING: Final = 0.01
#: A correlation of value and share below this is no direction.
_CLEAR: Final = 0.5


@dataclass(frozen=True)
class FeatureWeight:
    """One feature: mean absolute share in the log-odds, and which way it works.

    `direction` is the correlation of value and share: near 1 more of it raises the risk, near -1 it lowers
    it, in between it does both; 0 where nothing varies.
    """

    name: str
    weight: float
    direction: float

    @property
    def way(self) -> Direction:
        """Which way it works in the model, in the words of the catalogue."""
        if abs(self.direction) < _CLEAR:
            return "either"
        return "riskier" if self.direction > 0 else "safer"

    @property
    def agrees(self) -> bool:
        """Whether that is the way in which it should work by common sense."""
        return self.way == BY_NAME[self.name].direction != "either"


@dataclass(frozen=True)
class ThemeWeight:
    """One theme: mean absolute sum of its features' shares, and the features, heaviest first."""

    theme: Theme
    weight: float
    features: tuple[FeatureWeight, ...]


def importance(scorer: Scorer, inputs: NDArray[np.float32]) -> tuple[ThemeWeight, ...]:
    """The themes that `scorer` goes by over `inputs` float32[n, d], heaviest first; none without rows.

    Only features of the catalogue count: neither what was done to a customer nor the time of year is a trait
    of theirs. Where nothing but orders is seen, activity is orders once more, and counts as rhythm, as it
    does in reasons.
    """
    if not len(inputs):
        return ()
    inputs = inputs[:_ROWS]
    shares = scorer.contributions(inputs)
    by_theme: dict[Theme, list[int]] = {}
    browsing = _browse(inputs).mean() >= _BROWSING
    for j, feature in enumerate(CATALOGUE):
        theme: Theme = "rhythm" if feature.theme == "browsing" and not browsing else feature.theme
        by_theme.setdefault(theme, []).append(j)
    found = [_theme(theme, columns, inputs, shares) for theme, columns in by_theme.items()]
    return tuple(sorted(found, key=lambda each: -each.weight))


def _browse(inputs: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Who was seen to do more than buy: `features.speaking.more_than_orders` of model inputs."""
    names = ("activity_90d", "orders_90d", "days_since_purchase", "days_since_activity")
    assert all(BY_NAME[name].scale == "log" for name in names), "their logarithm is undone here"
    raw = (np.expm1(inputs[:, NAMES.index(name)]) for name in names)
    return np.asarray(more_than_orders(*raw), bool)


def _theme(
    theme: Theme, columns: list[int], inputs: NDArray[np.float32], shares: NDArray[np.float64]
) -> ThemeWeight:
    features = [
        FeatureWeight(
            CATALOGUE[j].name,
            float(np.abs(shares[:, j]).mean()),
            _correlation(inputs[:, j].astype(np.float64), shares[:, j]),
        )
        for j in columns
    ]
    weight = float(np.abs(shares[:, columns].sum(axis=1)).mean())
    return ThemeWeight(theme, weight, tuple(sorted(features, key=lambda each: -each.weight)))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    # A column of one value is off its mean by rounding alone.
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip(a @ b / norm, -1, 1)) if norm > 1e-12 * len(a) else 0.0
