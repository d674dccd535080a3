from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from features.catalogue import BY_NAME, CATALOGUE, NAMES, OFFSET, model_inputs, raw_features
from features.layout import DAY_MS, Layout
from features.returns import PRIOR
from features.view import View
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
@settings(max_examples=12, deadline=None)
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
@settings(max_examples=20, deadline=None)
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
    ("scale", "raw", "expected"),
    [
        ("log", 9.0, np.log(10.0)),
        ("linear", -3.5, -3.5),
        ("logit", 0.9, np.log(9.0)),
        ("logit", 1.0, np.log(999_999.0)),
        ("logit", 0.0, -np.log(999_999.0)),
    ],
)
def test_inputs_are_scaled_as_their_feature_says(scale: str, raw: float, expected: float):
    column = next(i for i, feature in enumerate(CATALOGUE) if feature.scale == scale)
    values = np.zeros((1, len(CATALOGUE)))
    values[0, column] = raw

    np.testing.assert_allclose(model_inputs(values)[0, column], expected, rtol=1e-6)


@given(anything, st.integers(1, 3))
@settings(max_examples=8, deadline=None)
def test_how_records_are_cut_into_chunks_changes_no_bit(four: np.ndarray, cut: int):
    # Many records, so that whole vectors, rests of vectors and single records all occur.
    rows = np.tile(four, 10)[: 37 + cut]
    with np.errstate(all="ignore"):
        whole = raw_features(View(rows, TS, 60, PRIOR))
        parts = [raw_features(View(part, TS, 60, PRIOR)) for part in (rows[:1], rows[1:cut], rows[cut:])]
        single = [raw_features(View(rows[i : i + 1], TS, 60, PRIOR)) for i in range(4)]

    parts = [part for part in parts if len(part)] if cut > 1 else [parts[0], parts[2]]
    assert np.concatenate(parts).tobytes() == np.ascontiguousarray(whole).tobytes()
    assert np.concatenate(single).tobytes() == np.ascontiguousarray(whole[:4]).tobytes()
    inputs = model_inputs(whole)
    assert np.concatenate([model_inputs(part) for part in parts]).tobytes() == inputs.tobytes()
    assert np.concatenate([model_inputs(part) for part in single]).tobytes() == inputs[:4].tobytes()


def test_inputs_can_be_written_into_a_part_of_a_wider_array():
    raw = raw_features(View(np.zeros(2, Layout().dtype), TS, 60, PRIOR))
    wide = np.full((2, len(CATALOGUE) + 1), 7, np.float32)

    model_inputs(raw, wide[:, :-1])

    assert wide[:, :-1].tolist() == model_inputs(raw).tolist()
    assert wide[:, -1].tolist() == [7, 7]


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
    assert feature.text(2.0) == feature.say.format(feature.told(2.0)) != feature.say
    assert feature.text(np.nan) == feature.text(np.inf) == f"no {feature.name.replace('_', ' ')} known"
