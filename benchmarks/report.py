"""What a bench run found: a table for people, `run/bench.json` for programs."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import orjson
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.latency import Latency
    from benchmarks.whole_path import Cost

#: The engine that all others are set against.
OURS = "churnwatch"


@dataclass
class Report:
    """Figures of one run. What was not measured stays None and is not written."""

    broker: str
    events: int
    rounds: int
    costs: dict[str, Cost] = field(default_factory=dict)
    latency: Latency | None = None
    rescore_1m_s: float | None = None
    bytes_per_user: float | None = None
    recovery_rows_per_second: float | None = None

    def figures(self) -> dict[str, object]:
        """The content of `run/bench.json`."""
        measured = {name: cost for name, cost in self.costs.items() if cost.us_per_event}
        found: dict[str, object] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "broker": self.broker,
            "events": self.events,
            "rounds": self.rounds,
            "whole_path_us_per_event": {name: round(cost.us, 2) for name, cost in measured.items()},
            "events_per_second": round(measured[OURS].rate) if OURS in measured else None,
            "events_per_second_by_engine": {name: round(cost.rate) for name, cost in measured.items()},
            "whole_path_us_per_event_by_round": {name: cost.us_per_event for name, cost in measured.items()},
            "failures": {name: cost.failure for name, cost in self.costs.items() if cost.failure},
            "latency_p50_s": self.latency.p50_s if self.latency else None,
            "latency_p99_s": self.latency.p99_s if self.latency else None,
            "latency": asdict(self.latency) if self.latency else None,
            "rescore_1m_s": self.rescore_1m_s,
            "bytes_per_user": self.bytes_per_user,
            "recovery_rows_per_second": self.recovery_rows_per_second,
        }
        return {name: figure for name, figure in found.items() if figure is not None}

    def write(self, path: Path) -> None:
        """Write `figures` as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(self.figures(), option=orjson.OPT_INDENT_2))

    def whole_path_table(self) -> Table:
        """One line an engine, cheapest first, with the spread over the rounds."""
        table = Table(title=f"Whole path, {self.events:,} events, {self.rounds} rounds, {self.broker}")
        for title in ("engine", "CPU µs/event", "min … max", "events/s", "alerts", "against ours"):
            table.add_column(title, justify="left" if title == "engine" else "right")
        ours = self.costs.get(OURS)
        measured = [(name, cost) for name, cost in self.costs.items() if cost.us_per_event]
        for name, cost in sorted(measured, key=lambda item: item[1].us):
            ratio = f"{cost.us / ours.us:.1f}x" if ours and ours.us_per_event else ""
            spread = f"{min(cost.us_per_event):.1f} … {max(cost.us_per_event):.1f}"
            table.add_row(name, f"{cost.us:.1f}", spread, f"{cost.rate:,.0f}", f"{cost.alerts:,}", ratio)
        for name, cost in self.costs.items():
            if cost.failure:
                table.add_row(name, "failed", cost.failure.splitlines()[-1], "", "", "")
        return table

    def others_table(self) -> Table:
        """What only churnwatch is measured for."""
        table = Table("figure", "value", title="churnwatch")
        if self.latency:
            table.add_row("event → alert, p50", f"{self.latency.p50_s * 1e3:.1f} ms")
            table.add_row("event → alert, p99", f"{self.latency.p99_s * 1e3:.1f} ms")
            table.add_row("events sent per second", f"{self.latency.sent_per_second:,.0f}")
            table.add_row("triggers without alert", f"{self.latency.missing}")
        if self.rescore_1m_s is not None:
            table.add_row("re-scoring 1,000,000 customers", f"{self.rescore_1m_s:.3f} s")
        if self.bytes_per_user is not None:
            table.add_row("memory of a customer", f"{self.bytes_per_user:,.0f} bytes")
        if self.recovery_rows_per_second is not None:
            table.add_row("recovery from the changelog", f"{self.recovery_rows_per_second:,.0f} rows/s")
        return table
