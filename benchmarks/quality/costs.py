"""What learning a label and scoring a row costs, for each learner, beside River's own logistic regression."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from time import process_time
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson
from rich.table import Table

from benchmarks.quality.baselines import RiverDefault
from benchmarks.quality.cohorts import collect, labels_of
from models.contenders import CONTENDERS, new_learner
from models.trainer import SLICE
from streams.settings import load
from streams.sources.cdnow import Cdnow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from rich.console import Console

#: Labels that are learned before the clock runs, and under it; a round is one pass through all learners.
_WARM: Final = 5_000
_TIMED: Final = 20_000
_ROUNDS: Final = 3


@dataclass(frozen=True)
class Cost:
    """CPU microseconds of all threads, the cheapest of the rounds, and as multiples of River's."""

    learn_us: float
    score_us: float
    learn_ratio: float = 1.0
    score_ratio: float = 1.0


@dataclass(frozen=True)
class _Rows:
    """Labels to learn from, in the order in which they matured."""

    inputs: NDArray[np.float32]
    churned: NDArray[np.bool_]


def main(console: Console, out: Path) -> None:
    """Measure on CDNOW, print a table and write JSON to `out`. Raises SourceError without the log."""
    with console.status("reading cdnow") as status:
        rows = _rows()
        costs = measure(rows.inputs, rows.churned, status.update)
    table = Table(title=f"CPU of one label and one row ({_TIMED:,} labels of CDNOW)", title_justify="left")
    for heading in ("", "learn [µs/label]", "of River's", "score [µs/row]", "of River's"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, cost in costs.items():
        learn, score = (cost.learn_us, cost.learn_ratio), (cost.score_us, cost.score_ratio)
        table.add_row(name, *(text for us, ratio in (learn, score) for text in (f"{us:.2f}", f"{ratio:.3g}")))
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "labels": _TIMED,
        "costs": {name: asdict(cost) for name, cost in costs.items()},
    }
    out.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    console.print(f"written to {out}")


def _rows() -> _Rows:
    """Enough rows of the log's first cohorts, which the product makes with one cheap contender."""
    source = Cdnow()
    contender = next(iter(load().model.contenders))
    model = {"horizon_days": 90, "active_within_days": 180, "every_days": 7}
    settings = load(None, model={**model, "contenders": [contender], "champion": contender})
    cohorts = collect(source, settings)
    inputs = np.concatenate([cohort.inputs for cohort in cohorts])
    chosen = slice(0, _WARM + _TIMED)
    return _Rows(inputs[chosen], labels_of(cohorts)[chosen])


def measure(
    inputs: NDArray[np.float32], churned: NDArray[np.bool_], say: Callable[[str], None] = lambda _: None
) -> dict[str, Cost]:
    """The cost of every learner on rows (n, d) and labels (n,), River's default first."""
    found: dict[str, list[tuple[float, float]]] = {}
    for turn in range(_ROUNDS):
        for name in (RiverDefault.name, *CONTENDERS):
            say(f"round {turn + 1} of {_ROUNDS}: {name}")
            pair = _river(inputs, churned) if name == RiverDefault.name else _ours(name, inputs, churned)
            found.setdefault(name, []).append(pair)
    cheapest = {name: tuple(min(each) for each in zip(*pairs, strict=True)) for name, pairs in found.items()}
    by_learn, by_score = cheapest[RiverDefault.name]
    return {
        name: Cost(learn, score, learn / by_learn, score / by_score)
        for name, (learn, score) in cheapest.items()
    }


def _river(inputs: NDArray[np.float32], churned: NDArray[np.bool_]) -> tuple[float, float]:
    model = RiverDefault()
    model.learn_rows(inputs[:_WARM], churned[:_WARM])
    learn = _timed(lambda: model.learn_rows(inputs[_WARM:], churned[_WARM:]))
    score = _timed(lambda: model.predict_rows(inputs))
    return learn / len(inputs[_WARM:]), score / len(inputs)


def _ours(name: str, inputs: NDArray[np.float32], churned: NDArray[np.bool_]) -> tuple[float, float]:
    learner = new_learner(name)

    def learn(begin: int, end: int) -> None:
        for start in range(begin, end, SLICE):
            rows = slice(start, min(start + SLICE, end))
            learner.learn_many(inputs[rows], churned[rows])

    learn(0, _WARM)
    learning = _timed(lambda: learn(_WARM, len(inputs)))
    scorer = learner.scorer()
    by_column = np.asfortranarray(inputs)  # as a sweep computes them
    return learning / len(inputs[_WARM:]), _timed(lambda: scorer.probabilities(by_column)) / len(inputs)


def _timed(work: Callable[[], object]) -> float:
    """CPU microseconds of all threads."""
    start = process_time()
    work()
    return (process_time() - start) * 1e6
