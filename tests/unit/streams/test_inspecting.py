"""Looking at one customer without a worker, from the changelogs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from features.catalogue import NAMES
from interventions.customer_report import UnknownCustomerError
from models.known import NotKeptError
from streams.inspecting import inspect, moment
from streams.state import CustomersState
from tests.building import Feed, constant_models, core, day, event
from tests.shell import shop_settings

if TYPE_CHECKING:
    from pathlib import Path

    from features.wording import Language
    from interventions.customer_report import AsOf
    from streams.settings import Settings
    from tests.fakes import FakeBroker


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def settings(broker: FakeBroker, tmp_path: Path):
    """Those of a shop with a changelog of two customers, both judged once; one has bought since."""
    found = shop_settings(tmp_path)
    target = core(found.core())
    feed = Feed(target)
    feed(event("purchase", "ada", day(0.5), value=30.0), event("purchase", "bob", day(0.6)))
    feed(event("profile", "ada", day(0.7), consent={"email": True, "sms": False}, tier="gold"))
    feed.decide(day(1), constant_models(0.95))
    feed.buys("bob", 1.25)
    state = CustomersState(target)
    for key, value in state.take():
        broker.logs["g-customers-changelog", 0].append(key, value)
    state.confirm()
    return found


def text(console: Any) -> str:
    return str(console.file.getvalue())


async def shown(settings: Settings, user: str, console: Console, as_of: AsOf = None, **how: Any) -> str:
    await inspect(settings, user, console, as_of=as_of, offline=True, **how)
    return text(console)


async def test_one_customer_is_shown_with_features_risk_and_profile(settings: Settings, console: Console):
    said = await shown(settings, "ada", console)

    assert "customer ada, partition 0" in said
    assert "last event seen: 2022-01-08 12:00 (all times are UTC)" in said
    assert "features and risk as of 2022-01-09 06:00 (now: all that was read)" in said
    assert "not to buy within 4 days (tier " in said
    assert "at the last decision time, 2022-01-09 00:00: 95.0%\n" in said
    assert "alert open since 2022-01-09 00:00, tier critical" in said
    assert "profile: email yes, sms no, tier gold" in said
    assert all(name in said for name in NAMES)


async def test_the_shares_of_features_are_shown_to_who_asks_for_them(settings: Settings, console: Console):
    settled = await shown(settings, "ada", console)
    asked = await shown(settings, "ada", console, shares=True)

    assert "more of it is" not in settled
    assert all(word in asked for word in ("more of it is", "riskier", "safer", "either"))


async def test_what_came_after_the_last_decision_is_told_as_of_now_and_never_as_of_that_time(
    settings: Settings, console: Console
):
    """The order of day 1.25 is in the features: they are of day 1.25, and no days since it are negative."""
    said = await shown(settings, "bob", console)

    assert "features and risk as of 2022-01-09 06:00" in said
    assert "days_since_purchase" in said
    assert "│ -" not in said


async def test_the_record_of_the_last_decision_is_shown_while_kept(settings: Settings, console: Console):
    said = await shown(settings, "ada", console, "decision")

    assert "features and risk as of 2022-01-09 00:00 (as asked for)" in said


async def test_a_record_that_is_kept_no_more_is_not_made_up(settings: Settings, console: Console):
    with pytest.raises(NotKeptError, match="has done something since"):
        await inspect(settings, "bob", console, as_of=day(1.1), offline=True)


@pytest.mark.parametrize(
    ("configured", "asked", "said"),
    [
        (["en"], None, "a customer for 1 day"),
        (["zh", "en"], None, "成为顾客已有 1 天"),
        (["zh", "en"], "en", "a customer for 1 day"),
        (["en"], "zh", "成为顾客已有 1 天"),
    ],
)
async def test_features_are_told_in_the_language_asked_for_or_the_first_of_the_settings(
    settings: Settings, console: Console, configured: list[Language], asked: Language | None, said: str
):
    alerting = settings.alerting.model_copy(update={"languages": configured})
    configured_so = settings.model_copy(update={"alerting": alerting})

    assert said in await shown(configured_so, "ada", console, language=asked)


async def test_an_unknown_customer_is_an_error(settings: Settings, console: Console):
    with pytest.raises(UnknownCustomerError, match="nothing is known of customer 'nobody'"):
        await inspect(settings, "nobody", console, offline=True)


def test_a_moment_is_utc():
    assert moment(day(0.5)) == "2022-01-08 12:00"
