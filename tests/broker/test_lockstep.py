"""A replay over a broker equals the backtest, however often it is run and over however many partitions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from models.backtest import Backtest, Line
from tests.broker.brokers import KAFKA_IN_PROOF
from tests.broker.cluster import run_shop, shop_settings
from tests.broker.leftovers import Left, differences, learned

if TYPE_CHECKING:
    from pathlib import Path

    from streams.sources import SourceEvent
    from tests.broker.brokers import Broker

pytestmark = pytest.mark.broker


def digest(left: Left) -> str:
    """SHA-256 over the sorted ids of all alerts."""
    ids = sorted({alert["alert_id"] for alert in left.outputs.values()["churn-alerts"].values()})
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def test_a_replay_gives_the_metrics_and_alerts_of_the_backtest(
    log: list[SourceEvent], undisturbed: Left, tmp_path: Path
) -> None:
    settings = shop_settings(tmp_path)
    backtest = Backtest(settings.core(), settings.trainer(), settings.currencies())
    steps = list(backtest.run(Line(*event) for event in log))
    alerts = [alert for step in steps for alert in step.alerts]

    assert differences(learned(backtest.trainer), undisturbed.state["trainer"]) == []
    # A replay says of itself that nothing real may follow; a backtest publishes nothing to begin with.
    expected = {_identity(alert): _judgement(msgspec.to_builtins(alert)) for alert in alerts}
    found = undisturbed.outputs.values()["churn-alerts"]
    assert differences(expected, {key: _judgement(alert) for key, alert in found.items()})[:20] == []


def _identity(alert: Any) -> str:
    return f"{alert.alert_id}/{alert.status}/{alert.tier}"


def _judgement(alert: dict[str, Any]) -> dict[str, Any]:
    return {
        name: alert[name] for name in ("user_id", "kind", "ts", "probability", "tier", "reasons", "model")
    }


@KAFKA_IN_PROOF
@pytest.mark.parametrize("partitions", [1, 2, 4])
async def test_neither_repeating_nor_partitioning_changes_what_is_learned_and_raised(
    broker: Broker, partitions: int, short_log: list[SourceEvent], short_undisturbed: Left, tmp_path: Path
) -> None:
    left = await run_shop(broker, tmp_path, short_log, partitions=partitions)

    assert digest(left) == digest(short_undisturbed)
    assert differences(short_undisturbed.state["trainer"], left.state["trainer"]) == []
    assert differences(_tables(short_undisturbed), _tables(left))[:20] == []
    assert differences(short_undisturbed.outputs.values(), left.outputs.values())[:20] == []


def _tables(left: Left) -> dict[str, Any]:
    """Customers without the offsets of their partition."""
    return {
        user: {name: value for name, value in row.items() if name != "stamps"}
        for user, row in left.state["customers"].items()
    }
