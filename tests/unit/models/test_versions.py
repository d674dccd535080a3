from __future__ import annotations

import msgspec
import numpy as np
import pytest

from features.catalogue import NAMES, OFFSET, model_inputs, raw_features
from features.returns import UNSEEN
from features.view import View
from models.version_reader import VersionReader
from models.versions import (
    CHAMPION_KEY,
    COLUMNS,
    TREATED,
    ChampionRecord,
    VersionRecord,
    champion_key,
    initial_models,
    records,
    return_scorer,
    version_key,
)
from tests.building import START, Feed, constant_models, core, day, models_of


def test_a_version_comes_back_to_the_last_bit():
    rng = np.random.default_rng(0)
    weights = tuple(rng.normal(size=len(COLUMNS)).tolist())
    scorer = msgspec.structs.replace(return_scorer(), weights=weights, intercept=float(rng.normal()))
    reader = VersionReader()
    for record in records(models_of(scorer), {}):
        reader.read(*record)

    assert reader.latest == models_of(scorer)


def test_a_set_is_complete_before_anything_names_its_champion():
    found = list(records(constant_models(0.3), {}))

    assert [key for key, _ in found] == [version_key("logistic", 1), champion_key(1), CHAMPION_KEY]
    assert found[1][1] == found[2][1]


def test_a_champion_who_does_not_contend_is_refused():
    with pytest.raises(ValueError, match="not among the contenders"):
        ChampionRecord(champion="x", number=1, as_of=1, labels=1, contenders=("logistic",), returns=UNSEEN)


def test_a_champion_of_before_the_shop_s_rhythm_was_told_is_read():
    *_, (key, value) = records(constant_models(0.3), {})
    told = msgspec.json.decode(value)
    del told["rhythm"]

    assert key == CHAMPION_KEY
    assert msgspec.json.decode(msgspec.json.encode(told), type=ChampionRecord).rhythm is None


def test_portable_states_travel_with_their_version():
    (_, value), *_ = records(constant_models(0.3), {"logistic": b'{"a":1}'})

    assert msgspec.json.decode(value, type=VersionRecord).state == '{"a":1}'


def test_before_the_first_label_the_return_probability_speaks_exactly():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5, 2.5, 5.5)
    feed.buys("ben", 5.6)
    models = initial_models("logistic", ("logistic", "hoeffding_tree"), START)
    view = View(
        target.table.rows[[target.table.index[u] for u in ("anna", "ben")]], day(9), 4, models.returns
    )
    inputs = np.ones((2, len(COLUMNS)), np.float32)
    inputs[:, : len(NAMES)] = model_inputs(raw_features(view))

    for scorer in models.scorers.values():
        np.testing.assert_allclose(scorer.probabilities(inputs), view.no_purchase, rtol=0, atol=5e-7)
    assert (models.number, models.labels, models.returns) == (0, 0, UNSEEN)
    assert models.contenders == ("logistic", "hoeffding_tree")
    assert {OFFSET, TREATED} <= set(COLUMNS)
