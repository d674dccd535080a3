"""What the trainer knows of the whole shop, over restarts."""

from __future__ import annotations

import msgspec

from features.layout import DAY_MS
from features.returns import ReturnHistogram
from models.guard import Hold
from models.outlook import Outlook
from models.parts import Part
from models.trainer_config import TrainerConfig
from tests.building import START, constant_models

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


def test_a_part_that_lacks_days_of_trade_counts_for_those_it_has():
    target = outlook()
    ts = START + 7 * DAY_MS
    target.see_trade(ts, [Part(0, ts, (), NOBODY, buyers=WEEK), Part(1, ts, (), NOBODY, buyers=(5,))])

    assert target.trade.buyers == [*WEEK[:-1], 45]
