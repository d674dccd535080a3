"""Everybody's features in a file: each row is of one time."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from features.catalogue import NAMES
from streams.exporting import write_features
from streams.state import CustomersState
from tests.building import Feed, constant_models, core, day, event
from tests.shell import shop_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes import FakeBroker


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def at(number: float, milliseconds: int = 0) -> datetime:
    return datetime.fromtimestamp((day(number) + milliseconds) / 1000, UTC)


async def rows(broker: FakeBroker, folder: Path, console: Console) -> dict[str, dict[str, Any]]:
    """Rows by customer: one was judged, one bought since, one only looked, one has only a profile."""
    settings = shop_settings(folder)
    target = core(settings.core())
    feed = Feed(target)
    feed.buys("ada", 0.5)
    feed(event("profile", "dan", day(0.7), tier="gold"))
    feed.decide(day(1), constant_models(0.95))
    feed.buys("bob", 1.25)
    feed(event("view_item", "cem", day(1.5)))
    state = CustomersState(target)
    for key, value in state.take():
        broker.logs["g-customers-changelog", 0].append(key, value)
    out = folder / "features.parquet"
    assert await write_features(settings, out, console) == 4
    table = pq.read_table(out)
    assert table.column_names == ["user_id", "as_of", "last_event", *NAMES, "p_churn"]
    return {row["user_id"]: row for row in table.to_pylist()}


async def test_every_row_is_as_of_a_time_behind_all_its_events(
    broker: FakeBroker, console: Console, tmp_path: Path
):
    found = await rows(broker, tmp_path, console)

    assert {user: row["as_of"] for user, row in found.items()} == dict.fromkeys(found, at(1.5, 1))
    assert {user: row["last_event"] for user, row in found.items()} == {
        "ada": at(0.5),
        "bob": at(1.25),
        "cem": at(1.5),
        "dan": None,
    }
    assert found["bob"]["days_since_purchase"] == pytest.approx(0.25)
    since = [name for name in NAMES if name.startswith("days_since")]
    assert all(not row[name] < 0 for row in found.values() for name in since if row[name] is not None)


async def test_risk_is_missing_for_who_never_bought(broker: FakeBroker, console: Console, tmp_path: Path):
    found = await rows(broker, tmp_path, console)

    assert {user for user, row in found.items() if row["p_churn"] is not None} == {"ada", "bob"}


async def test_without_customers_no_file_is_written(broker: FakeBroker, console: Console, tmp_path: Path):
    out = tmp_path / "features.parquet"

    assert await write_features(shop_settings(tmp_path), out, console) == 0

    assert not out.exists()
    assert "no customers yet" in console.file.getvalue()
