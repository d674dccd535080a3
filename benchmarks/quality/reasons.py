"""Every alert of a log: that the customer is late, and that a person would accept each of its reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from rich.table import Table

from benchmarks.quality.sentences import argues_for_leaving, tells_an_end
from models.backtest import Backtest, Line
from streams.sources import sorted_by_time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rich.console import Console

    from benchmarks.quality.cases import Case
    from models.alerts import Alert
    from streams.settings import Settings


@dataclass
class Findings:
    """What was found in the alerts of one log.

    `withheld`: customers above the threshold, by decision time, who were not late. `first`: the feature of
    the first reason of each alert for leaving. `fallback`: alerts whose only reason no share speaks for.
    `objections`: sentences that a person would not accept, or "" for an alert without a reason.
    """

    alerts: Counter[str] = field(default_factory=Counter)
    withheld: int = 0
    first: Counter[str] = field(default_factory=Counter)
    fallback: int = 0
    objections: Counter[str] = field(default_factory=Counter)

    def take(self, alerts: Iterable[Alert]) -> None:
        """Look at alerts as they were published."""
        for alert in alerts:
            self.alerts[alert.status] += 1
            self.objections.update(objections(alert))
            if alert.status != "resolved" and alert.reasons:
                self.first[alert.reasons[0].feature] += 1
                self.fallback += alert.reasons[0].contribution <= 0


def objections(alert: Alert) -> list[str]:
    """The reasons of an alert that a person would not accept; "" if there is none, or one theme twice."""
    accepts = tells_an_end if alert.status == "resolved" else argues_for_leaving
    themes = {reason.theme for reason in alert.reasons}
    missing = [""] if not alert.reasons or len(themes) < len(alert.reasons) else []
    return missing + [reason.text for reason in alert.reasons if not accepts(reason.text)]


def look(case: Case, settings: Settings) -> Findings:
    """Replay a log and look at every alert."""
    found = Findings()
    backtest = Backtest(settings.core(), settings.trainer(), settings.currencies())
    for step in backtest.run(Line(*event) for event in sorted_by_time(case.source)):
        found.take(step.alerts)
        found.withheld += step.sweep.withheld["not_overdue"]
    return found


def main(console: Console, pairs: list[tuple[Case, Settings]], out: Path) -> bool:
    """Look at the alerts of all logs, print and write what was found; whether there is no objection."""
    table = Table(title="alerts and their reasons", title_justify="left")
    for name in ("log", "opened", "escalated", "resolved", "not late", "fallback", "objections"):
        table.add_column(name, justify="left" if name == "log" else "right")
    all_found = {}
    for case, settings in pairs:
        found = all_found[case.name] = look(case, settings)
        counts = (found.alerts["opened"], found.alerts["escalated"], found.alerts["resolved"])
        numbers = (*counts, found.withheld, found.fallback, found.objections.total())
        table.add_row(case.title, *(f"{number:,}" for number in numbers))
        for text, count in found.objections.most_common(5):
            console.print(f"{case.name}: {count:,} x {text or 'no reason'}", highlight=False)
    console.print(table)
    out.write_bytes(orjson.dumps(all_found, option=orjson.OPT_INDENT_2))
    console.print(f"written to {out}")
    return not any(found.objections for found in all_found.values())
