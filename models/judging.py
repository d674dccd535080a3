"""Scoring records as of a time: shared by sweeps, triggers, backtest and inspection."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from features.catalogue import CHUNK, NAMES, raw_features, scale
from features.view import View, rhythm
from models.closings import open_time
from models.versions import COLUMNS, SEASON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from models.versions import ModelSet

#: Days of a rhythm beyond which it is cut: 180 years.
_LONGEST: Final = np.iinfo(np.uint16).max
#: Chunks from which on starting a second thread pays.
_WORTH_THREADS: Final = 2
_threads: Final = ThreadPoolExecutor(2, thread_name_prefix="judging")


@dataclass(frozen=True)
class Judgement:
    """Records judged at one time.

    `inputs` (n, d) as scored; `issued` (n, m) probabilities rounded to 1e-6, one column per contender;
    `champion` the column that raises alerts.
    """

    inputs: NDArray[np.float32]
    issued: NDArray[np.float64]
    champion: int

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The champion's P(churn), shape (n,)."""
        return self.issued[:, self.champion]


def judge(
    rows: NDArray[np.void],
    slots: NDArray[np.intp],
    ts: int | NDArray[np.int64],
    horizon_days: int,
    models: ModelSet,
) -> Judgement:
    """Features and probabilities of the records at `slots` (n,), holding the events before `ts`, one or (n,).

    Risk is read untreated (DESIGN 4.9): the `treated` column is 0.
    """
    # Column by column in memory, as they are computed.
    inputs = np.empty((len(COLUMNS), len(slots)), np.float32).T
    issued = np.empty((len(models.scorers), len(slots))).T

    def one(chunk: slice) -> None:
        at = ts if isinstance(ts, int) else ts[chunk]
        own = inputs_of(rows, slots[chunk], at, horizon_days, models)
        for column, p in enumerate(models.probabilities(own)):
            issued[chunk, column] = np.round(p, 6)
        inputs[chunk] = own

    found = list(chunks(len(slots)))
    # numpy releases the interpreter, so large sweeps use two cores; each chunk's result is its own.
    for _ in _threads.map(one, found) if len(found) >= _WORTH_THREADS else map(one, found):
        pass
    return Judgement(inputs, issued, models.contenders.index(models.champion))


def inputs_of(
    rows: NDArray[np.void],
    slots: NDArray[np.intp],
    ts: int | NDArray[np.int64],
    horizon_days: int,
    models: ModelSet,
) -> NDArray[np.float32]:
    """Model inputs (n, d) of the records at `slots`, of which there are not many more than CHUNK.

    The clock stands still while the shop is closed.
    """
    at = open_time(rows["last_ts"][slots], ts, models.closed)
    view = View(rows, at, horizon_days, models.returns, np.float32, slots)
    own = np.zeros((len(COLUMNS), len(view)), np.float32).T
    scale(raw_features(view, own[:, : len(NAMES)]))
    own[:, COLUMNS.index(SEASON)] = models.seasons.effect(ts)
    return own


def rhythms(rows: NDArray[np.void], slots: NDArray[np.intp], ts: int, models: ModelSet) -> NDArray[np.uint16]:
    """x, t_x and T of BG/NBD (n, 3) of the records at `slots`, in whole days on which the shop was open."""
    first, last, days = (rows[name][slots] for name in ("first_purchase", "last_purchase", "order_days"))
    at = open_time(rows["last_ts"][slots], ts, models.closed)
    return np.stack(rhythm(first, last, days, at), axis=1).clip(0, _LONGEST).astype(np.uint16)


def chunks(n: int) -> Iterator[slice]:
    """Slices of at most CHUNK rows that cover n."""
    return (slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK))
