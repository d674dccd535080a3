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
    from benchmarks.population import Population
    from benchmarks.recovery import Recovery
    from benchmarks.whole_path import Cost

#: The engine that all others are set against.
OURS = "churnwatch"
#: How many times cheaper it has to be.
_FACTORS = {"bytewax": 2.0, "quix": 2.5}


@dataclass(frozen=True)
class Bar:
    """A promise: `measured` must be at most `limit`, or at least that where `above`."""

    what: str
    measured: float
    limit: float
    above: bool = False

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.measured >= self.limit if self.above else self.measured <= self.limit


@dataclass
class Report:
    """Figures of one run. What was not measured stays None and is not written."""

    broker: str
    events: int
    rounds: int
    costs: dict[str, Cost] = field(default_factory=dict)
    latency: Latency | None = None
    busy_latency: Latency | None = None
    population: Population | None = None
    recovery: Recovery | None = None
    #: What went wrong beside the whole path, by measurement.
    failures: dict[str, str] = field(default_factory=dict)

    def all_failures(self) -> dict[str, str]:
        """Why what is missing is missing, by engine or measurement."""
        return {name: cost.failure for name, cost in self.costs.items() if cost.failure} | self.failures

    @property
    def rescore_1m_s(self) -> float | None:
        """Seconds for a million customers; a smaller population is scaled up."""
        found = self.population
        return None if found is None else found.rescore_s * 1_000_000 / found.customers

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
            "failures": self.all_failures(),
            "latency_p50_s": self.latency.p50_s if self.latency else None,
            "latency_p99_s": self.latency.p99_s if self.latency else None,
            "latency": asdict(self.latency) if self.latency else None,
            "latency_busy": asdict(self.busy_latency) if self.busy_latency else None,
            "rescore_1m_s": self.rescore_1m_s,
            "bytes_per_user": round(self.population.bytes_per_user) if self.population else None,
            "population": self.population.customers if self.population else None,
            "recovery_rows_per_second": (
                round(self.recovery.changelog_rows_per_second) if self.recovery else None
            ),
            "recovery": asdict(self.recovery) if self.recovery else None,
            "bars": {bar.what: bar.met for bar in self.bars()},
        }
        return {name: figure for name, figure in found.items() if figure is not None}

    def write(self, path: Path) -> None:
        """Write `figures` as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(self.figures(), option=orjson.OPT_INDENT_2))

    def whole_path_table(self) -> Table:
        """One line an engine, cheapest first, with the spread over the rounds."""
        table = Table(title=f"Whole path, {self.events:,} events, {self.rounds} rounds, {self.broker}")
        for title in ("engine", "CPU µs/event", "rounds: min … max", "events/s", "alerts", "against ours"):
            table.add_column(title, justify="left" if title == "engine" else "right")
        ours = self.costs.get(OURS)
        measured = [(name, cost) for name, cost in self.costs.items() if cost.us_per_event]
        for name, cost in sorted(measured, key=lambda item: item[1].us):
            ratio = f"{cost.us / ours.us:.1f}x" if ours and ours.us_per_event else ""
            spread = f"{min(cost.us_per_event):.1f} … {max(cost.us_per_event):.1f}"
            table.add_row(name, f"{cost.us:.1f}", spread, f"{cost.rate:,.0f}", f"{cost.alerts:,}", ratio)
        return table

    def bars(self) -> list[Bar]:
        """What DESIGN promises, as far as it was measured."""
        found = []
        us = {name: cost.us for name, cost in self.costs.items() if cost.us_per_event}
        if OURS in us:
            found.append(Bar("whole path, CPU µs/event", us[OURS], 10.0))
            for rival, factor in _FACTORS.items():
                if rival in us:
                    found.append(Bar(f"times cheaper than {rival}", us[rival] / us[OURS], factor, above=True))
        if self.latency:
            found.append(Bar("event → alert p99, ms", self.latency.p99_s * 1e3, 50.0))
        if self.rescore_1m_s is not None:
            found.append(Bar("re-scoring 1,000,000 customers, s", self.rescore_1m_s, 0.3))
        if self.population:
            found.append(Bar("memory of a customer, bytes", self.population.bytes_per_user, 1024.0))
        return found

    def bars_table(self) -> Table:
        """Each bar, what was measured, and whether that meets it."""
        table = Table("bar", "measured", "at least / at most", "", title="Bars")
        for bar in self.bars():
            sign, verdict = "≥" if bar.above else "≤", "met" if bar.met else "[red]not met[/]"
            table.add_row(bar.what, f"{bar.measured:,.2f}", f"{sign} {bar.limit:,g}", verdict)
        return table

    def others_table(self) -> Table:
        """What only churnwatch is measured for."""
        table = Table("figure", "value", title=OURS)
        for name, latency in (("", self.latency), (", sweeping and learning", self.busy_latency)):
            if latency:
                table.add_row(f"event → alert p50{name}", f"{latency.p50_s * 1e3:.1f} ms")
                table.add_row(f"event → alert p99{name}", f"{latency.p99_s * 1e3:.1f} ms")
                table.add_row(f"event → alert, worst{name}", f"{latency.worst_s * 1e3:.1f} ms")
                if latency.inside_s is not None:
                    table.add_row(f"inside the worker, mean{name}", f"{latency.inside_s * 1e3:.1f} ms")
                table.add_row(f"events sent per second{name}", f"{latency.sent_per_second:,.0f}")
                table.add_row(f"triggers without alert{name}", f"{latency.missing} of {latency.expected}")
        if self.population:
            table.add_row("re-scoring 1,000,000 customers", f"{self.rescore_1m_s:.3f} s")
            table.add_row("memory of a customer", f"{self.population.bytes_per_user:,.0f} bytes")
        if self.recovery:
            found = self.recovery
            rate, seconds = found.changelog_rows_per_second, found.changelog_seconds
            table.add_row("recovery from the changelog", f"{seconds:.1f} s, {rate:,.0f} rows/s")
            rate, seconds = found.checkpoint_rows_per_second, found.checkpoint_seconds
            table.add_row("recovery from a checkpoint", f"{seconds:.1f} s, {rate:,.0f} rows/s")
        return table
