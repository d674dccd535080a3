from __future__ import annotations

from collections import Counter

import pytest

from features.hashing import salted_hash
from interventions.holdout import choose, exploration_draw, is_held_out


def test_the_holdout_is_as_large_as_asked_and_grows_without_reshuffling():
    hashes = [salted_hash(str(i), "salt") for i in range(4_000)]
    tenth = {h for h in hashes if is_held_out(h, 0.1)}
    fifth = {h for h in hashes if is_held_out(h, 0.2)}

    # Four standard deviations of a binomial: sqrt(4000 * .1 * .9) = 19.
    assert abs(len(tenth) - 400) < 76
    assert tenth < fifth


def test_another_salt_holds_out_other_customers():
    held = [[is_held_out(salted_hash(str(i), salt), 0.5) for i in range(100)] for salt in ("a", "b")]

    assert held[0] != held[1]


def test_without_exploration_the_first_admitted_action_is_certain():
    assert choose(["sms", "email"], 0.0, draw=0.0) == ("sms", 1.0)


def test_with_nothing_admitted_none_is_certain():
    assert choose([], 0.5, draw=0.1) == ("none", 1.0)


@pytest.mark.parametrize("exploration", [0.05, 0.5, 1.0])
def test_logged_propensities_are_the_frequencies_of_the_actions(exploration: float):
    draws = 3_000
    choices = [choose(["call", "sms"], exploration, (i + 0.5) / draws) for i in range(draws)]
    counts = Counter(choice.action for choice in choices)

    for action, propensity in set(choices):
        assert counts[action] / draws == pytest.approx(propensity, abs=2 / draws)


def test_the_draw_of_one_occasion_is_always_the_same_and_of_another_is_not():
    assert exploration_draw(7, "a1", "opened/high") == exploration_draw(7, "a1", "opened/high")
    assert exploration_draw(7, "a1", "opened/high") != exploration_draw(7, "a1", "escalated/critical")
