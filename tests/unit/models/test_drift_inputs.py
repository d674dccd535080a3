from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import NAMES, model_inputs
from features.layout import DAY_MS
from models.drift import InputHistogram, InputWatch, missing_inputs, population_stability
from models.drift.histogram import cells
from models.versions import COLUMNS
from tests.building import day
from tests.examples import examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

finite = st.floats(-1e7, 1e7, width=32)
rows = st.lists(st.tuples(finite, st.sampled_from([0.0, 1.0])), max_size=30)
MISSING = np.zeros(2, np.float32)


def inputs(values: list[tuple[float, float]]) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(-1, 2)


def counted(column: NDArray[np.float64], other: float = 1.0) -> InputHistogram:
    """A histogram of two columns, of which the second is constant."""
    return InputHistogram.of(np.column_stack((column, np.full(len(column), other))).astype(np.float32))


def index(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    return float(population_stability(counted(before), counted(now), MISSING).index[0])


# -- the histogram


@given(st.lists(finite, min_size=2, max_size=20))
@examples(60)
def test_cells_stand_in_the_order_of_the_values_and_are_narrow(values: list[float]):
    ordered = np.sort(np.array(values, np.float32))
    numbers = cells(ordered)

    assert (np.diff(numbers) >= 0).all()
    assert (numbers >= 0).all()
    assert (numbers < 65536).all()
    apart = np.abs(np.diff(ordered)) > 0.02 * np.abs(ordered[1:]) + 1e-30
    assert (np.diff(numbers)[apart] > 0).all()


def test_no_zero_is_below_zero():
    assert cells(np.array([-0.0], np.float32)) == cells(np.array([0.0], np.float32))


@given(rows, rows)
@examples(40)
def test_counts_add_up_and_survive_json(first: list, second: list):
    parts = [InputHistogram.of(inputs(second)), InputHistogram.of(inputs(first))]
    whole = InputHistogram.of(inputs(first + second))
    kept = json.loads(json.dumps(whole.to_json()))

    assert InputHistogram.merge(parts).to_json() == InputHistogram.from_json(kept).to_json() == kept
    assert len(whole) == len(first) + len(second)
    for j in range(2):
        used, counts = whole.column(j)
        assert np.repeat(used, counts).tolist() == np.sort(cells(inputs(first + second)[:, j])).tolist()


def test_many_rows_are_counted_as_a_few_at_a_time_are():
    found = np.random.default_rng(0).normal(size=(12_000, 3)).astype(np.float32)
    few = [InputHistogram.of(piece) for piece in np.split(found, 4)]

    assert InputHistogram.of(found).to_json() == InputHistogram.merge(few).to_json()


def test_histograms_of_other_columns_do_not_add_up():
    with pytest.raises(ValueError, match="columns"):
        InputHistogram.merge([counted(np.zeros(1)), InputHistogram.of(np.zeros((1, 3), np.float32))])


# -- the index


def test_the_index_is_the_formula_by_hand():
    """Bins {0} missing, {1}, {2}, by 100 and 200 rows, half a row added to each."""
    before = np.repeat([0.0, 1.0, 2.0], [20, 30, 50])
    now = np.repeat([0.0, 1.0, 2.0], [40, 20, 140])
    p = np.array([20.5, 30.5, 50.5]) / 101.5
    q = np.array([40.5, 20.5, 140.5]) / 201.5

    assert index(before, now) == pytest.approx(np.sum((q - p) * np.log(q / p)), abs=1e-12)


def test_a_shift_of_a_normal_column_is_its_squared_distance():
    """Of two normals Jeffreys' divergence, which the index is, is the squared shift; bins lose a little."""
    rng = np.random.default_rng(0)
    x = rng.normal(5, 1, 50_000)

    assert index(x, x + 0.5) == pytest.approx(0.25, abs=0.03)
    assert index(x + 0.5, x) == pytest.approx(0.25, abs=0.03)


def test_more_missing_values_are_seen_though_few_are_missing():
    rng = np.random.default_rng(1)
    x = rng.uniform(1, 2, 10_000)
    before, now = np.where(rng.random(10_000) < 0.01, 0, x), np.where(rng.random(10_000) < 0.08, 0, x)

    assert index(before, now) > 0.1


@pytest.mark.parametrize("other", [0.0, 1.97, 2.03, 5.0])
def test_a_constant_that_moves_is_seen_on_either_side(other: float):
    assert index(np.full(1_000, 2.0), np.full(1_000, other)) > 1
    assert index(np.full(1_000, 2.0), np.where(np.arange(1_000) < 100, other, 2.0)) > 0.25


def test_by_chance_alone_the_index_stays_below_its_bound():
    """Of 750 comparisons of one population hardly any passes a bound of 1 in 10,000."""
    rng = np.random.default_rng(2)
    beyond, of = 0, []
    for _ in range(15):
        before, now = (rng.uniform(1, 2, (n, 50)).astype(np.float32) for n in (400, 700))
        found = population_stability(
            InputHistogram.of(before), InputHistogram.of(now), np.zeros(50, np.float32)
        )
        beyond += int((found.index > found.chance).sum())
        of.append(found.index.mean() / (1 / 400 + 1 / 700))

    assert beyond < 2
    # nine degrees of freedom: the theory that the bound rests on
    assert np.mean(of) == pytest.approx(9, abs=0.5)


def test_stability_needs_both_sides():
    nobody = InputHistogram.of(np.zeros((0, 2), np.float32))
    with pytest.raises(ValueError, match="rows"):
        population_stability(nobody, counted(np.zeros(3)), MISSING)


def test_missing_has_the_inputs_of_a_customer_of_whom_nothing_is_known():
    assert missing_inputs().shape == (len(COLUMNS),)
    unknown = model_inputs(np.full((1, len(NAMES)), np.nan))[0]
    assert missing_inputs()[: len(NAMES)].tolist() == unknown.tolist()


# -- the watch


def watch() -> InputWatch:
    return InputWatch(14 * DAY_MS, ("moves", "stays"), MISSING)


def run(seen: InputWatch, shift: list[float], start: int = 1, size: int = 3_000) -> list:
    """Weekly snapshots whose first column is shifted by this many deviations."""
    rng = np.random.default_rng(start)
    return [
        told
        for week, by in enumerate(shift, start)
        for told in seen.see(day(7 * week), counted(rng.normal(5 + by, 1, size)))
    ]


def test_a_stationary_population_is_never_told():
    assert run(watch(), [0.0] * 60) == []
    assert run(watch(), [0.0] * 60, size=40) == []


def test_a_shift_tells_when_which_and_how_strong():
    (told,) = run(watch(), [0.0] * 5 + [0.4])

    assert (told.at, told.since, told.what) == (day(7 * 6), day(7 * 4), "moves")
    assert (told.measure, told.level) == ("psi", "moderate")
    assert told.strength == pytest.approx(0.16, abs=0.04)


def test_a_lasting_shift_is_told_once_and_a_worse_one_again():
    seen = watch()
    found = run(seen, [0.0] * 5 + [0.4, 1.0, 1.0, 1.0, 1.0] + [1.0] * 10)

    assert [told.level for told in found] == ["moderate", "large"]
    # a horizon later the new population is the reference
    assert seen.index["moves"] < 0.1
    assert [told.level for told in run(seen, [0.0], start=21)] == ["large"]


def test_few_rows_must_differ_by_more_than_chance_explains():
    assert run(watch(), [0.0] * 5 + [0.5], size=30) == []
    assert len(run(watch(), [0.0] * 5 + [3.0], size=30)) == 1


def test_a_decision_time_without_anybody_says_nothing():
    seen = watch()
    run(seen, [0.0] * 5)
    before = seen.to_json()

    assert seen.see(day(60), counted(np.zeros(0))) == []
    assert seen.to_json() == before


@given(st.integers(1, 19))
@examples(10)
def test_a_watch_goes_on_from_json_as_if_nothing_had_happened(cut: int):
    rng = np.random.default_rng(7)
    snapshots = [(day(7 * week), counted(rng.normal(5 + (week % 4 == 0), 1, 200))) for week in range(1, 21)]
    whole, first, second = watch(), watch(), watch()
    told = [each for ts, counts in snapshots for each in whole.see(ts, counts)]
    before = [each for ts, counts in snapshots[:cut] for each in first.see(ts, counts)]
    second.restore(json.loads(json.dumps(first.to_json())))
    after = [each for ts, counts in snapshots[cut:] for each in second.see(ts, counts)]

    assert before + after == told != []
    assert second.to_json() == whole.to_json()


def test_however_dense_the_grid_few_snapshots_are_kept_and_the_reference_is_a_horizon_old():
    seen = InputWatch(60 * DAY_MS, ("a", "b"), MISSING)
    rng = np.random.default_rng(8)
    for number in range(1, 301):
        found = seen.see(day(number), counted(rng.normal(5 + (number == 300), 1, 500)))

    assert len(seen.to_json()["kept"]) <= 6
    assert 60 * DAY_MS <= found[0].at - found[0].since <= 75 * DAY_MS


def test_a_watch_of_other_columns_is_refused():
    with pytest.raises(ValueError, match="catalogue"):
        InputWatch(DAY_MS, ("x", "y"), MISSING).restore(watch().to_json())
    kept = watch()
    run(kept, [0.0] * 3)
    broken = kept.to_json()
    broken["kept"].reverse()
    with pytest.raises(ValueError, match="order"):
        watch().restore(broken)
