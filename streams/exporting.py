"""`churnwatch features`: everybody's features and risk as a file, read from the changelogs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.catalogue import NAMES, raw_features
from features.view import View
from models import known
from models.judging import chunks, judge
from streams.reading import read_core, read_models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from rich.console import Console

    from models.core import PartitionCore
    from models.versions import ModelSet
    from streams.settings import Settings


async def write_features(settings: Settings, out: Path, console: Console) -> int:
    """Write raw features and risk of every customer to a Parquet file; returns how many.

    Each row is as of its own `as_of`, which lies behind every event in it. `p_churn` is missing for who is
    not judged.
    """
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


def _frames(core: PartitionCore, models: ModelSet) -> Iterator[pd.DataFrame]:
    rows, horizon, live = core.table.rows, core.config.horizon_days, core.table.live_slots()
    for chunk in chunks(len(live)):
        slots = live[chunk]
        ts = known.now(core, slots)
        view = View(rows, ts, horizon, models.returns, slots=slots)
        frame = pd.DataFrame(raw_features(view), columns=list(NAMES))
        frame.insert(0, "user_id", [core.table.name(slot) for slot in slots.tolist()])
        frame.insert(1, "as_of", _times(ts))
        frame.insert(2, "last_event", _times(rows["last_ts"][slots]))
        judged = judge(rows, slots, ts, horizon, models).probabilities
        frame["p_churn"] = np.where(known.active(core, slots, ts), judged, np.nan)
        yield frame


def _times(epoch_ms: NDArray[np.int64]) -> pd.Series[pd.Timestamp]:
    """Times in UTC; 0 is none."""
    times = epoch_ms.astype("datetime64[ms]")
    times[epoch_ms == 0] = np.datetime64("NaT")
    return pd.Series(times).dt.tz_localize("UTC")
