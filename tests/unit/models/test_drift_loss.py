from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.drift import Drift, LossWatch, excess_loss
from models.progressive import ScoreCounts
from tests.building import day
from tests.examples import examples

if TYPE_CHECKING:
    from numpy.typing import NDArray


def overlapping(rng: np.random.Generator, times: int, span: int) -> NDArray[np.float64]:
    """Losses of deviation 0.02 that share label windows: moving means over `span` shocks."""
    steps = np.concatenate(([0.0], np.cumsum(rng.normal(size=times + span - 1))))
    return (steps[span:] - steps[:-span]) / math.sqrt(span) * 0.02 - 0.1


def run(watch: LossWatch, losses: NDArray[np.float64], start: int = 0) -> list[Drift]:
    told = (watch.see(day(number), loss) for number, loss in enumerate(losses.tolist(), start))
    return [each for each in told if each]


@pytest.mark.parametrize("span", [1, 2, 14])
def test_a_stationary_loss_is_hardly_ever_told(span: int):
    """The chart promises one false alarm in some thirty runs of forty horizons; seeds are fixed."""
    rng = np.random.default_rng(span)
    told = [run(LossWatch(span), overlapping(rng, 40 * span, span)) for _ in range(40)]

    assert sum(map(len, told)) <= 3


@pytest.mark.parametrize("span", [1, 2, 14])
def test_a_lasting_rise_is_found_within_a_few_horizons(span: int):
    rng = np.random.default_rng(100 + span)
    delays = []
    for _ in range(20):
        losses = overlapping(rng, 30 * span, span)
        losses[20 * span :] += 0.06
        watch = LossWatch(span)
        run(watch, losses[: 20 * span])
        told = run(watch, losses[20 * span :], 20 * span)
        delays.append((told[0].at - day(20 * span)) / (day(1) - day(0)) / span if told else math.inf)

    assert np.median(delays) <= 3
    assert max(delays) <= 8


def test_what_is_told_is_when_it_began_and_by_how_much():
    losses = 0.3 + 0.01 * (-1.0) ** np.arange(60)
    losses[50:] += 0.04
    watch = LossWatch(1)
    told = run(watch, losses)

    assert len(told) == 1
    assert told[0].since == day(50)
    assert day(51) <= told[0].at <= day(53)
    assert (told[0].what, told[0].measure, told[0].level) == ("loss", "page_hinkley", "large")
    assert told[0].strength == pytest.approx(0.04, rel=0.3)


def test_a_loss_that_falls_is_no_drift():
    """A model that learns gets better; that is not told, and the usual level follows it."""
    rng = np.random.default_rng(1)
    better = 0.2 * np.exp(-np.arange(200) / 20) + rng.normal(0, 0.01, 200)

    assert run(LossWatch(2), better) == []


def test_a_rise_too_small_to_matter_is_no_drift_however_quiet_the_loss_was():
    assert run(LossWatch(1), np.array([0.1] * 50 + [0.102] * 50)) == []
    assert len(run(LossWatch(1), np.array([0.1] * 50 + [0.12] * 50))) == 1


def test_after_it_was_told_the_new_level_is_the_usual_one():
    rng = np.random.default_rng(2)
    watch = LossWatch(1)
    told = run(watch, np.concatenate((rng.normal(0, 0.02, 40), rng.normal(0.3, 0.02, 40))))

    assert len(told) == 1
    assert watch.mean == pytest.approx(0.3, abs=0.02)


def test_a_bad_start_long_ago_does_not_dull_the_watch():
    """The first version of a shop may lose two nats; as a deviation for ever it would hide everything."""
    losses = 0.02 * (-1.0) ** np.arange(200)
    losses[0], losses[180:] = 2.0, losses[180:] + 0.08

    assert [told.at >= day(180) for told in run(LossWatch(1), losses)] == [True]


def test_nothing_is_told_before_enough_was_seen():
    assert run(LossWatch(1), np.array([0.0] * 19 + [9.0])) == []
    assert len(run(LossWatch(1), np.array([0.0] * 20 + [9.0]))) == 1
    assert run(LossWatch(14), np.array([0.0] * 27 + [9.0] * 1)) == []


@given(st.lists(st.floats(-1, 3), max_size=80), st.integers(0, 80), st.floats(1, 20))
@examples(40)
def test_a_watch_goes_on_from_json_to_the_bit(losses: list[float], cut: int, span: float):
    whole, first = LossWatch(span), LossWatch(span)
    values = np.array(losses)
    told = run(whole, values)
    before = run(first, values[:cut])
    second = msgspec.json.decode(msgspec.json.encode(first), type=LossWatch)

    assert before + run(second, values[cut:], len(values[:cut])) == told
    assert second == whole


def test_the_excess_loss_stays_where_only_the_base_rate_moves():
    """A forecast that is right has the loss of its own entropy; more churners alone are no drift."""
    low = ScoreCounts.of([0.1] * 1000, [True] * 100 + [False] * 900)
    high = ScoreCounts.of([0.4] * 1000, [True] * 400 + [False] * 600)
    stale = ScoreCounts.of([0.1] * 1000, [True] * 400 + [False] * 600)

    assert high.log_loss > low.log_loss + 0.3
    assert excess_loss(low) == pytest.approx(0, abs=1e-9)
    assert excess_loss(high) == pytest.approx(0, abs=1e-9)
    assert excess_loss(stale) > 0.2


@pytest.mark.parametrize("span", [0.5, math.nan, math.inf])
def test_a_span_is_at_least_one_decision_time(span: float):
    with pytest.raises(ValueError, match="horizon"):
        LossWatch(span)


def test_no_labels_are_no_loss():
    with pytest.raises(ValueError, match="no loss"):
        LossWatch(1).see(day(1), math.nan)
