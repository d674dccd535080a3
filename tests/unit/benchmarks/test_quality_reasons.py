"""Of every alert: the customer is late by the log itself, and a person would accept each of its reasons."""

from __future__ import annotations

import doctest
import random
from bisect import bisect_left
from collections import defaultdict
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from benchmarks.quality import sentences
from benchmarks.quality.reasons import Findings, objections
from benchmarks.quality.sentences import argues_for_leaving, tells_an_end
from features.grid import DecisionGrid
from features.inputs import TOPIC_OF
from features.layout import DAY_MS
from features.money import Currencies
from models.alerts import Alert, ModelRef, Reason
from models.backtest import Backtest, Line
from models.episodes import Thresholds
from models.trainer_config import TrainerConfig
from tests.building import config, day, event

if TYPE_CHECKING:
    from collections.abc import Iterator

HORIZON = 21
SETTINGS = config(
    horizon_days=HORIZON,
    active_within_days=90,
    grid=DecisionGrid(7),
    evict_after_days=400,
    lateness_ms=DAY_MS,
    thresholds=Thresholds(0.4, 0.6, 0.8, 0.1),
    min_labels=100,
    learn_sample=10_000,
    languages=("en", "zh"),
)


@cache
def lives(seed: int, customers: int = 60, days: int = 170) -> list[dict[str, Any]]:
    """A shop whose customers have rhythms of 3 to 60 days, browse or not, complain, and mostly leave."""
    rng = random.Random(seed)
    return sorted(
        (each for number in range(customers) for each in _life(f"u{number}", rng, days)),
        key=lambda each: int(each["ts"]),
    )


def _life(user: str, rng: random.Random, days: int) -> Iterator[dict[str, Any]]:
    gap, browses, value = rng.choice([3, 8, 20, 60]), rng.random() < 0.6, rng.uniform(5, 200)
    now = rng.uniform(0, days / 2)
    while now < days:
        items = [{"item_id": "i", "price": value, "quantity": rng.randint(1, 3)}]
        coupon = {"coupon": "c"} if rng.random() < 0.2 else {}
        yield event("purchase", user, day(now), value=value * rng.uniform(0.2, 1.5), items=items, **coupon)
        for _ in range(rng.randint(0, 8) if browses else 0):
            kind = rng.choice(["view_item", "add_to_cart", "search", "page_view"])
            more = (
                {"query": "q"} if kind == "search" else {"item_id": "i", "item_category": rng.choice("abc")}
            )
            yield event(kind, user, day(now + rng.uniform(0, gap)), **({} if kind == "page_view" else more))
        if rng.random() < 0.1:
            yield event("review", user, day(now + 1), rating=float(rng.randint(1, 5)))
        if rng.random() < 0.05:
            yield event("refund", user, day(now + 2), value=value / 2)
        if rng.random() < 0.05:
            yield event("survey", user, day(now + 2), score=float(rng.randint(0, 10)))
        if rng.random() < 0.12:
            return
        now += rng.uniform(0.5, 1.5) * gap


@cache
def alerts(seed: int, *, only_overdue: bool) -> tuple[tuple[Alert, ...], int]:
    """Every alert of a shop, and how many customers were above the threshold and not late."""
    contenders = TrainerConfig(
        partitions=1,
        horizon_days=HORIZON,
        every_days=7,
        min_labels=100,
        contenders=("second_order", "additive"),
    )
    backtest = Backtest(replace(SETTINGS, only_overdue=only_overdue), contenders, Currencies())
    lines = [
        Line(TOPIC_OF[each["type"]], each["user_id"], each["ts"], msgspec.json.encode(each))
        for each in lives(seed)
    ]
    steps = list(backtest.run(lines))
    raised = tuple(alert for step in steps for alert in step.alerts)
    return raised, sum(step.sweep.withheld["not_overdue"] for step in steps)


@cache
def orders(seed: int) -> dict[str, list[int]]:
    """Times of orders by customer, as the log has them."""
    found = defaultdict(list)
    for each in lives(seed):
        if each["type"] == "purchase":
            found[each["user_id"]].append(each["ts"])
    return found


SEEDS = range(1)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("only_overdue", [True, False])
def test_no_alert_is_without_a_reason_that_a_person_would_accept(seed: int, *, only_overdue: bool):
    raised, _ = alerts(seed, only_overdue=only_overdue)
    found = Findings()
    found.take(raised)

    assert found.alerts["opened"] > 30
    assert found.alerts["resolved"] > 10
    assert found.objections == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_who_opens_an_episode_waits_longer_than_their_own_gaps_in_the_log(seed: int):
    raised, withheld = alerts(seed, only_overdue=True)
    judged = 0
    for alert in raised:
        if (alert.kind, alert.status) != ("episode", "opened"):
            continue
        times = orders(seed)[alert.user_id]
        times = times[: bisect_left(times, alert.ts)]
        days = sorted({ts // DAY_MS for ts in times})
        if (
            len(days) > 1
            and alert.reasons[0].feature != "trigger"
            and not dissatisfied(seed, alert, times[-1])
        ):
            judged += 1
            usual = (days[-1] - days[0]) / (len(days) - 1)
            assert (alert.ts - times[-1]) / DAY_MS > usual - 0.5

    assert judged > 10
    assert withheld > 10


def dissatisfied(seed: int, alert: Alert, since: int) -> bool:
    """Whether the log has anything between the last order and the alert that may be a trigger event."""
    kinds = {"review", "refund", "survey"}
    return any(
        each["user_id"] == alert.user_id and each["type"] in kinds and since <= each["ts"] < alert.ts
        for each in lives(seed)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_forecasts_are_the_same_whoever_is_alarmed(seed: int):
    late, _ = alerts(seed, only_overdue=True)
    everybody, withheld = alerts(seed, only_overdue=False)

    assert withheld == 0
    assert {a.alert_id for a in late if a.kind == "trigger"} <= {a.alert_id for a in everybody}
    assert sum(a.status == "opened" for a in late) < sum(a.status == "opened" for a in everybody)


@pytest.mark.parametrize(
    "text",
    [
        "orders come at 5.5 times the usual rate",
        "about 126 spent in recent days, on about 2 orders; usually 40 an order",
        "no order for 138 days; usually one every 319 days",
        "usually orders every 319 days",
        "buys 1 item an order on average",
        "12 orders so far, the last 3 days ago",
        "20% of customers with this rhythm do not return in time: orders on 4 days, the last 9 days ago",
        "activity is at twice the usual rate",
        "rated 5 of 5 on average",
        "no rating yet",
        "3% of deliveries were late",
        "",
    ],
)
def test_what_argues_against_leaving_or_for_nothing_is_objected_to(text: str):
    reason = Reason(feature="f", value=1.0, contribution=0.5, text=text)

    assert not argues_for_leaving(text)
    assert objections(alert_with(reason)) == [text]


def test_an_alert_without_a_reason_is_objected_to_and_so_is_one_theme_told_twice():
    twice = [
        Reason(feature="f", value=1.0, contribution=0.5, text="last seen 9 days ago", theme="browsing"),
        Reason(feature="g", value=1.0, contribution=0.4, text="interested in 1 category", theme="browsing"),
    ]

    assert objections(alert_with()) == [""]
    assert objections(alert_with(*twice)) == [""]
    assert objections(alert_with(twice[0])) == []


def test_an_end_is_no_reason_for_leaving():
    assert tells_an_end("ordered again 2 days ago")
    assert not tells_an_end("no order for 47 days")
    assert not argues_for_leaving("ordered again 2 days ago")


def alert_with(*reasons: Reason) -> Alert:
    return Alert(
        alert_id="a",
        kind="episode",
        status="opened",
        user_id="u",
        ts=1,
        probability=0.9,
        tier="high",
        reasons=reasons,
        model=ModelRef(name="pool", version=1),
        horizon_days=60,
        mark="live",
    )


def test_the_examples_in_the_docstrings_hold():
    found = doctest.testmod(sentences)

    assert (found.failed, found.attempted >= 3) == (0, True)
