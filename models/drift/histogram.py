"""A histogram of model inputs that needs no bounds: integer counts on the grid of 16-bit floats.

The upper half of a float32 is a bfloat16: sign, exponent and 7 bits of the mantissa. As cells these are
narrow relative to the value (below 1 %), in order, and the same for everybody without looking at the data:
the idea of DDSketch (Masson, Rim & Lee, VLDB 2019) with a cell number that costs a shift. Counts add up in
any order, so partitions and interleaving cannot change a histogram, and quantiles are found afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

#: Cells of one column, at most; a few hundred are in use.
_CELLS: Final = 1 << 16
#: Below so many rows sorting them is faster than walking over all cells.
_FEW: Final = 10_000


def cells(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """The cell of each finite value, 0 to 65535 in rising order of the values."""
    positive_zero = np.asarray(values, np.float32) + np.float32(0)
    bits = positive_zero.view(np.int32)
    # Two's complement orders floats of one sign only; flipping all but the sign orders the negative ones.
    ordered = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    return (ordered >> 16).astype(np.int64) + _CELLS // 2


class InputHistogram:
    """How often each cell occurs in each of `columns` columns."""

    def __init__(self, columns: int, keys: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Add up entries in any order; a key is column * 65536 + cell."""
        self.columns = columns
        order = np.argsort(keys, kind="stable")  # linear where sorted runs meet
        keys = keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        self.keys = keys[starts]
        self.counts = np.add.reduceat(counts[order], starts) if len(starts) else np.zeros(0, np.int64)

    @classmethod
    def of(cls, inputs: NDArray[np.float32]) -> InputHistogram:
        """Count the rows of `inputs` float32[n, d], all finite."""
        if len(inputs) < _FEW:
            # NumPy sorts 16-bit numbers in linear time.
            rising = np.sort(cells(inputs).T.astype(np.uint16), axis=1, kind="stable")
            own = (rising + np.arange(len(rising))[:, None] * _CELLS).ravel()
            starts = np.flatnonzero(np.diff(own, prepend=-1))
            return cls(inputs.shape[1], own[starts], np.diff(starts, append=len(own)))
        keys, counts = [], []
        for j, column in enumerate(inputs.T):
            tally = np.bincount(cells(column), minlength=_CELLS)
            used = np.flatnonzero(tally)
            keys.append(used + j * _CELLS)
            counts.append(tally[used])
        return cls(inputs.shape[1], _joined(keys), _joined(counts))

    @classmethod
    def merge(cls, parts: Iterable[InputHistogram]) -> InputHistogram:
        """All rows of `parts`; raises ValueError unless there are some, all of as many columns."""
        parts = list(parts)
        widths = {part.columns for part in parts}
        if len(widths) != 1:
            raise ValueError(f"histograms of {sorted(widths)} columns do not add up")
        return cls(widths.pop(), _joined([p.keys for p in parts]), _joined([p.counts for p in parts]))

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> InputHistogram:
        """The histogram that `to_json` gave; raises ValueError for what is none."""
        columns = int(kept["columns"])
        keys, counts = (np.array(kept[name], np.int64) for name in ("steps", "counts"))
        keys = np.cumsum(keys)
        if len(keys) != len(counts) or (counts < 1).any() or (keys // _CELLS >= columns).any():
            raise ValueError("keys and counts that do not fit together")
        if (np.diff(keys, prepend=-1) < 1).any():
            raise ValueError("keys that do not rise")
        return cls(columns, keys, counts)

    def with_zeros(self, column: int) -> InputHistogram:
        """The same rows with one more column before `column`, which is 0 in all of them."""
        keys = self.keys + _CELLS * (self.keys >= column * _CELLS)
        zero = column * _CELLS + cells(np.zeros(1, np.float32))
        counts = np.append(self.counts, len(self))
        return InputHistogram(self.columns + 1, np.append(keys, zero), counts)

    def to_json(self) -> dict[str, Any]:
        """The number of columns, steps from one used key to the next, and the count at each."""
        return {
            "columns": self.columns,
            "steps": np.diff(self.keys, prepend=0).tolist(),
            "counts": self.counts.tolist(),
        }

    def __len__(self) -> int:
        """Rows counted."""
        return int(self.counts.sum()) // self.columns

    def rows(self) -> NDArray[np.int64]:
        """Rows counted in each column: all the same, if whole rows were counted."""
        upto = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.counts)))
        return np.diff(upto[np.searchsorted(self.keys, np.arange(self.columns + 1) * _CELLS)])

    def column(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The used cells of a column in rising order, and their counts."""
        start, end = np.searchsorted(self.keys, (number * _CELLS, (number + 1) * _CELLS))
        return self.keys[start:end] - number * _CELLS, self.counts[start:end]


def _joined(pieces: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
