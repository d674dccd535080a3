"""What the trainer knows of the whole shop, over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from features.layout import DAY_MS
from features.returns import ReturnHistogram
from models.capacity import RecentLevels
from models.episodes import Thresholds
from models.guard import Hold
from models.outlook import Outcome, Outlook
from models.parts import Part
from models.trainer_config import TrainerConfig
from tests.building import START, constant_models

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.guard import Why

FIRST = START // DAY_MS
NOBODY = ReturnHistogram.from_arrays([], [], [])
WEEK = (50, 60, 55, 52, 70, 0, 40)


def outlook(**changes: object) -> Outlook:
    return Outlook(TrainerConfig(partitions=2, every_days=7, **changes))  # type: ignore[arg-type]


def weeks(target: Outlook, *buyers: tuple[int, ...], since: int = 0) -> None:
    for number, each in enumerate(buyers, since + 1):
        ts = START + 7 * number * DAY_MS
        parts = [Part(p, ts, (), NOBODY, buyers=tuple(n // 2 + p * (n % 2) for n in each)) for p in (0, 1)]
        target.see_trade(ts, parts)


def test_a_closing_of_the_whole_shop_is_found_and_said_once_to_be_news():
    target = outlook()
    weeks(target, WEEK, WEEK, WEEK)
    assert (target.closed, target.surprised) == ((), False)

    weeks(target, (50, 60, 0, 0, 0, 0, 40), since=3)
    assert (target.closed, target.surprised) == (((FIRST + 23, FIRST + 25),), True)
    weeks(target, WEEK, since=4)
    assert target.surprised is False


def test_a_known_closing_is_no_news():
    target = outlook(closed_days=frozenset(range(FIRST + 21, FIRST + 28)))
    weeks(target, WEEK, WEEK, WEEK, (0,) * 7)

    assert (target.closed, target.surprised) == (((FIRST + 21, FIRST + 27),), False)


def test_it_goes_on_from_its_state_and_from_a_published_version():
    target, again, successor = outlook(), outlook(), outlook()
    weeks(target, WEEK, WEEK, WEEK, (0,) * 7, WEEK)
    again.restore(target.state())
    hold = Hold(since=START, why="orders", value=0.1, limit=0.4)
    successor.follow(msgspec.structs.replace(constant_models(0.5), closed=target.closed, hold=hold))
    assert successor.hold == hold

    for each in (target, again, successor):
        weeks(each, WEEK, since=5)
    assert again.state() == target.state()
    # It was not there when the shop was closed.
    assert successor.closed == target.closed == ((FIRST + 21, FIRST + 27),)


def test_days_taken_back_are_news_too():
    """Parts made by a version that knew of other closed days misjudge customers, whichever way."""
    target, successor = outlook(closed_days=frozenset({FIRST + 3})), outlook()
    weeks(target, WEEK)
    successor.restore(target.state())

    weeks(successor, WEEK, since=1)
    assert (successor.closed, successor.surprised) == ((), True)
    weeks(successor, WEEK, since=2)
    assert successor.surprised is False


def test_a_step_of_which_fewer_than_half_of_the_partitions_told_is_unknown():
    target = Outlook(TrainerConfig(partitions=4, every_days=7))
    told = [Part(p, START, (), NOBODY, buyers=WEEK) for p in range(4)]
    for step, parts in enumerate([told, told[:2], told[:1], []], 1):
        target.see_trade(START + 7 * step * DAY_MS, parts)

    twice, four = ([n * len(parts) for n in WEEK] for parts in (told[:2], told))
    assert target.trade.buyers == [*four, *twice, *[None] * 14]
    assert target.closed == ()


def test_whoever_goes_on_from_a_version_goes_on_guarding():
    """It has none of the shop's past: neither what was usual, nor whether nobody was alarmed before."""
    successor = outlook(thresholds=Thresholds(0.6, 0.8, 0.9), min_labels=100)
    successor.follow(msgspec.structs.replace(constant_models(0.5), hold=None))

    hold = step(successor, 7, share=0.9)

    assert hold is not None
    assert hold.why == "crossing"


@pytest.mark.parametrize("why", ["crossing", "orders"])
def test_a_hold_that_a_trainer_goes_on_from_is_not_released_by_its_ignorance(why: Why):
    held = Hold(since=START, why=why, value=0.1, limit=0.4)
    successor = outlook(thresholds=Thresholds(0.6, 0.8, 0.9), min_labels=100)
    successor.follow(msgspec.structs.replace(constant_models(0.5), hold=held))

    before = [step(successor, 7, share=0.5), step(successor, 14, share=0.5)]
    known = [step(successor, 7 * week, share=0.1) for week in (3, 4)]

    assert [hold and hold.since for hold in before] == [START, START]
    # How many crossed is known at once, how many usually buy after two weeks.
    assert [hold and hold.why for hold in known] == [None, None]


def test_thresholds_follow_at_once_when_a_long_hold_ends():
    target = outlook(min_labels=0)
    for week in range(1, 10):
        step(target, 7 * week, share=0.1, low=0.3)
    for week in range(10, 14):
        assert step(target, 7 * week, share=0.1, low=0.3, buyers=(0,) * 7) is not None

    step(target, 7 * 14, share=0.1, low=0.7)

    alone = RecentLevels()
    alone.see(spread(0.1, 0.7), 7)
    found, expected = target.tiers["return_probability"], alone.thresholds(target.config.capacity)
    assert (found.medium, found.closes) == pytest.approx((expected.medium, expected.closes), abs=0.002)


def step(
    target: Outlook, number: int, share: float, low: float = 0.01, buyers: tuple[int, ...] = WEEK
) -> Hold | None:
    """A step on day `number`: how customers stand then, and how many bought."""
    ts = START + number * DAY_MS
    target.see_trade(ts, [Part(p, ts, (), NOBODY, buyers=buyers) for p in (0, 1)])
    target.look(ts, 7, Saying(spread(share, low)), constant_models(0.5))  # type: ignore[arg-type]
    return target.hold


def spread(share: float, low: float) -> NDArray[np.float64]:
    """400 customers, of whom this share is at 90 % and the others stand evenly from `low` on."""
    high = round(share * 400)
    return np.round([*[0.9] * high, *np.linspace(low, low + 0.2, 400 - high)], 6)


def test_of_those_at_risk_only_the_late_are_alarmed():
    issued = np.array([0.9, 0.9, 0.4, 0.2])
    outcome = Outcome({"pool": issued}, np.array([True, False, True, True]))

    assert outcome.alarmed("pool", 0.5, only_overdue=True) == 0.25
    assert outcome.alarmed("pool", 0.5, only_overdue=False) == 0.5
    assert outcome.alarmed("pool", 0.3, only_overdue=True) == 0.5


class Saying:
    """A panel of which the models say what the test wants."""

    share = 1.0

    def __init__(self, issued: NDArray[np.float64]) -> None:
        self.issued = issued
        self.inside = np.zeros(len(issued), bool)

    def overdue(self, _: object) -> NDArray[np.bool_]:
        return self.inside

    def __len__(self) -> int:
        return len(self.issued)

    def probabilities(self, *_: object) -> dict[str, NDArray[np.float64]]:
        return {"logistic": self.issued, "return_probability": self.issued}


def test_a_part_that_lacks_days_of_trade_counts_for_those_it_has():
    target = outlook()
    ts = START + 7 * DAY_MS
    target.see_trade(ts, [Part(0, ts, (), NOBODY, buyers=WEEK), Part(1, ts, (), NOBODY, buyers=(5,))])

    assert target.trade.buyers == [*WEEK[:-1], 45]
