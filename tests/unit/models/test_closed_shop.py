"""A shop that is closed over a holiday, from its log to its alerts: the pattern of a public log, simulated.

Customers buy on all days but Saturdays; the shop is judged once a week, for a horizon of 60 days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features.grid import DecisionGrid
from features.layout import DAY_MS
from features.money import Currencies
from models.backtest import Backtest, Line, Step
from models.closings import Trade, runs_of
from models.config import CoreConfig
from models.episodes import Thresholds
from models.trainer_config import TrainerConfig
from tests.building import START, event

if TYPE_CHECKING:
    import pytest

HOLIDAY = frozenset(range(23, 34))
FIRST = START // DAY_MS
CORE = CoreConfig(grid=DecisionGrid(7), thresholds=Thresholds(), min_labels=0, lateness_ms=0)
TRAINER = TrainerConfig(partitions=1, every_days=7, min_labels=0, thresholds=Thresholds())


@dataclass
class Customer:
    name: str
    per_day: float
    stays: bool = True


@cache
def log(days: int = 56) -> tuple[Line, ...]:
    """Customers come at random and buy at a pace of their own; a few leave after each purchase."""
    rng = np.random.default_rng(0)
    customers: list[Customer] = []
    lines = []
    for number in range(days):
        if number in HOLIDAY or number % 7 == 6:
            continue
        known = [each for each in customers if each.stays and rng.random() < each.per_day]
        new = [Customer(f"c{len(customers) + n}", rng.gamma(1.2, 1 / 25)) for n in range(rng.poisson(20))]
        customers += new
        for each in [*known, *new]:
            bought = event("purchase", each.name, START + number * DAY_MS + DAY_MS // 2)
            lines.append(Line("orders", each.name, int(bought["ts"]), msgspec.json.encode(bought)))
            each.stays = rng.random() > 0.04
    return tuple(lines)


def judged(trainer: TrainerConfig = TRAINER, core: CoreConfig = CORE) -> list[Step]:
    return list(Backtest(core, trainer, Currencies()).run(log()))


def at_risk(steps: list[Step]) -> list[float]:
    """Share above the threshold, at each decision time."""
    return [float((step.probabilities >= 0.8).mean()) for step in steps]


@cache
def found() -> list[Step]:
    return judged()


def test_nobody_is_at_risk_because_the_shop_was_closed(monkeypatch: pytest.MonkeyPatch):
    assert max(at_risk(found())) < 0.02
    means = [float(step.probabilities.mean()) for step in found()]
    # The two weeks that the holiday is part of, and the one before.
    assert np.ptp(means[2:5]) < 0.05

    monkeypatch.setattr(Trade, "silent_days", lambda *_: set())
    unaware = judged()
    assert max(at_risk(unaware)) > 0.2


def test_the_closing_is_known_as_of_each_decision_time_and_travels_with_its_version():
    told = [[(a - FIRST, b - FIRST) for a, b in step.models.closed] for step in found()]

    assert told[:3] == [[], [], []]
    assert told[3] == [(23, 26)]
    assert told[4:] == [[(23, 33)]] * (len(told) - 4)


def test_the_week_without_orders_is_held_and_the_next_one_is_not():
    holds = [step.models.hold for step in found()]

    assert [hold and hold.why for hold in holds] == [None] * 4 + ["orders"] + [None] * (len(holds) - 5)


def test_a_known_closing_is_paused_from_its_first_day_and_held_at_no_time():
    known = replace(TRAINER, closed_days=frozenset(FIRST + day for day in HOLIDAY))
    steps = judged(known)

    assert max(at_risk(steps)) < 0.02
    assert {step.models.closed for step in steps} == {runs_of(FIRST + day for day in HOLIDAY)}
    assert [step.models.hold for step in steps] == [None] * len(steps)


def test_labels_of_a_horizon_that_was_mostly_closed_are_neither_learned_nor_judged():
    short = {"horizon_days": 14}
    core = replace(CORE, **short)
    backtest = Backtest(core, replace(TRAINER, **short), Currencies())
    steps = list(backtest.run(log()))

    judged = {(quality.decision_time - START) // DAY_MS for quality in backtest.trainer.quality}
    # Of the two weeks after day 21 eleven days were closed.
    assert judged == {7, 14, 28, 35}
    assert backtest.trainer.outlook.left_out == len(steps[2].users)


def test_a_rehearsal_raises_alerts_whatever_is_held():
    eager = replace(CORE, thresholds=Thresholds(0.2, 0.9, 0.95))
    steps = judged(replace(TRAINER, thresholds=eager.thresholds), eager)

    held = [step for step in steps if step.models.hold is not None]
    assert held
    assert all(step.sweep.held == 0 for step in steps)
    assert any(step.sweep.alerts["opened"] for step in held)
