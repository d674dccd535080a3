from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.rejection import Rejected
from models.alerts import Alert, ModelRef, Reason, alert_id, read_alert
from models.marks import MARKS


def alert(**changes: object) -> Alert:
    fields = {
        "alert_id": "a",
        "kind": "episode",
        "status": "opened",
        "user_id": "anna",
        "ts": 1,
        "probability": 0.9,
        "tier": "high",
        "reasons": (Reason(feature="orders", value=None, contribution=0.5, text="few"),),
        "model": ModelRef(name="logistic", version=3),
        "horizon_days": 60,
        "mark": "live",
    }
    return msgspec.convert(fields | changes, Alert)


def test_an_alert_comes_back_from_json():
    assert msgspec.json.decode(msgspec.json.encode(alert(mark="shadow")), type=Alert) == alert(mark="shadow")


def test_what_nobody_filled_in_is_absent_from_the_wire():
    keys = msgspec.json.decode(msgspec.json.encode(alert())).keys()

    assert not {"segment", "expected_value"} & keys


def test_an_alert_always_says_its_mark():
    assert msgspec.json.decode(msgspec.json.encode(alert()))["mark"] == "live"


def test_texts_in_other_languages_are_on_the_wire_only_if_there_are_any():
    """So that an alert of an older worker, which knows no other language, is still read."""
    one = Reason(feature="orders", value=None, contribution=0.5, text="few")
    plain = {"feature": "orders", "value": None, "contribution": 0.5, "text": "few"}
    both = msgspec.structs.replace(one, texts={"zh": "很少"})

    assert msgspec.to_builtins(one) == plain
    assert msgspec.convert(plain, Reason) == one
    assert msgspec.json.decode(msgspec.json.encode(both)) == plain | {"texts": {"zh": "很少"}}


@pytest.mark.parametrize("bad", [{"tier": "huge"}, {"status": "closed"}, {"kind": "mood"}, {"mark": "dry"}])
def test_words_outside_the_contract_are_refused(bad: dict[str, str]):
    with pytest.raises(msgspec.ValidationError):
        alert(**bad)


texts = st.text("ab", max_size=3)


@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_different_origins_have_different_ids(one: tuple[str, str], other: tuple[str, str]):
    """Also where the texts run into each other: ("a", "bc") is not ("ab", "c")."""
    ids = [alert_id(user, "trigger", origin) for user, origin in (one, other)]

    assert (ids[0] == ids[1]) == (one == other)


def test_one_episode_has_another_id_under_each_mark():
    ids = {alert_id("anna", "episode", "1", mark) for mark in MARKS}

    assert len(ids) == 3
    assert alert_id("anna", "episode", "1") == alert_id("anna", "episode", "1", "live")


def test_the_kind_is_part_of_the_identity():
    assert alert_id("anna", "trigger", "1") != alert_id("anna", "episode", "1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"user_id": ""}, "bad_id"),
        ({"alert_id": ""}, "bad_id"),
        ({"ts": 10**18}, "bad_timestamp"),
        ({"ts": -1}, "bad_timestamp"),
        ({"probability": 1.5}, "bad_value"),
    ],
)
def test_what_no_partition_of_ours_would_have_said_is_refused(changes: dict[str, object], reason: str):
    with pytest.raises(Rejected) as refused:
        read_alert(msgspec.json.encode(alert(**({"ts": 1_700_000_000_000} | changes))))

    assert refused.value.reason == reason


@given(st.none() | st.binary(max_size=30) | st.just(b"[" * 10_000))
def test_bytes_that_are_no_alert_are_refused_and_nothing_else_happens(value: bytes | None):
    with pytest.raises(Rejected, match="malformed_json"):
        read_alert(value)
