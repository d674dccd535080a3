from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit

from features.catalogue import BY_NAME, CATALOGUE, NAMES, OFFSET, model_inputs, raw_features, scale
from features.layout import DAY_MS, Layout
from features.returns import PRIOR
from features.view import View
from tests.examples import examples
from tests.oracle import recount
from tests.oracle.logs import START, Log, arrivals, empty_table, everything, feed_all, logs

if TYPE_CHECKING:
    import random

    from features.feature import Feature

SWEPT = START + 10_000 * DAY_MS
TS = START + 500 * DAY_MS

#: Records that no log can make: every bit of every field, and then NaN and infinity in the floats.
anything = hnp.arrays(np.uint8, (4, Layout().dtype.itemsize)).map(
    lambda raw: raw.reshape(-1).view(Layout().dtype).copy()
)


@given(logs(days=260, size=25), st.integers(0, 200 * DAY_MS), st.randoms(use_true_random=False))
@examples(12)
def test_every_feature_equals_a_recount_of_the_log_however_it_arrives(
    log: Log, silence: int, rng: random.Random
):
    table = feed_all(empty_table(), arrivals(log, rng, 2 * DAY_MS), SWEPT)
    raw = recount.frame(everything(log))
    ts = int(raw.ts.max()) + 1 + silence if len(raw) else START
    found = raw_features(View(table.rows[table.live_slots()], ts, 60, PRIOR))

    for user, values in zip(table.index, found, strict=True):
        expected = recount.features(raw[raw.user == user], ts, 60, PRIOR)
        assert not recount.differences(dict(zip(NAMES, values, strict=True)), expected)


@given(anything)
@examples(20)
def test_model_inputs_are_finite_whatever_a_record_holds(rows: np.ndarray):
    with np.errstate(all="ignore"):
        raw = raw_features(View(rows, TS, 60, PRIOR))

    assert np.isfinite(model_inputs(raw)).all()


@pytest.mark.parametrize("fill", [0, 1, 2**31 - 1, 2**63 - 1])
def test_model_inputs_of_uniform_records_are_finite(fill: int):
    rows = np.zeros(1, Layout().dtype)
    for name in Layout().rolling:
        rows[name] = min(fill, np.iinfo(rows[name].dtype).max) if rows[name].dtype.kind != "f" else fill
    with np.errstate(all="ignore"):
        inputs = model_inputs(raw_features(View(rows, TS, 60, PRIOR)))

    assert np.isfinite(inputs).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, -0.0, 1e-320])
def test_model_inputs_of_any_raw_value_are_finite(value: float):
    assert np.isfinite(model_inputs(np.full((3, len(CATALOGUE)), value))).all()


def test_a_missing_value_becomes_the_input_of_its_fill():
    missing = np.full((1, len(CATALOGUE)), np.nan)
    filled = np.array([[feature.fill for feature in CATALOGUE]])

    assert model_inputs(missing).tolist() == model_inputs(filled).tolist()


def test_outliers_are_cut_at_the_bounds_of_their_feature():
    high, low = (np.array([[getattr(f, bound) for f in CATALOGUE]]) for bound in ("high", "low"))

    assert model_inputs(np.full_like(high, 1e30)).tolist() == model_inputs(high).tolist()
    assert model_inputs(np.full_like(low, -1e30)).tolist() == model_inputs(low).tolist()


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("log", 9.0, np.log(10.0)),
        ("linear", -3.5, -3.5),
        ("logit", 0.9, np.log(9.0)),
        ("logit", 1.0, np.log(999_999.0)),
        ("logit", 0.0, -np.log(999_999.0)),
    ],
)
def test_inputs_are_scaled_as_their_feature_says(kind: str, raw: float, expected: float):
    column = next(i for i, feature in enumerate(CATALOGUE) if feature.scale == kind)
    values = np.zeros((1, len(CATALOGUE)))
    values[0, column] = raw

    np.testing.assert_allclose(model_inputs(values)[0, column], expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(anything, st.integers(1, 3))
@examples(8)
def test_how_records_are_cut_into_chunks_changes_no_bit(dtype: type[np.floating], four: np.ndarray, cut: int):
    # Many records, so that whole vectors, rests of vectors and single records all occur.
    rows = np.tile(four, 10)[: 37 + cut]
    with np.errstate(all="ignore"):
        whole = raw_features(View(rows, TS, 60, PRIOR, dtype))
        parts = [
            raw_features(View(part, TS, 60, PRIOR, dtype)) for part in (rows[:1], rows[1:cut], rows[cut:])
        ]
        single = [raw_features(View(rows[i : i + 1], TS, 60, PRIOR, dtype)) for i in range(4)]

    parts = [part for part in parts if len(part)] if cut > 1 else [parts[0], parts[2]]
    assert np.concatenate(parts).tobytes() == np.ascontiguousarray(whole).tobytes()
    assert np.concatenate(single).tobytes() == np.ascontiguousarray(whole[:4]).tobytes()
    inputs = model_inputs(whole)
    assert np.concatenate([model_inputs(part) for part in parts]).tobytes() == inputs.tobytes()
    assert np.concatenate([model_inputs(part) for part in single]).tobytes() == inputs[:4].tobytes()


@pytest.mark.parametrize("order", ["C", "F"])
def test_inputs_can_be_made_in_a_part_of_a_wider_array(order: Literal["C", "F"]):
    view = View(np.zeros(2, Layout().dtype), TS, 60, PRIOR)
    wide = np.full((2, len(CATALOGUE) + 1), 7, np.float32, order=order)

    scale(raw_features(view, wide[:, :-1]))

    assert wide[:, :-1].tolist() == model_inputs(raw_features(view)).tolist()
    assert wide[:, -1].tolist() == [7, 7]


@given(logs(days=260, size=25), st.integers(0, 200 * DAY_MS), st.randoms(use_true_random=False))
@examples(8)
def test_inputs_of_float32_columns_are_those_of_float64_to_five_digits(
    log: Log, silence: int, rng: random.Random
):
    rows = feed_all(empty_table(), arrivals(log, rng, 2 * DAY_MS), SWEPT).rows
    ts = int(rows["last_ts"].max()) + 1 + silence
    coarse, fine = (raw_features(View(rows, ts, 60, PRIOR, dtype)) for dtype in (np.float32, np.float64))

    found, expected = model_inputs(coarse), model_inputs(fine)
    for inputs in (found, expected):
        # Log-odds near certainty tell digits of the probability that mean nothing.
        inputs[:, NAMES.index(OFFSET)] = expit(inputs[:, NAMES.index(OFFSET)])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_catalogue_has_at_least_thirty_features_of_distinct_names():
    assert len(CATALOGUE) >= 30
    assert len(set(NAMES)) == len(CATALOGUE) == len(BY_NAME)
    assert OFFSET in NAMES
    assert BY_NAME[OFFSET].scale == "logit"


@pytest.mark.parametrize("feature", CATALOGUE, ids=NAMES)
def test_every_feature_says_what_it_is_and_why_it_should_tell_churn(feature: Feature):
    assert feature.name.isidentifier()
    assert all((feature.unit, feature.formula, feature.why))
    assert feature.low <= feature.fill <= feature.high
