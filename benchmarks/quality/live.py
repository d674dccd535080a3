"""The same log through broker and worker: what the live system tells of itself, beside the backtest."""

from __future__ import annotations

import asyncio
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from rich.table import Table

from models.backtest import Backtest, Line
from streams.demo import EMBEDDED_CHECKPOINTS
from streams.processes import broker_process, read_metrics, worker_process
from streams.replaying import replay_events
from streams.sources import SourceError, sorted_by_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from benchmarks.quality.cases import Case
    from models.progressive import ScoreCounts
    from streams.settings import Settings
    from streams.sources import SourceEvent

#: What a worker measures of each contender, as `churnwatch_progressive_…`.
METRICS: Final[Mapping[str, Callable[[ScoreCounts], float]]] = {
    "auc": lambda counts: counts.auc,
    "log_loss": lambda counts: counts.log_loss,
    "pr_auc": lambda counts: counts.pr_auc,
    "brier": lambda counts: counts.brier,
    "ece": lambda counts: counts.ece(),
}
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


def main(console: Console, cases: Sequence[tuple[Case, Settings]], out: Path, *, strict: bool) -> bool:
    """Compare on each log, print a table and write JSON to `out`; whether nothing differed.

    A log that cannot be read is left out with a word, unless `strict`: then it raises SourceError, as it does
    when none is left. Raises ReplayStalledError when the worker stands still.
    """
    found: list[Agreement] = []
    for case, settings in cases:
        try:
            found.append(_compared(console, case, settings))
        except SourceError as error:
            if strict:
                raise
            console.print(f"{case.name} is left out: {error}", markup=False, highlight=False)
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(orjson.dumps([_report(each) for each in found], option=orjson.OPT_INDENT_2))
    if not found:
        raise SourceError("no log could be replayed")
    console.print(_table(found))
    console.print(f"written to {out}")
    return not any(each.differing for each in found)


def _table(found: Sequence[Agreement]) -> Table:
    table = Table(title="live, over the embedded broker, beside the backtest", title_justify="left")
    for place, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="right" if place > 1 else "left")
    for each in found:
        for row in _rows(each):
            table.add_row(*row)
    return table


def _rows(agreement: Agreement) -> Iterable[tuple[str, ...]]:
    for record in sorted({place[0] for place in agreement.backtest}):
        cells = [
            f"{figures.get((record, 'champion', metric), math.nan):.6f}"
            for metric in ("auc", "log_loss")
            for figures in (agreement.live, agreement.backtest)
        ]
        figures = sum(place[0] == record for place in {*agreement.backtest, *agreement.live})
        wrong = sum(place[0] == record for place in agreement.differing)
        yield agreement.log, record, *cells, f"{wrong} of {figures}"


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
    if not (events := list(sorted_by_time(case.source))):
        raise SourceError(f"{case.name} is empty")
    first = datetime.fromtimestamp(events[0].ts / 1000, UTC).date()
    model = {"grid_anchor": first, "evaluate_from": case.test_from}
    chosen = settings.model_copy(update={"model": settings.model.model_copy(update=model)})
    with console.status(f"{case.name}: backtest"):
        backtest = backtested(chosen, events)
    if not backtest:
        raise SourceError(f"{case.name} is shorter than the horizon: it has no labels")
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
        for metric, of in METRICS.items()
        if not math.isnan(value := of(counts))
    }


async def _replayed(settings: Settings, events: list[SourceEvent], console: Console) -> Figures:
    """What a worker measures to whom the log is replayed in lock-step by way of a broker."""
    work = Path(tempfile.mkdtemp(prefix="churnwatch-quality-"))
    async with broker_process(work, _PARTITIONS) as address:
        chosen = _on_broker(settings, address, work)
        async with worker_process(chosen, work) as page:
            await replay_events(chosen, events, console)
            figures = told(await asyncio.to_thread(read_metrics, page))
    # Only now: what went wrong stands in the worker's log.
    await asyncio.to_thread(shutil.rmtree, work)
    return figures


def _on_broker(settings: Settings, address: str, work: Path) -> Settings:
    kafka = {"bootstrap_servers": address, "partitions": _PARTITIONS, "session_timeout_seconds": 10}
    worker = {"state_dir": work / "state", "http_port": 0, **EMBEDDED_CHECKPOINTS}
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
