"""What metrics say of a partition of the customers: what a sweep did, and how much it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from models.alerts import TierLevels

if TYPE_CHECKING:
    from models.core import PartitionCore
    from models.sweeping import Sweep
    from models.versions import ModelSet
    from streams.telemetry import Metrics


def count_sweep(metrics: Metrics, core: PartitionCore, sweep: Sweep, models: ModelSet) -> None:
    """Count what became of everybody at a decision time that was judged by `models`."""
    metrics.scored.inc(len(sweep.slots))
    metrics.evicted.inc(sweep.evicted)
    metrics.handed_over.inc(sweep.handed_over)
    metrics.held.inc(sweep.held)
    thresholds = TierLevels.of(core.thresholds(models))
    for tier, level in msgspec.structs.asdict(thresholds).items() if thresholds else ():
        metrics.threshold.labels(tier).set(level)
    if sweep.silent:
        metrics.silent.labels(sweep.silent).inc()
    for reason, count in sweep.withheld.items():
        metrics.withheld.labels(reason).inc(count)
    for status, count in sweep.alerts.items():
        metrics.alerts.labels("episode", status).inc(count)
    for result, count in sweep.triggers.items():
        metrics.triggers.labels(result).inc(count)


def measure(metrics: Metrics, core: PartitionCore) -> None:
    """Bring up to date what a partition holds, and how far it has swept."""
    label = str(core.partition)
    metrics.customers.labels(label).set(len(core.table))
    metrics.table_bytes.labels(label).set(core.table.nbytes)
    metrics.forks.labels(label).set(core.table.fork_count)
    metrics.cohorts.labels(label).set(len(core.cohorts))
    if core.swept is not None:
        metrics.swept.labels(label).set(core.swept / 1000)
