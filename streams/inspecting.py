"""`churnwatch inspect` and `churnwatch features`: what is known of one customer, or of all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.table import Table

from features.catalogue import CATALOGUE, NAMES, raw_features
from features.hashing import partition_of
from features.view import View
from features.wording import LANGUAGES
from interventions.commands import Decision
from models.alerts import Alert
from models.episodes import TIERS, tiers_by
from models.judging import chunks, judge
from streams.reading import read_core, read_ledger, read_models, scan

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from features.wording import Language
    from models.core import PartitionCore
    from streams.settings import Settings


class UnknownCustomerError(RuntimeError):
    """Nothing is known of this customer: no event arrived, or they were evicted or erased."""


async def inspect(settings: Settings, user: str, console: Console, language: Language | None = None) -> None:
    """Print profile, features, risk and history of one customer. Raises UnknownCustomerError.

    Features are told in `language`; None: in the first of the settings.
    """
    partition = partition_of(user.encode(), settings.kafka.partitions)
    core = await read_core(settings, partition)
    slot = core.table.slot(user)
    if slot is None:
        raise UnknownCustomerError(f"nothing is known of customer {user!r} (partition {partition})")
    ts = as_of(core)
    models = await read_models(settings)
    slots = core.table.as_of(np.array([slot]), ts)
    probability = float(judge(core.table.rows, slots, ts, core.config.horizon_days, models).probabilities[0])
    view = View(core.table.rows[slots], ts, core.config.horizon_days, models.returns)
    raw = dict(zip(NAMES, raw_features(view)[0].tolist(), strict=True))
    wording = LANGUAGES[language or settings.alerting.languages[0]]
    console.print(f"[bold]customer {user}[/], partition {partition}, as of {moment(ts)}", highlight=False)
    tier = TIERS[tiers_by(core.thresholds(models), np.array([probability]))[0]]
    console.print(
        f"risk: {probability:.1%} not to buy within {core.config.horizon_days} days (tier {tier}, "
        f"{models.champion} version {models.number})",
        highlight=False,
    )
    profile = core.table.profiles.get(slot)
    said = profile.said.items() if profile else ()
    console.print(
        "profile: " + (", ".join(f"{name} {_word(value)}" for name, value in said) or "none"),
        highlight=False,
        markup=False,
    )
    table = Table(title="features", title_justify="left")
    for column in ("feature", "value", "unit", "in words"):
        table.add_column(column)
    for feature in CATALOGUE:
        value = raw[feature.name]
        shown = f"{value:.4g}" if np.isfinite(value) else "missing"
        table.add_row(feature.name, shown, feature.unit, wording.tell(feature.name, raw))
    console.print(table)
    await _history(settings, user, partition, console)


async def _history(settings: Settings, user: str, partition: int, console: Console) -> None:
    key, alerts, decisions = user.encode(), list[Alert](), list[Decision]()

    def take_alert(record: Any) -> None:
        if record.key == key:
            alerts.append(msgspec.json.decode(record.value, type=Alert))

    def take_decision(record: Any) -> None:
        if record.key == key:
            decisions.append(msgspec.json.decode(record.value, type=Decision))

    await scan(settings, "churn-alerts", partition, take_alert)
    await scan(settings, "decisions", partition, take_decision)
    table = Table(title="alerts and decisions", title_justify="left")
    for column in ("when", "what", "tier", "p", "decision"):
        table.add_column(column)
    by_alert = {(d.alert_id, d.status, d.tier): d for d in decisions}
    for alert in sorted({(a.ts, a.alert_id, a.status): a for a in alerts}.values(), key=lambda a: a.ts):
        decision = by_alert.get((alert.alert_id, alert.status, alert.tier))
        said = "" if decision is None else decision.withheld or decision.action
        row = (moment(alert.ts), f"{alert.kind} {alert.status}", alert.tier, f"{alert.probability:.3f}", said)
        table.add_row(*row)
    console.print(table)
    kept = (await read_ledger(settings, partition)).history(user)
    console.print(f"contacts remembered: {0 if kept is None else len(kept.contacts)}", highlight=False)


async def write_features(settings: Settings, out: Path, console: Console) -> int:
    """Write raw features and risk of every customer to a Parquet file; returns how many."""
    models = await read_models(settings)
    writer: pq.ParquetWriter | None = None
    total = 0
    try:
        for partition in range(settings.kafka.partitions):
            core = await read_core(settings, partition)
            for frame in _frames(core, models):
                table = pa.Table.from_pandas(frame, preserve_index=False)
                writer = writer or pq.ParquetWriter(out, table.schema)
                writer.write_table(table)
                total += len(frame)
    finally:
        if writer is not None:
            writer.close()
    console.print(f"{total:,} customers, {len(NAMES)} features: {out}" if total else "no customers yet")
    return total


def _frames(core: PartitionCore, models: Any) -> Any:
    ts = as_of(core)
    live = core.table.live_slots()
    slots = core.table.as_of(live, ts)
    for chunk in chunks(len(slots)):
        view = View(core.table.rows[slots[chunk]], ts, core.config.horizon_days, models.returns)
        frame = pd.DataFrame(raw_features(view), columns=list(NAMES))
        frame.insert(0, "user_id", [core.table.name(slot) for slot in live[chunk].tolist()])
        frame.insert(1, "as_of", pd.Timestamp(ts, unit="ms", tz="UTC"))
        judged = judge(core.table.rows, slots[chunk], ts, core.config.horizon_days, models)
        frame["p_churn"] = judged.probabilities
        yield frame


def as_of(core: PartitionCore) -> int:
    """The time as of which a partition is looked at: its last sweep, or its watermark before any."""
    return core.swept if core.swept is not None else max(core.watermark(), 0)


def _word(value: str | bool | None) -> str:
    return str(value) if value is None or isinstance(value, str) else ("no", "yes")[value]


def moment(ts: int) -> str:
    """A time for people."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
