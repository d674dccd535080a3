"""The same log through broker and worker: what the live system tells of itself, beside the backtest."""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from rich.table import Table

from features.layout import DAY_MS
from models.backtest import Backtest, Line
from streams.processes import broker_process, read_metrics, worker_process
from streams.replaying import replay_events
from streams.sources import sorted_by_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from benchmarks.quality.cases import Case
    from streams.settings import Settings
    from streams.sources import SourceEvent

#: What a worker measures of each contender, as `churnwatch_progressive_…`.
METRICS: Final = ("auc", "log_loss", "pr_auc", "brier", "ece")
_HEADINGS: Final = ("log", "record", "AUC live", "backtest", "log loss live", "backtest", "differ")
_PARTITIONS: Final = 4
#: (record, contender, metric) → value. The record is `all`, or `evaluated` from the test's first day on.
Figures = Mapping[tuple[str, str, str], float]


@dataclass(frozen=True)
class Agreement:
    """What a backtest and the live system measured on one log."""

    log: str
    backtest: Figures
    live: Figures

    @property
    def differing(self) -> list[tuple[str, str, str]]:
        """Which figures are not the same to the last bit, or are told by one of them only."""
        places = sorted({*self.backtest, *self.live})
        return [place for place in places if self.backtest.get(place) != self.live.get(place)]


def main(console: Console, cases: Sequence[tuple[Case, Settings]], out: Path) -> bool:
    """Compare on each log, print a table and write JSON to `out`; whether nothing differed.

    Raises SourceError for a log that cannot be read, ReplayStalledError when the worker stands still.
    """
    found = [_compared(console, case, settings) for case, settings in cases]
    table = Table(title="live, over the embedded broker, beside the backtest", title_justify="left")
    for place, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="right" if place > 1 else "left")
    for each in found:
        for row in _rows(each):
            table.add_row(*row)
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(orjson.dumps([_report(each) for each in found], option=orjson.OPT_INDENT_2))
    console.print(f"written to {out}")
    return not any(each.differing for each in found)


def _rows(agreement: Agreement) -> Iterable[tuple[str, ...]]:
    for record in sorted({place[0] for place in agreement.backtest}):
        cells = [
            f"{figures.get((record, 'champion', metric), math.nan):.6f}"
            for metric in ("auc", "log_loss")
            for figures in (agreement.live, agreement.backtest)
        ]
        told = sum(place[0] == record for place in agreement.backtest)
        wrong = sum(place[0] == record for place in agreement.differing)
        yield agreement.log, record, *cells, f"{wrong} of {told}"


def _report(agreement: Agreement) -> dict[str, Any]:
    def named(figures: Figures) -> dict[str, float]:
        return {" ".join(place): value for place, value in sorted(figures.items())}

    return {
        "log": agreement.log,
        "differing": [" ".join(place) for place in agreement.differing],
        "backtest": named(agreement.backtest),
        "live": named(agreement.live),
    }


def _compared(console: Console, case: Case, settings: Settings) -> Agreement:
    events = list(sorted_by_time(case.source))
    first = datetime.fromtimestamp((events[0].ts - events[0].ts % DAY_MS) / 1000, UTC).date()
    model = {"grid_anchor": first, "evaluate_from": case.test_from}
    chosen = settings.model_copy(update={"model": settings.model.model_copy(update=model)})
    with console.status(f"{case.name}: backtest"):
        backtest = backtested(chosen, events)
    console.print(f"[bold]{case.name}[/] through broker and worker")
    return Agreement(case.name, backtest, asyncio.run(_replayed(chosen, events, console)))


def backtested(settings: Settings, events: Iterable[SourceEvent]) -> Figures:
    """What the product's backtest measures."""
    backtest = Backtest(settings.core(), settings.trainer(), settings.currencies())
    for _ in backtest.run(Line(*event) for event in events):
        pass
    trainer = backtest.trainer
    return {
        (record, name, metric): value
        for record, kept in (("all", trainer.record), ("evaluated", trainer.record_from))
        for name, counts in kept.all().items()
        if counts.labels
        for metric in METRICS
        for value in (counts.ece() if metric == "ece" else getattr(counts, metric),)
        if not math.isnan(value)
    }


async def _replayed(settings: Settings, events: list[SourceEvent], console: Console) -> Figures:
    """What a worker measures to whom the log is replayed in lock-step by way of a broker."""
    work = Path(tempfile.mkdtemp(prefix="churnwatch-quality-"))
    try:
        async with broker_process(work, _PARTITIONS) as address:
            chosen = _on_broker(settings, address, work)
            async with worker_process(chosen, work) as page:
                await replay_events(chosen, events, console)
                return told(await asyncio.to_thread(read_metrics, page))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _on_broker(settings: Settings, address: str, work: Path) -> Settings:
    kafka = {"bootstrap_servers": address, "partitions": _PARTITIONS, "session_timeout_seconds": 10}
    # The embedded broker keeps about 5 MB of each log, so the checkpoint must never be further behind.
    kept = {"checkpoint_bytes": 3 << 20, "checkpoint_ratio": 0.0, "checkpoint_seconds": 30}
    worker = {"state_dir": work / "state", "http_port": 0, **kept}
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update=kafka),
            "worker": settings.worker.model_copy(update=worker),
        }
    )


def told(metrics: Mapping[str, float]) -> Figures:
    """The progressive metrics on a worker's page (`read_metrics`)."""
    found = {}
    for metric in METRICS:
        start = f"churnwatch_progressive_{metric}{{model="
        for name, value in metrics.items():
            if name.startswith(start) and not math.isnan(value):
                model, record = name[len(start) : -1].split(",record=")
                found[record, model, metric] = value
    return found
