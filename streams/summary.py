"""The demo's summary: figures for machines, and the same in plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from models.record import RECENCY_RULE
from streams.contest import contest, render_contest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from models.alerts import Alert
    from streams.settings import Settings
    from streams.sources import Source
    from streams.tally import Tally


def summarise(
    data: str,
    source: Source,
    *,
    customers: int,
    events: int,
    seconds: float,
    tally: Tally,
    metrics: Mapping[str, float],
) -> dict[str, Any]:
    """The content of `run/summary.json`; progressive metrics of the champion as issued."""

    def quality(record: str) -> dict[str, float | None]:
        def of(metric: str, model: str) -> float | None:
            return metrics.get(f"churnwatch_progressive_{metric}{{model={model},record={record}}}")

        return {
            "auc": of("auc", "champion"),
            "log_loss": of("log_loss", "champion"),
            "brier": of("brier", "champion"),
            "base_rate_log_loss": metrics.get(f"churnwatch_base_rate_log_loss{{record={record}}}"),
            "recency_auc": of("auc", RECENCY_RULE),
        }

    return {
        "data": data,
        "horizon_days": source.horizon_days,
        "events": events,
        "customers": customers,
        "labels": int(metrics.get("churnwatch_labels_total{}", 0)),
        **quality("all"),
        "evaluated": quality("evaluated"),
        **contest(metrics),
        "alerts": len(tally.alerts),
        "alerts_by_tier": dict(sorted(tally.tiers.items())),
        "commands": len(tally.commands),
        "commands_by_channel": dict(sorted(tally.channels.items())),
        "commands_by_mark": dict(sorted(tally.marks.items())),
        "decisions": dict(sorted(tally.decisions.items())),
        "holdout": len(tally.holdout),
        "dead_letters": sum(tally.dead_letters.values()),
        "seconds": round(seconds, 3),
        "events_per_second": round(events / seconds, 1),
        "alerts_digest": tally.alerts_digest,
    }


def render(summary: Mapping[str, Any], tally: Tally, settings: Settings, run: Path) -> Group:
    """The summary for people."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in _lines(summary):
        table.add_row(Text(name, style="bold"), value)
    parts: list[Any] = [Panel(table, title="what happened", title_align="left")]
    if summary["contenders"]:
        parts.append(render_contest(summary["contenders"], summary["champion"]))
    parts += [_example(alert) for alert in tally.examples]
    parts.append(Text.from_markup(_where_next(run, settings)))
    return Group(*parts)


def _lines(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    def counts_of(name: str) -> str:
        return ", ".join(f"{count:,} {key}" for key, count in summary[name].items()) or "none"

    speed = f"{summary['seconds']:.0f} s ({summary['events_per_second']:,.0f} events/s, learning included)"
    labels = f"{summary['labels']:,} labels learned, each only once it was known"
    lines = [
        ("replayed", f"{summary['events']:,} real purchases in {speed}"),
        ("customers", f"{summary['customers']:,}; {labels}"),
        ("quality", _quality(summary)),
    ]
    if summary["evaluated"]["auc"] is not None:
        lines.append(("… later half", _quality(summary["evaluated"])))
    return [
        *lines,
        ("alerts", f"{summary['alerts']:,}: {counts_of('alerts_by_tier')}"),
        ("commands", f"{summary['commands']:,}: {counts_of('commands_by_channel')}"),
        ("… by mark", f"{counts_of('commands_by_mark')}: nothing but live ones may be sent"),
        ("decisions", counts_of("decisions")),
        ("holdout", f"{summary['holdout']:,} alerted customers left alone at random, for comparison"),
        ("note", "consents are simulated (drawn by salted hash): nobody in this log was asked"),
    ]


def _quality(figures: Mapping[str, Any]) -> str:
    if figures["auc"] is None:
        return "no labels have matured yet"
    return (
        f"AUC {figures['auc']:.4f} (recency rule {figures['recency_auc']:.4f}), "
        f"log loss {figures['log_loss']:.4f} (base rate {figures['base_rate_log_loss']:.4f}), "
        f"Brier {figures['brier']:.4f}"
    )


def _example(alert: Alert) -> Panel:
    text = Text()
    text.append(f"customer {alert.user_id}: {alert.probability:.1%} likely not to buy again ")
    text.append(f"within {alert.horizon_days} days\n")
    for reason in alert.reasons:
        text.append(f"  • {reason.text}\n")
    when = datetime.fromtimestamp(alert.ts / 1000, UTC).date()
    return Panel(text, title=f"one of the strongest alerts: {when}, tier {alert.tier}", title_align="left")


def _where_next(run: Path, settings: Settings) -> str:
    return (
        f"Figures: {run}/summary.json   Worker's log: {run}/demo/worker.log\n"
        "Next: [bold]make demo KEEP=1[/] stays up with its metrics page; docs/contracts.md says what your "
        "shop sends;\n[bold]churnwatch backtest FILES[/] judges your own log; "
        "[bold]churnwatch replay FILES --then-live[/] starts you off "
        f"(horizon here: {settings.model.horizon_days} days)."
    )
