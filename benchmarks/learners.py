"""`python -m benchmarks.learners [NAME…]`: what a label costs each learner, and a row its scorer.

All learn the same labels, the first of a backtest on the CDNOW log, in the order and the slices in which the
trainer gives them, in one process. River's own pipeline (StandardScaler | LogisticRegression, its defaults)
over the same columns is the unit.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from datetime import UTC, datetime
from itertools import takewhile

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from river import linear_model, preprocessing

from features.catalogue import OFFSET
from models.backtest import Backtest, Line
from models.contenders import CONTENDERS, new_learner
from models.learners import Logistic
from models.trainer import SLICE
from models.versions import COLUMNS
from streams.settings import load
from streams.sources import sorted_by_time
from streams.sources.cdnow import Cdnow

_LABELS = 30_000
#: Rows that are scored, and how often: the fastest counts.
_ROWS, _REPEATS = 50_000, 3
#: Until then enough labels have matured.
_ENOUGH = datetime(1997, 7, 15, tzinfo=UTC).timestamp() * 1000

Rows = NDArray[np.float32]


class _Recorder(Logistic):
    """Keeps what it learns."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, offset=OFFSET)
        self.slices: list[tuple[Rows, NDArray[np.bool_]]] = []

    def _learn(self, X: Rows, y: NDArray[np.bool_]) -> None:
        self.slices.append((X.copy(), y.copy()))


def observed() -> tuple[Rows, NDArray[np.bool_]]:
    """The rows and labels that a backtest gives its learners."""
    model = {"horizon_days": 90, "every_days": 7, "active_within_days": 180, "contenders": ["logistic"]}
    settings = load(None, model=model)
    backtest = Backtest(settings.core(), settings.trainer(), settings.currencies())
    recorder = _Recorder()
    backtest.trainer.learners["logistic"] = recorder
    lines = (Line(*event) for event in sorted_by_time(Cdnow()))
    for _ in backtest.run(takewhile(lambda line: line.ts < _ENOUGH, lines)):
        if recorder.labels >= _LABELS:
            break
    X, y = (np.concatenate(each) for each in zip(*recorder.slices, strict=True))
    return X[:_LABELS], y[:_LABELS]


def river(X: Rows, y: NDArray[np.bool_]) -> float:
    """Seconds per label of River's own logistic regression, fed with dictionaries as it is made for."""
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in X.tolist()]
    start = time.process_time()
    for row, label in zip(rows, y.tolist(), strict=True):
        model.learn_one(row, label)
    return (time.process_time() - start) / len(y)


def measured(name: str, X: Rows, y: NDArray[np.bool_]) -> dict[str, float]:
    """CPU seconds of a label and of a scored row, bytes of state and of the scorer's JSON."""
    learner = new_learner(name)
    gc.collect()
    start = time.process_time()
    for first in range(0, len(y), SLICE):
        learner.learn_many(X[first : first + SLICE], y[first : first + SLICE])
    label_s = (time.process_time() - start) / len(y)
    scorer = learner.scorer()
    rows = np.resize(X, (_ROWS, X.shape[1]))
    row_s = []
    for _ in range(_REPEATS):
        start = time.process_time()
        scorer.probabilities(rows)
        row_s.append((time.process_time() - start) / len(rows))
    return {
        "label_s": label_s,
        "row_s": min(row_s),
        "state_bytes": len(learner.state()),
        "scorer_bytes": len(msgspec.json.encode(scorer)),
    }


def main(names: list[str]) -> None:
    """Print a table and, as the last line, the figures as JSON."""
    console = Console()
    with console.status("observing CDNOW"):
        X, y = observed()
    with console.status("River"):
        unit = river(X, y)
    table = Table(
        title=f"{len(y):,} labels of {X.shape[1]} columns; River's own costs {unit * 1e6:.1f} µs a label"
    )
    for column in ("learner", "µs a label", "of River's", "µs a row", "state, kB", "scorer, kB"):
        first = column == "learner"
        table.add_column(column, justify="left" if first else "right", no_wrap=first)
    found = {}
    for name in names or CONTENDERS:
        with console.status(name):
            found[name] = each = measured(name, X, y)
        table.add_row(
            name,
            f"{each['label_s'] * 1e6:.1f}",
            f"{each['label_s'] / unit:.2f}",
            f"{each['row_s'] * 1e6:.2f}",
            f"{each['state_bytes'] / 1e3:,.0f}",
            f"{each['scorer_bytes'] / 1e3:,.0f}",
        )
    console.print(table)
    print(json.dumps({"river_label_s": unit, **found}))


if __name__ == "__main__":
    main(sys.argv[1:])
