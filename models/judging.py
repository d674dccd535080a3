"""Scoring records as of a time, and saying why: shared by sweeps, triggers, backtest and inspection."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from features.catalogue import CATALOGUE, CHUNK, NAMES, model_inputs, raw_features, scale
from features.view import View
from models.alerts import Reason
from models.versions import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from models.versions import ModelSet

REASONS: Final = 3
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
        view = View(rows, at, horizon_days, models.returns, np.float32, slots[chunk])
        own = np.zeros((len(COLUMNS), len(view)), np.float32).T
        scale(raw_features(view, own[:, : len(NAMES)]))
        for column, p in enumerate(models.probabilities(own)):
            issued[chunk, column] = np.round(p, 6)
        inputs[chunk] = own

    found = list(chunks(len(slots)))
    # numpy releases the interpreter, so large sweeps use two cores; each chunk's result is its own.
    for _ in _threads.map(one, found) if len(found) >= _WORTH_THREADS else map(one, found):
        pass
    return Judgement(inputs, issued, models.contenders.index(models.champion))


def chunks(n: int) -> Iterator[slice]:
    """Slices of at most CHUNK rows that cover n."""
    return (slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK))


def reasons(
    rows: NDArray[np.void],
    slots: NDArray[np.intp],
    ts: int | NDArray[np.int64],
    horizon_days: int,
    models: ModelSet,
) -> list[tuple[Reason, ...]]:
    """The strongest reasons for churn of the records at `slots`, by exact share in the champion's log-odds.

    At most one of each theme: what says nearly the same as a stronger one is left out.
    """
    raw = raw_features(View(rows, ts, horizon_days, models.returns, slots=slots))
    inputs = np.zeros((len(slots), len(COLUMNS)), np.float32)
    inputs[:, : len(NAMES)] = model_inputs(raw)
    shares = models.scorers[models.champion].contributions(inputs)[:, : len(NAMES)]
    order = np.argsort(-shares, axis=1, kind="stable")
    return [
        tuple(
            _reason(j, float(raw[i, j]), float(shares[i, j])) for j in _strongest(columns.tolist(), shares[i])
        )
        for i, columns in enumerate(order)
    ]


def _strongest(columns: list[int], shares: NDArray[np.float64]) -> list[int]:
    """The first REASONS of `columns` that speak for churn and have a theme of their own."""
    chosen: dict[str, int] = {}
    for column in columns:
        if shares[column] <= 0 or len(chosen) == REASONS:
            break
        chosen.setdefault(CATALOGUE[column].theme, column)
    return list(chosen.values())


def _reason(column: int, raw: float, share: float) -> Reason:
    feature = CATALOGUE[column]
    value = round(raw, 6) if np.isfinite(raw) else None
    return Reason(feature=feature.name, value=value, contribution=round(share, 6), text=feature.text(raw))
