"""Who learned and how well: the contenders in the demo's summary, the best first."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from rich.panel import Panel
from rich.table import Table

from models.record import CHAMPION, RECENCY_RULE

if TYPE_CHECKING:
    from collections.abc import Mapping

_JUDGED: Final = re.compile(
    r"churnwatch_progressive_(?P<metric>auc|log_loss)\{model=(?P<model>[^,}]+),record=(?P<record>\w+)\}"
)
_REIGNS: Final = re.compile(r"churnwatch_champion\{model=(?P<model>[^,}]+)\}")


def contest(metrics: Mapping[str, float]) -> dict[str, Any]:
    """From a worker's metrics: `champion`, who raises the alerts now, and each contender's AUC and log loss.

    `contenders` has them by name and record (`all`, `evaluated`), each judged on what it issued itself.
    """
    contenders: dict[str, dict[str, dict[str, float]]] = {}
    champion = None
    for name, value in metrics.items():
        if (found := _JUDGED.fullmatch(name)) and found["model"] not in {CHAMPION, RECENCY_RULE}:
            records = contenders.setdefault(found["model"], {})
            records.setdefault(found["record"], {})[found["metric"]] = value
        elif value and (found := _REIGNS.fullmatch(name)):
            champion = found["model"]
    return {"champion": champion, "contenders": dict(sorted(contenders.items()))}


def render_contest(contenders: Mapping[str, Any], champion: str | None) -> Panel:
    """A table of `contenders` by log loss, as told by `contest`; names are never cut."""
    records = [("all", "")]
    if any("evaluated" in each for each in contenders.values()):
        records.append(("evaluated", "later half: "))
    table = Table(box=None, padding=(0, 1))
    table.add_column("", no_wrap=True)
    for _, words in records:
        table.add_column(f"{words}AUC", justify="right")
        table.add_column(f"{words}log loss", justify="right")
    decisive = records[-1][0]

    def loss(name: str) -> float:
        return float(contenders[name].get(decisive, {}).get("log_loss", math.inf))

    for name in sorted(contenders, key=loss):
        figures = (
            contenders[name].get(record, {}).get(metric)
            for record, _ in records
            for metric in ("auc", "log_loss")
        )
        cells = ("" if figure is None else f"{figure:.4f}" for figure in figures)
        table.add_row(name, *cells, style="bold" if name == champion else "")
    return Panel(table, title=f"who learned; {champion} raises the alerts", title_align="left")
