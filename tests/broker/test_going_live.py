"""A shop with history goes live: who is at risk is alerted again, and a rehearsal counts for nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from features.layout import DAY_MS
from streams.replay import replaying
from streams.sources import SourceEvent
from tests.broker.cluster import cluster
from tests.broker.leftovers import Outputs
from tests.broker.shop import purchase

if TYPE_CHECKING:
    from pathlib import Path

    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker

GONE = [f"gone-{number}" for number in range(6)]
DAYS = 14


def history(end: int) -> list[SourceEvent]:
    """Two weeks up to `end`: one customer buys on every day, six only in the first week."""
    bought = [
        SourceEvent("orders", user, ts, purchase(user, ts))
        for day in range(DAYS)
        for user in ("loyal", *(GONE if day < DAYS // 2 else ()))
        for ts in [end - (DAYS - day) * DAY_MS + DAY_MS // 2]
    ]
    return sorted(bought, key=lambda event: event.ts)


async def test_after_a_replay_those_at_risk_get_live_alerts_and_a_rehearsal_was_no_contact(
    broker: Broker, tmp_path: Path
) -> None:
    """The last decision time that is over lies behind the history, and is the first live one."""
    now = int(time.time() * 1000)
    first_live = (now - DAY_MS) // DAY_MS * DAY_MS
    async with cluster(
        broker,
        tmp_path,
        model={"min_labels": 0},
        worker={"idle_after_seconds": 1},
        interventions={"holdout_share": 0.0},
    ) as running:
        outputs = await Outputs.follow(running.settings)
        worker = await running.start_worker()
        await worker.ready()
        async with replaying(running.settings) as replayer:
            await replayer.run(history(first_live - DAY_MS), then_live=True)

        def said(topic: str) -> list[dict[str, Any]]:
            return list(outputs.values()[topic].values())

        async with asyncio.timeout(60):
            while sum(each["mark"] == "live" for each in said("decisions")) < len(GONE):
                await outputs.read()
                await asyncio.sleep(0.05)
        await running.stop()
        await outputs.read()
        await outputs.consumer.stop()

    alerts, decisions = said("churn-alerts"), said("decisions")
    live = {each["user_id"]: each for each in alerts if each["mark"] == "live"}
    assert sorted(live) == GONE
    assert {(each["status"], each["ts"]) for each in live.values()} == {("opened", first_live)}
    assert {each["user_id"] for each in alerts if each["mark"] == "rehearsal"} >= set(GONE)
    made = Counter((each["mark"], each["action"]) for each in decisions if each["user_id"] in GONE)
    assert made["live", "coupon"] == made["rehearsal", "coupon"] == len(GONE)
    commands = said("commands.coupon")
    assert {each["mark"] for each in commands} == {"live"}
    assert {each["mark"] for each in said("commands.coupon.shadow")} == {"rehearsal"}
    assert min(each["not_before"] for each in commands) >= now
