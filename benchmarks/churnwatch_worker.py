"""`python -m benchmarks.churnwatch_worker MODEL`: the product's worker, made to do at least its rivals' job.

The product scores customers at decision times and after trigger events, not after every event. Here each
customer whom a poll touched is scored besides, once, with the product's own parts, and who reaches the
medium tier gets an alert in their row as after a trigger.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

import streams.worker
from models.alerts import Alert, ModelRef, alert_id
from models.episodes import TIERS, tiers_by
from models.judging import judge
from models.reasons import customers, why
from streams import logs
from streams.customers import CustomerPartition
from streams.serving import run_worker
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.core import PartitionCore
    from models.versions import ModelSet


class ScoringPartition(CustomerPartition):
    """Scores whom each poll touched."""

    def apply(self, events: Sequence[Any]) -> None:
        """As the product does; then score."""
        core = self.core
        unwritten, core.dirty = core.dirty, set()
        super().apply(events)
        score_touched(core, self._context.models.current)
        core.dirty |= unwritten


def score_touched(core: PartitionCore, models: ModelSet) -> None:
    """Score the customers in `core.dirty` as of their newest event, and keep the alerts in their rows."""
    users = list(core.dirty)
    if not users:
        return
    index, table, horizon = core.table.index, core.table, core.config.horizon_days
    slots = np.array([index[user] for user in users], np.intp)
    ts = int(table.rows["last_ts"][slots].max()) + 1
    probabilities = judge(table.rows, slots, ts, horizon, models).probabilities
    tiers = tiers_by(core.thresholds(models), probabilities)
    chosen = np.flatnonzero(tiers)
    if not len(chosen):
        return
    judged = customers(table.rows, slots[chosen], ts, horizon, models)
    model = ModelRef(name=models.champion, version=models.number)
    for i, customer in zip(chosen.tolist(), judged, strict=True):
        alert = Alert(
            alert_id=alert_id(users[i], "trigger", str(ts)),
            kind="trigger",
            status="opened",
            user_id=users[i],
            ts=ts,
            probability=float(probabilities[i]),
            tier=TIERS[tiers[i]],
            reasons=why(customer, core.config.languages),
            model=model,
            horizon_days=horizon,
            mark="live",
        )
        core.add_pending(users[i], msgspec.json.encode(alert), alert.probability)


def main() -> None:
    """Run until SIGTERM, with settings from the environment and the frozen models of the file named."""
    # The one part that is exchanged: what the product itself would make for each partition.
    vars(streams.worker)["CustomerPartition"] = ScoringPartition
    settings = load()
    logs.configure(settings.worker.log_level)
    asyncio.run(run_worker(settings, Path(sys.argv[1])))


if __name__ == "__main__":
    main()
