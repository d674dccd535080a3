"""Drift of the inputs: the population stability index of every feature against a reference.

The reference is the snapshot one horizon ago: labels take that long, so it is the youngest population that
the models have learned from when they score today's. The first decision times of a shop would be a bad one:
its customers grow older with the log, so that features of tenure and counts would be "drifted" for ever. (On
weekly Complete Journey 29 of 48 columns end above 0.25 against the first eight weeks. Against a horizon ago
30 columns are told in its third week, when the log is young, none in the 49 that follow, and 10 in the last,
which is cut off.) A change slower than a horizon is left to the learners, who follow it, and to the loss,
which tells if they do not. What is the same for all customers is not watched: it moves as a whole
or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from scipy.special import chdtri

from features.catalogue import NAMES, model_inputs
from models.drift.histogram import InputHistogram, cells
from models.drift.told import Drift
from models.versions import COLUMNS, SHOP_WIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: The customary reading of a PSI (Siddiqi, *Credit Risk Scorecards*, 2006): below, nothing of note.
MODERATE: Final = 0.1
LARGE: Final = 0.25
#: Bins of equal mass in the reference, beside those of single values.
BINS: Final = 10
#: How seldom chance alone may exceed the bound of a column that did not change.
_CHANCE: Final = 1e-4
#: Snapshots kept in the time of one horizon: the reference is 1 to 1.25 horizons old.
_KEPT: Final = 4


@dataclass(frozen=True, slots=True)
class Stability:
    """The index of each column (d,), and what chance alone keeps it below in samples of this size."""

    index: NDArray[np.float64]
    chance: NDArray[np.float64]


def missing_inputs() -> NDArray[np.float32]:
    """What stands in each of `COLUMNS` for a customer of whom nothing is known."""
    inputs = model_inputs(np.full((1, len(NAMES)), np.nan))[0]
    return np.append(inputs, np.zeros(len(COLUMNS) - len(NAMES), np.float32))


def population_stability(
    reference: InputHistogram, current: InputHistogram, alone: NDArray[np.float32]
) -> Stability:
    """Sum over bins of (q - p) · ln(q / p), p and q the shares of reference and current rows, per column.

    Bins are deciles of the reference. The value `alone` (d,), which stands for missing, has a bin of its
    own, as has every value of a tenth of the rows: a feature that was constant shows every other value. Each
    bin counts half a row more than it has, so none is empty. For samples of one population the index is
    about chi-squared times 1/n + 1/m (Yurdakul & Naranjo, Journal of Risk Model Validation 14(4), 2020).
    Raises ValueError unless both have rows and as many columns.
    """
    if reference.columns != current.columns or not len(reference) or not len(current):
        raise ValueError("stability needs rows of the same columns on both sides")
    index, chance = np.zeros(reference.columns), np.zeros(reference.columns)
    per_row = 1 / len(reference) + 1 / len(current)
    for j, single in enumerate(cells(alone).tolist()):
        edges = _edges(*reference.column(j), single)
        before, now = (_binned(each, j, edges) for each in (reference, current))
        used = before + now > 0
        p, q = _shares(before[used]), _shares(now[used])
        index[j] = ((q - p) * np.log(q / p)).sum()
        chance[j] = chdtri(max(int(used.sum()) - 1, 1), _CHANCE) * per_row
    return Stability(index, chance)


def _edges(used: NDArray[np.int64], counts: NDArray[np.int64], single: int) -> NDArray[np.int64]:
    """The last cell of every bin but the last, which is open."""
    upto, rows = np.cumsum(counts), int(counts.sum())
    deciles = used[np.searchsorted(upto * BINS, rows * np.arange(1, BINS))]
    atoms = np.append(used[counts * BINS >= rows], single)
    return np.unique(np.concatenate((deciles, atoms - 1, atoms)))


def _binned(histogram: InputHistogram, column: int, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    used, counts = histogram.column(column)
    return np.bincount(np.searchsorted(edges, used), counts, len(edges) + 1).astype(np.float64)


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    smoothed = counts + 0.5
    return np.asarray(smoothed / smoothed.sum())


class InputWatch:
    """Follows the index of every column; tells when one rises to a level.

    A column is at a level when its index is above both the customary threshold and what chance explains. It
    is told once for each level, and again only after it fell below the lowest. `lag_ms` is the horizon.
    At most six snapshots are kept, however dense the grid.
    """

    def __init__(
        self, lag_ms: int, names: Sequence[str] = COLUMNS, alone: NDArray[np.float32] | None = None
    ) -> None:
        self._lag_ms = lag_ms
        self._names = tuple(names)
        self._alone = missing_inputs() if alone is None else alone
        self._kept: list[tuple[int, InputHistogram]] = []
        self._told: dict[str, Literal["moderate", "large"]] = {}
        #: The newest index by column, empty before there is a reference: what metrics show.
        self.index: dict[str, float] = {}
        #: The decision time of the reference that it is against.
        self.since: int | None = None

    def see(self, ts: int, current: InputHistogram) -> list[Drift]:
        """Take the snapshot of decision time `ts` (epoch ms, rising), of all partitions; what it tells."""
        if not len(current):
            return []
        found: list[Drift] = []
        while len(self._kept) > 1 and self._kept[1][0] <= ts - self._lag_ms:
            del self._kept[0]
        if self._kept and self._kept[0][0] <= ts - self._lag_ms:
            since, reference = self._kept[0]
            found = self._judge(ts, since, population_stability(reference, current, self._alone))
        if not self._kept or (ts - self._kept[-1][0]) * _KEPT >= self._lag_ms:
            self._kept.append((ts, current))
        return found

    def _judge(self, ts: int, since: int, stability: Stability) -> list[Drift]:
        indices = zip(self._names, stability.index.tolist(), strict=True)
        self.index = {name: index for name, index in indices if name not in SHOP_WIDE}
        self.since = since
        found = []
        for name, chance in zip(self._names, stability.chance.tolist(), strict=True):
            if name in SHOP_WIDE:
                continue
            level = _level(self.index[name], chance)
            told = self._told.get(name)
            if level is None:
                self._told.pop(name, None)
            elif told is None or (told, level) == ("moderate", "large"):
                self._told[name] = level
                strength = self.index[name]
                found.append(
                    Drift(at=ts, since=since, what=name, measure="psi", strength=strength, level=level)
                )
        return found

    def to_json(self) -> dict[str, Any]:
        """All that the watch remembers, as plain JSON; `names` among it."""
        return {
            "names": list(self._names),
            "kept": [[ts, histogram.to_json()] for ts, histogram in self._kept],
            "told": dict(self._told),
            "index": dict(self.index),
            "since": self.since,
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on from `to_json`; raises ValueError if that was of other columns or is out of order."""
        if tuple(kept["names"]) != self._names:
            raise ValueError("the watch was of another catalogue of features")
        snapshots = [(int(ts), InputHistogram.from_json(histogram)) for ts, histogram in kept["kept"]]
        if any(a[0] >= b[0] for a, b in pairwise(snapshots)):
            raise ValueError("the snapshots of the watch are out of order")
        self._kept, self._told = snapshots, dict(kept["told"])
        self.index, self.since = dict(kept["index"]), kept["since"]


def _level(index: float, chance: float) -> Literal["moderate", "large"] | None:
    if index < MODERATE or index < chance:
        return None
    return "large" if index >= LARGE else "moderate"
