"""A shop that hears of no order for weeks, in live operation: how many are alarmed in one step.

Its feed is broken, or it is closed: the guard cannot tell. Before, meanwhile, when the hold ends, and when
customers come back, no step alarms more of them than the capacity holds altogether.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.grid import DecisionGrid
from features.layout import DAY_MS
from features.returns import PRIOR
from models import sweeping
from models.capacity import Capacity
from models.closings import LONGEST_DAYS, days_in
from models.trainer import Trainer
from models.trainer_config import TrainerConfig
from tests.building import START, Feed, config, core, day, event
from tests.examples import examples

if TYPE_CHECKING:
    from models.guard import Hold

BEFORE, AFTER = 63, 42
FIRST = START // DAY_MS


class Step(NamedTuple):
    """`alarmed` of `active` customers, anew or more strongly, and `closed` days known, at a day."""

    day: int
    active: int
    alarmed: int
    hold: Hold | None
    closed: int


@dataclass
class Shop:
    """Customers come, buy at random at a pace of their own, and leave one day; orders of `away` are lost."""

    away: range
    every_days: int = 7
    horizon_days: int = 21
    heard: float = 0.0
    seed: int = 0
    steps: list[Step] = field(default_factory=list)

    def live(self) -> list[Step]:
        grid = DecisionGrid(self.every_days, START)
        settings = config(
            horizon_days=self.horizon_days,
            active_within_days=90,
            evict_after_days=365,
            grid=grid,
            thresholds=None,
            min_labels=50,
        )
        self.core = core(settings)
        self.trainer = Trainer(
            TrainerConfig(
                partitions=1,
                horizon_days=self.horizon_days,
                every_days=self.every_days,
                min_labels=50,
                contenders=("return_probability",),
            )
        )
        self.models = self.trainer.config.initial(START)
        feed, rng = Feed(self.core), np.random.default_rng(self.seed)
        paces = rng.gamma(3, 1 / 30, 300)
        for number in range(self.away.stop + AFTER):
            buys = np.flatnonzero(rng.random(len(paces)) < paces)
            if number in self.away:
                buys = buys[rng.random(len(buys)) < self.heard]
            if len(buys):
                feed(*(event("purchase", f"c{who}", day(number + 0.5)) for who in buys.tolist()))
            paces[buys[rng.random(len(buys)) < 0.04]] = 0
            paces = np.append(paces, rng.gamma(3, 1 / 30, rng.poisson(5)))
            feed.until(day(number + 1))
            while (ts := self.core.due(self.core.watermark())) is not None:
                self._decide(ts)
        return self.steps

    def _decide(self, ts: int) -> None:
        self.trainer.receive_part(sweeping.mature(self.core, ts, self.models))
        for _ in self.trainer.learn(ts):
            pass
        self.models = self.trainer.models()
        sweep = sweeping.sweep(self.core, ts, self.models)
        self.core.pending.clear()
        self.core.swept_durably(ts)
        alarmed = sweep.alerts["opened"] + sweep.alerts["escalated"]
        number, closed = ts // DAY_MS - FIRST, days_in(self.models.closed, 0, ts // DAY_MS)
        self.steps.append(Step(number, len(sweep.slots), alarmed, self.models.hold, closed))


@pytest.fixture(autouse=True, scope="module")
def one_rhythm():
    """What an outage does to customers is in question, not what it does to the fit, which takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.trainer.fit", lambda *_: PRIOR)
        yield


def alarmed(steps: list[Step]) -> float:
    """The greatest share of the active customers that one step alarmed, behind the first that may alarm."""
    first = next(place for place, step in enumerate(steps) if step.alarmed)
    return max(step.alarmed / step.active for step in steps[first + 1 :])


@pytest.mark.parametrize("every_days", [1, 7])
def test_an_outage_of_forty_days_alarms_no_more_in_one_step_than_the_capacity_holds(every_days: int):
    away = range(BEFORE, BEFORE + 40)

    steps = Shop(away, every_days).live()

    assert alarmed(steps) <= Capacity().medium
    held = [step.day for step in steps if step.hold is not None]
    assert held, "the guard sees it"
    assert max(held) - min(held) <= LONGEST_DAYS + every_days
    assert max(step.closed for step in steps) == LONGEST_DAYS
    # The lift, days without a hold in the outage, and the return all alarm somebody.
    assert any(step.alarmed for step in steps if max(held) < step.day <= away.stop)
    assert any(step.alarmed for step in steps if step.day > away.stop + 14)


@examples(6)
@given(
    start=st.integers(BEFORE, BEFORE + 7),
    length=st.integers(1, 90),
    horizon_days=st.sampled_from([14, 28, 42]),
    heard=st.sampled_from([0.0, 0.05, 0.2]),
    seed=st.integers(0, 99),
)
def test_no_outage_alarms_more_in_one_step_than_the_capacity_holds(
    start: int, length: int, horizon_days: int, heard: float, seed: int
):
    shop = Shop(range(start, start + length), 7, horizon_days, heard, seed)

    assert alarmed(shop.live()) <= Capacity().medium
