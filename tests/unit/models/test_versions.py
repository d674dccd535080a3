from __future__ import annotations

import msgspec
import numpy as np
import pytest

from features.catalogue import NAMES, OFFSET, model_inputs, raw_features
from features.returns import PRIOR
from features.view import View
from models.signing import SignatureError, signature
from models.versions import (
    CHAMPION_KEY,
    COLUMNS,
    TREATED,
    ChampionRecord,
    ModelSet,
    VersionReader,
    VersionRecord,
    initial_models,
    records,
    return_scorer,
    version_key,
)
from tests.building import START, Feed, constant_models, core, day, models_of


def published(models: ModelSet, keep: int = 3, **states: bytes) -> list[tuple[bytes, bytes | None]]:
    return list(records(models, states, keep))


def read(reader: VersionReader, found: list[tuple[bytes, bytes | None]]) -> None:
    for key, value in found:
        reader.read(key, value)


def test_a_version_comes_back_to_the_last_bit():
    rng = np.random.default_rng(0)
    weights = tuple(rng.normal(size=len(COLUMNS)).tolist())
    scorer = msgspec.structs.replace(return_scorer(), weights=weights, intercept=float(rng.normal()))
    reader = VersionReader()
    read(reader, published(models_of(scorer)))

    assert reader.latest == models_of(scorer)


def test_a_champion_record_completes_a_set_and_nothing_else_does():
    found = published(constant_models(0.3))
    reader = VersionReader()

    assert [reader.read(*each) is not None for each in found] == [False, True]
    assert [key for key, _ in found] == [version_key("logistic", 1), CHAMPION_KEY]


def test_the_last_versions_are_kept_and_older_ones_become_tombstones():
    log = [each for n in range(1, 7) for each in published(constant_models(0.3, number=n), keep=2)]
    compacted = {key: value for key, value in dict(log).items() if value is not None}

    assert set(compacted) == {version_key("logistic", 5), version_key("logistic", 6), CHAMPION_KEY}
    reader = VersionReader()
    read(reader, log)
    assert reader.latest == constant_models(0.3, number=6)


def test_a_champion_that_names_a_version_nobody_read_is_refused():
    _, champion = published(constant_models(0.3))
    reader = VersionReader()
    read(reader, published(constant_models(0.4, number=0)))

    with pytest.raises(KeyError):
        reader.read(*champion)
    assert reader.latest == constant_models(0.4, number=0)


def test_a_tombstone_takes_its_version_away():
    version, champion = published(constant_models(0.3))
    reader = VersionReader()
    reader.read(*version)
    reader.read(version[0], None)

    with pytest.raises(KeyError):
        reader.read(*champion)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        b"null",
        b'{"name":"logistic","number":2,"as_of":1,"labels":1,"scorer":{"type":"linear"}}',
    ],
)
@pytest.mark.parametrize("key", [CHAMPION_KEY, version_key("logistic", 2)])
def test_a_broken_record_is_refused_and_the_models_in_force_stay(broken: bytes, key: bytes):
    reader = VersionReader()
    read(reader, published(constant_models(0.3)))

    with pytest.raises(msgspec.DecodeError):
        reader.read(key, broken)
    assert reader.latest == constant_models(0.3)


@pytest.mark.parametrize("number", ["null", "1e999", "NaN"])
def test_a_weight_that_is_not_finite_is_refused(number: str):
    (key, value), _ = published(constant_models(0.3))
    poisoned = value.replace(b'"weights":[0.0', b'"weights":[' + number.encode())
    assert poisoned != value

    with pytest.raises(msgspec.DecodeError):
        VersionReader().read(key, poisoned)


def test_a_version_of_another_catalogue_is_refused():
    (key, value), _ = published(constant_models(0.3))
    other = value.replace(b'"gap_mean"', b'"gap_median"')

    with pytest.raises(msgspec.ValidationError, match="another catalogue"):
        VersionReader().read(key, other)


def test_a_champion_who_does_not_contend_is_refused():
    with pytest.raises(ValueError, match="not among the contenders"):
        ChampionRecord(champion="x", number=1, as_of=1, labels=1, contenders=("logistic",), returns=PRIOR)


def test_portable_states_travel_with_their_version():
    (_, value), _ = published(constant_models(0.3), logistic=b'{"a":1}')

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
    assert (models.number, models.labels, models.returns) == (0, 0, PRIOR)
    assert models.contenders == ("logistic", "hoeffding_tree")
    assert {OFFSET, TREATED} <= set(COLUMNS)


def test_with_a_secret_only_signed_records_are_read_and_others_change_nothing():
    secret = b"of the trainer"
    reader = VersionReader(secret)
    for key, value in published(constant_models(0.3)):
        reader.read(key, value, signature(key, value, secret))
    other = published(constant_models(0.9, number=2))
    for signed in (None, b"", signature(*other[0], b"of somebody else")):
        with pytest.raises(SignatureError):
            reader.read(*other[0], signed)
    with pytest.raises(SignatureError):
        reader.read(version_key("logistic", 1), None)

    assert reader.latest == constant_models(0.3)
