"""Looking at a deployment from outside: one customer, or everybody's features."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from features.catalogue import NAMES
from streams.inspecting import UnknownCustomerError, inspect, moment, write_features
from streams.state import CustomersState
from tests.building import Feed, constant_models, core, day, event
from tests.shell import shop_settings

if TYPE_CHECKING:
    from pathlib import Path

    from features.wording import Language
    from streams.settings import Settings
    from tests.fakes import FakeBroker


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def settings(broker: FakeBroker, tmp_path: Path):
    """Those of a shop with a changelog of two customers, one of them swept and alerted."""
    found = shop_settings(tmp_path)
    money = found.currencies().micros
    target = core(found.core())
    assert money is not None
    feed = Feed(target)
    feed(event("purchase", "ada", day(0.5), value=30.0), event("purchase", "bob", day(0.6)))
    feed(event("profile", "ada", day(0.7), consent={"email": True, "sms": False}, tier="gold"))
    feed.decide(day(1), constant_models(0.95))
    state = CustomersState(target)
    for key, value in state.take():
        broker.logs["g-customers-changelog", 0].append(key, value)
    state.confirm()
    for output in state.outputs():
        broker.logs[output.topic, 0].append(output.key, output.value)
    return found


def text(console: Any) -> str:
    return str(console.file.getvalue())


async def test_one_customer_is_shown_with_features_risk_and_history(settings: Settings, console: Console):
    await inspect(settings, "ada", console)

    shown = text(console)
    assert "customer ada, partition 0, as of 2022-01-09 00:00" in shown
    assert "not to buy within 4 days (tier critical" in shown
    assert "profile: email yes, sms no, tier gold" in shown
    assert "episode opened" in shown
    assert all(name in shown for name in NAMES)


@pytest.mark.parametrize(
    ("configured", "asked", "said"),
    [
        (["en"], None, "a customer for less than a day; the last order less than a day ago"),
        (["zh", "en"], None, "成为顾客已有不到 1 天"),
        (["zh", "en"], "en", "a customer for less than a day; the last order less than a day ago"),
        (["en"], "zh", "成为顾客已有不到 1 天"),
    ],
)
async def test_features_are_told_in_the_language_asked_for_or_the_first_of_the_settings(
    settings: Settings, console: Console, configured: list[Language], asked: Language | None, said: str
):
    alerting = settings.alerting.model_copy(update={"languages": configured})
    await inspect(settings.model_copy(update={"alerting": alerting}), "ada", console, asked)

    assert said in text(console)


async def test_an_unknown_customer_is_an_error(settings: Settings, console: Console):
    with pytest.raises(UnknownCustomerError, match="nothing is known of customer 'nobody'"):
        await inspect(settings, "nobody", console)


async def test_everybody_s_features_go_into_one_file(settings: Settings, console: Console, tmp_path: Path):
    out = tmp_path / "features.parquet"

    assert await write_features(settings, out, console) == 2

    table = pq.read_table(out)
    assert table.column_names == ["user_id", "as_of", *NAMES, "p_churn"]
    assert sorted(table["user_id"].to_pylist()) == ["ada", "bob"]
    assert all(0 < p < 1 for p in table["p_churn"].to_pylist())


async def test_without_customers_no_file_is_written(broker: FakeBroker, console: Console, tmp_path: Path):
    out = tmp_path / "features.parquet"

    assert await write_features(shop_settings(tmp_path), out, console) == 0

    assert not out.exists()
    assert "no customers yet" in text(console)


def test_a_moment_is_utc():
    assert moment(day(0.5)) == "2022-01-08 12:00"
