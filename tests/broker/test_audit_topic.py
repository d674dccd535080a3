"""A worker that goes live says so on the audit before it owns anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from streams.audit import Entry
from streams.reading import scan
from tests.broker.cluster import cluster

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker


async def test_each_change_of_mode_is_one_entry_and_a_restart_is_none(broker: Broker, tmp_path: Path) -> None:
    async with cluster(broker, tmp_path) as running:
        for mode in ("shadow", "shadow", "live"):
            acting = running.settings.interventions.model_copy(update={"mode": mode})
            running.settings = running.settings.model_copy(update={"interventions": acting})
            worker = await running.start_worker()
            await worker.ready()
            assert (f'"after":"{mode}"' in worker.said()) == (len(running.workers) != 2)
            await running.stop()
        entries: list[Entry] = []

        def take(record: Any) -> None:
            entries.append(msgspec.json.decode(record.value, type=Entry))

        await scan(running.settings, "audit", 0, take)

    assert [(entry.before, entry.after) for entry in entries] == [(None, "shadow"), ("shadow", "live")]
