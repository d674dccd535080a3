"""`churnwatch backtest`: the pure core over a recorded log, predictions to a CSV file, quality to read."""

from __future__ import annotations

import csv
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from models.backtest import Backtest, Line, Step
from models.record import RECENCY_RULE
from streams.context import wall_clock_ms
from streams.report.horizon import advice
from streams.report.words import WORDS
from streams.sources.screening import screened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from models.progressive import ScoreCounts
    from models.sweeping import Sweep
    from streams.settings import Settings
    from streams.sources import Source

#: Equal-mass bins of the calibration error.
BINS = 15
#: The recency rule in words.
_RECENCY: Final = "recency rule"


@dataclass
class _Tally:
    """Customers at the decision times that may alarm: all, those at risk, and those at risk and alarmed."""

    judged: int = 0
    at_risk: int = 0
    alarmed: int = 0

    def see(self, sweep: Sweep) -> None:
        if not sweep.silent:
            at_risk = int((sweep.tiers > 0).sum())
            self.judged += len(sweep.slots)
            self.at_risk += at_risk
            self.alarmed += at_risk - sweep.withheld["not_overdue"]

    def tell(self, console: Console) -> None:
        if self.judged:
            at_risk, alarmed = 100 * self.at_risk / self.judged, 100 * self.alarmed / self.judged
            console.print(
                f"of 100 active customers {at_risk:.1f} are at risk and {alarmed:.1f} alarmed: "
                "the others at risk are not late with their next order",
                highlight=False,
                soft_wrap=True,
            )


def run_backtest(settings: Settings, source: Source, predictions: Path | None, console: Console) -> Backtest:
    """Judge `source`; writes `user_id,decision_time,p_churn` to `predictions` and prints the quality.

    Raises SourceError when the log cannot be read and OSError when the file cannot be written.
    """
    backtest, tally = Backtest(settings.core(), settings.trainer(), settings.currencies()), _Tally()
    with _open(predictions) as file:
        writer = None if file is None else csv.writer(file, lineterminator="\n")
        if writer is not None:
            writer.writerow(("user_id", "decision_time", "p_churn"))
        for step in steps_of(backtest, source, console):
            if writer is not None:
                writer.writerows(_rows(step))
            tally.see(step.sweep)
    _report(backtest, console)
    tally.tell(console)
    if predictions is not None:
        console.print(f"predictions: {predictions}")
    return backtest


def _open(path: Path | None) -> AbstractContextManager[TextIO | None]:
    return nullcontext() if path is None else path.open("w", newline="")


def steps_of(backtest: Backtest, source: Source, console: Console) -> Iterator[Step]:
    """The decision times of `source`, with a bar that shows how far the reading is.

    What of it is not to be believed is left out and named.
    """
    found = screened(source, wall_clock_ms(), backtest.config.horizon_days)
    for note in found.notes:
        console.print(note, highlight=False, soft_wrap=True)
    lines = (Line(*event) for event in found.events)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("reading", total=source.total)
        for step in backtest.run(lines, lambda events: bar.update(task, completed=events)):
            bar.update(task, description=f"{day_of(step.ts)}: {step.models.labels:,} labels")
            yield step


def _rows(step: Step) -> list[tuple[str, str, str]]:
    time = datetime.fromtimestamp(step.ts / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [(user, time, f"{p:.6f}") for user, p in zip(step.users, step.probabilities.tolist(), strict=True)]


def day_of(ts: int) -> str:
    """The day of an epoch time in ms, as YYYY-MM-DD in UTC."""
    return datetime.fromtimestamp(ts / 1000, UTC).date().isoformat()


def _report(backtest: Backtest, console: Console) -> None:
    trainer = backtest.trainer
    console.print(
        f"{backtest.events:,} events, {trainer.labels:,} labels, {backtest.late:,} late", highlight=False
    )
    for reason, count in sorted(backtest.rejected.items()):
        console.print(f"refused: {count:,} x {reason}", highlight=False)
    for promotion in trainer.promotions:
        console.print(f"promoted {day_of(promotion.as_of)}: {promotion.in_words}", highlight=False)
    for line in advice(trainer.rhythm, trainer.config.horizon_days, WORDS["en"]):
        console.print(line, highlight=False, soft_wrap=True)
    for hold in trainer.outlook.guard.held:
        console.print(f"not believable {day_of(hold.since)}: {hold.in_words}", highlight=False)
    if not trainer.labels:
        console.print(
            "The log is shorter than the horizon: no label matured, so there is no quality to show."
        )
        return
    console.print(quality_table("all decision times with labels", trainer.record.all()))
    if trainer.config.evaluate_from is not None:
        title = f"decision times from {day_of(trainer.config.evaluate_from)}"
        console.print(quality_table(title, trainer.record_from.all()))


def quality_table(title: str, counts: dict[str, ScoreCounts]) -> Table:
    """Metrics by name, with the base rate's below: all names must be judged by the same labels."""
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True, min_width=max(map(len, (*counts, _RECENCY))))
    for name in ("labels", "AUC", "log loss", "PR-AUC", "Brier", f"calibration error ({BINS} bins)"):
        table.add_column(name, justify="right")
    for name, found in counts.items():
        table.add_row(*_line(name, found))
    any_counts = next(iter(counts.values()))
    rate = any_counts.base_rate
    base = ("base rate", f"{any_counts.labels:,}", "0.5000", f"{any_counts.base_rate_log_loss:.4f}")
    table.add_row(*base, f"{rate:.4f}", f"{rate * (1 - rate):.4f}", "0.0000", style="dim")
    return table


def _line(name: str, found: ScoreCounts) -> tuple[Any, ...]:
    ranking = (name if name != RECENCY_RULE else _RECENCY, f"{found.labels:,}", f"{found.auc:.4f}")
    if name == RECENCY_RULE:  # a ranking only: it claims no probability
        return (*ranking, "", f"{found.pr_auc:.4f}", "", "")
    return (
        *ranking,
        f"{found.log_loss:.4f}",
        f"{found.pr_auc:.4f}",
        f"{found.brier:.4f}",
        f"{found.ece(BINS):.4f}",
    )
