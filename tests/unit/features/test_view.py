"""A record read as of a time. The oracle of all features is in test_catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from features.events import Login, Purchase
from features.layout import DAY_MS, Layout
from features.returns import PRIOR
from features.view import View, return_statistics
from tests.oracle.logs import START, empty_table, feed_all, one_poll

SWEPT = START + 1000 * DAY_MS
HOUR_MS = 3_600_000


def seen(ts: int, *times: int) -> View:
    """Ada, as of `ts`, who logged in at these times."""
    each = [Login(event_id=str(i), user_id="ada", ts=at) for i, at in enumerate(times)]
    table = feed_all(empty_table(), [one_poll("clickstream", *each)], SWEPT)
    return View(table.rows[table.live_slots()], ts, 60, PRIOR)


def bought(ts: int, *times: int) -> View:
    """Ada, as of `ts`, who bought at these times."""
    return View(buyer(*times), ts, 60, PRIOR)


def buyer(*times: int) -> np.ndarray:
    """The record of Ada, who bought at these times."""
    each = [
        Purchase(event_id=str(i), user_id="ada", ts=at, transaction_id=str(i), value=1, currency="EUR")
        for i, at in enumerate(times)
    ]
    table = feed_all(empty_table(), [one_poll("orders", *each)], SWEPT)
    return table.rows[table.live_slots()]


#   day       0       1       2       3
#             |   x   |  x x  |       |
#   as of                     ^ the last day is that before the decision time
@pytest.mark.parametrize(("window", "days"), [(1, 1), (2, 2), (30, 2)])
def test_a_window_of_days_ends_with_the_day_before_the_decision_time(window: int, days: int):
    times = (START + 12 * HOUR_MS, START + 30 * HOUR_MS, START + 40 * HOUR_MS)

    assert seen(START + 2 * DAY_MS, *times).active_days(window).tolist() == [days]


def test_a_moment_after_midnight_the_window_moves_on():
    assert seen(START + DAY_MS, START).active_days(1).tolist() == [1]
    assert seen(START + DAY_MS + 1, START).active_days(1).tolist() == [0]


def test_days_since_are_fractions_of_a_day_and_missing_when_never():
    view = seen(START + 3 * DAY_MS, START + 12 * HOUR_MS)

    assert view.days_since("last_ts").tolist() == [2.5]
    assert np.isnan(view.days_since("last_purchase")).all()
    assert np.isnan(view.recency).all()


def test_decayed_sums_go_on_decaying_in_silence():
    view = seen(START + 30 * DAY_MS, START)

    np.testing.assert_allclose(view.decayed("activity", 30), [0.5], rtol=1e-12)
    np.testing.assert_allclose(view.decayed("activity", 90), [0.5 ** (1 / 3)], rtol=1e-12)


#   day    0         10                  30            gaps of 10 and 20 days
#          x         x                   x
def test_gaps_lie_between_purchases():
    view = bought(START + 40 * DAY_MS, START, START + 10 * DAY_MS, START + 30 * DAY_MS)

    assert view.gap_mean.tolist() == [15.0]
    assert view.last_gap.tolist() == [20.0]
    np.testing.assert_allclose(view.gap_deviation, [np.std([10, 20], ddof=1)], rtol=1e-12)


def test_gaps_need_two_purchases_and_their_deviation_three():
    once, twice = bought(START + DAY_MS, START), bought(START + 9 * DAY_MS, START, START + 4 * DAY_MS)

    assert np.isnan([once.gap_mean, once.last_gap, once.gap_deviation]).all()
    assert (twice.gap_mean, twice.last_gap) == (4.0, 4.0)
    assert np.isnan(twice.gap_deviation).all()


def test_the_return_statistics_count_days():
    # Bought late on day 0, twice on day 4; on day 9, just after midnight, nine whole days are over.
    times = (START + 23 * HOUR_MS, START + 4 * DAY_MS, START + 4 * DAY_MS + HOUR_MS)

    x, t_x, age = return_statistics(buyer(*times), START + 9 * DAY_MS + 1)

    assert (x.tolist(), t_x.tolist(), age.tolist()) == ([1.0], [4.0], [9.0])


def test_who_never_bought_has_no_statistics_and_no_probability():
    nobody = np.zeros(1, Layout().dtype)

    assert [each.tolist() for each in return_statistics(nobody, START + DAY_MS)] == [[0.0]] * 3
    assert np.isnan(seen(START + DAY_MS, START).no_purchase).all()


def test_records_are_read_at_slots_whatever_their_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("features.view._AT_ONCE", 3)
    table = feed_all(
        empty_table(),
        [one_poll("clickstream", *(Login(event_id=u, user_id=u, ts=START + int(u)) for u in "1234567"))],
        SWEPT,
    )
    slots = table.live_slots()[[6, 0, 2, 5, 3]]
    some = View(table.rows, START + 10, 60, PRIOR, slots=slots)

    assert (some.days_since("last_ts") * DAY_MS).round().tolist() == [3, 9, 7, 4, 6]
    assert some.count("logins").tolist() == [1] * len(some)
    assert (
        some.decayed("activity", 7).tolist()
        == View(table.rows[slots], START + 10, 60, PRIOR).decayed("activity", 7).tolist()
    )


def test_each_record_may_be_read_as_of_a_time_of_its_own():
    times = START + np.array([1, 40, 200]) * DAY_MS
    alone = [bought(int(ts), START, START + 3 * HOUR_MS) for ts in times]
    together = View(np.repeat(buyer(START, START + 3 * HOUR_MS), 3), times, 60, PRIOR)

    for read in (lambda v: v.recency, lambda v: v.no_purchase, lambda v: v.active_days(90)):
        assert read(together).tolist() == [read(view)[0] for view in alone]
    assert together.decayed("orders", 7).tolist() == [view.decayed("orders", 7)[0] for view in alone]
