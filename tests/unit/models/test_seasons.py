"""Time of year: levels of a year ago, and what a season is to the models of a simulated shop."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from features.layout import DAY_MS
from models.overrides import Override, overridden
from models.seasons import Seasons, level
from models.version_reader import VersionReader
from models.versions import records
from tests.building import constant_models, day
from tests.examples import examples

YEAR = 365 * DAY_MS


def year(*levels: float, every: int = 30) -> Seasons:
    seasons = Seasons()
    for number, each in enumerate(levels):
        seasons = seasons.seen(day(number * every), each)
    return seasons


def test_what_is_known_of_a_year_ago_is_told_against_the_years_mean():
    seasons = year(*[0.0] * 6, 3.0, *[0.0] * 5)

    assert seasons.effect(day(180) + YEAR) == pytest.approx(3.0 - 0.25)
    assert seasons.effect(day(0) + YEAR) == pytest.approx(-0.25)


def test_between_two_decision_times_lies_what_is_between_them():
    assert year(0.0, 1.0, 2.0).effect(day(45) + YEAR) == pytest.approx(1.5 - 1.0)


@pytest.mark.parametrize("ts", [day(0), day(60), day(59), day(-1) + YEAR, day(61) + YEAR])
def test_before_a_year_is_known_and_behind_its_labels_it_says_nothing(ts: int):
    assert year(0.0, 1.0, 2.0).effect(ts) == 0.0


def test_of_a_shop_without_labels_nothing_is_known():
    assert Seasons().effect(np.array([day(1), day(400)])).tolist() == [0.0, 0.0]


def test_times_are_told_one_by_one_as_together():
    seasons, times = year(0.5, -1.0, 2.0, 0.25), [day(d) + YEAR for d in (-3, 0, 10, 33, 90, 95)]

    assert seasons.effect(np.array(times)).tolist() == [float(seasons.effect(ts)) for ts in times]


def test_more_than_a_year_is_not_kept():
    seasons = year(*range(40))

    assert seasons.times[0] == day(39 * 30) - YEAR + 5 * DAY_MS  # of a grid of 30 days
    assert len(seasons.times) == 13


def test_a_time_that_was_seen_already_changes_nothing():
    seasons = year(0.0, 1.0)

    assert seasons.seen(day(30), 9.0) is seasons
    assert seasons.seen(day(2), 9.0) is seasons


@pytest.mark.parametrize(("times", "levels"), [((1, 2), (0.0,)), ((2, 1), (0.0, 0.0)), ((1, 1), (0.0, 0.0))])
def test_levels_without_times_or_out_of_order_are_refused(times: tuple[int, ...], levels: tuple[float, ...]):
    with pytest.raises(ValueError, match="times rise"):
        Seasons(times, levels)


@pytest.mark.parametrize("shift", [-3.0, -0.4, 0.0, 1.7])
def test_a_level_is_what_the_log_odds_lacked(shift: float):
    x = np.random.default_rng(1).normal(size=20_000)
    churned = np.random.default_rng(2).random(20_000) < expit(x + shift)

    # Five standard errors: the Fisher information of a label is at least 0.02 here.
    assert level(x, churned) == pytest.approx(shift, abs=5 / np.sqrt(0.02 * 20_000))


@given(st.lists(st.tuples(st.floats(-14, 14), st.booleans()), max_size=20))
@examples(60)
def test_a_level_is_finite_whatever_the_labels_are_and_no_better_one_lies_beside_it(
    members: list[tuple[float, bool]],
):
    x, churned = (np.array([each[i] for each in members], kind) for i, kind in ((0, float), (1, bool)))

    def lost(shift: float) -> float:
        return float(np.logaddexp(0, np.where(churned, -1, 1) * (x + shift)).sum() + shift**2 / 18)

    found = level(x, churned)
    assert np.isfinite(found)
    assert lost(found) <= min(lost(found - 0.01), lost(found + 0.01))


def test_a_cohort_of_one_kind_of_labels_has_a_level_that_says_so():
    x = np.full(1_000, logit(0.5))

    assert 4 < level(x, np.ones(1_000, bool)) < 10
    assert -10 < level(x, np.zeros(1_000, bool)) < -4


def test_seasons_travel_with_the_version_and_are_the_newest_under_an_override():
    models = msgspec.structs.replace(constant_models(0.3), seasons=year(0.5, -1.0))
    reader = VersionReader()
    for record in records(models, {}):
        reader.read(*record)

    assert reader.latest == models
    old = msgspec.structs.replace(models, seasons=Seasons())
    found, unheeded = overridden(Override(said_at=1, number=old.number), models, old)
    assert (found.seasons, unheeded) == (models.seasons, "")
