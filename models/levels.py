"""How the probabilities of one sweep are spread: a histogram that partitions send and the trainer adds up.

Cells are narrow in log-odds, and their edges are whole millionths, the grain in which probabilities are
issued: how many stand at or above an edge is exact, and depends on no partition or order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import expit

from models.progressive import GRID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

#: Log-odds from one edge to the next, and how far the edges reach: to one in a million.
_STEP: Final = 0.01
_REACH: Final = 13.8
_ODDS: Final = np.arange(-_REACH, _REACH + _STEP, _STEP)
#: Edges in millionths, rising; 1 is the last, so that certainty has a cell of its own.
EDGES: Final = np.unique([*np.rint(expit(_ODDS) * GRID).astype(np.int64).tolist(), GRID])
#: Cell i holds what is at or above edge i - 1 and below edge i.
CELLS: Final = len(EDGES) + 1
#: The cell of each number of millionths.
_CELL_OF: Final = np.repeat(np.arange(CELLS, dtype=np.int16), np.diff(EDGES, prepend=0, append=GRID + 1))


@dataclass(frozen=True)
class Levels:
    """Customers by cell: `cells` (k,) rise, `counts` (k,) are above 0. Raises ValueError otherwise."""

    cells: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        cells, counts = self.cells, self.counts
        if cells.shape != counts.shape or cells.ndim != 1:
            raise ValueError("a histogram of probabilities needs one count for each cell")
        if len(cells) and (cells[0] < 0 or cells[-1] >= CELLS or (np.diff(cells) <= 0).any()):
            raise ValueError("the cells of a histogram of probabilities rise and are known")
        if (counts <= 0).any():
            raise ValueError("a cell of a histogram counts somebody")

    @classmethod
    def of(cls, probabilities: NDArray[np.float64]) -> Levels:
        """Count issued probabilities (n,)."""
        return cls._of_dense(np.bincount(_CELL_OF[np.rint(probabilities * GRID).astype(np.int64)]))

    @classmethod
    def merge(cls, parts: Iterable[Levels]) -> Levels:
        """All customers of `parts`."""
        counts = np.zeros(CELLS, np.int64)
        for part in parts:
            counts[part.cells] += part.counts
        return cls._of_dense(counts)

    @classmethod
    def _of_dense(cls, counts: NDArray[np.int64]) -> Levels:
        cells = np.flatnonzero(counts)
        return cls(cells, counts[cells])

    @classmethod
    def from_json(cls, kept: Mapping[str, ArrayLike]) -> Levels:
        """The histogram that `to_json` gave; raises KeyError, TypeError or ValueError for anything else."""
        return cls(np.asarray(kept["cells"], np.int64), np.asarray(kept["counts"], np.int64))

    def to_json(self) -> dict[str, Any]:
        """Cells and their counts, as lists of integers."""
        return {"cells": self.cells.tolist(), "counts": self.counts.tolist()}

    @property
    def customers(self) -> int:
        """Customers counted."""
        return int(self.counts.sum())

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the customers in each of the CELLS; there must be customers."""
        dense = np.zeros(CELLS)
        dense[self.cells] = self.counts / self.customers
        return dense
