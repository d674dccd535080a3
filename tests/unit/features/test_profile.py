from __future__ import annotations

import sys
from functools import reduce
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.events import Consent, Event, PageView, ProfileChange, Unsubscribed
from features.profile import MAX_ATTRIBUTES, Profile, merge
from tests.examples import examples
from tests.strategies import events

if TYPE_CHECKING:
    import random


def told(ts: int, event_id: str = "e", **fields: Any) -> ProfileChange:
    return ProfileChange(event_id=event_id, user_id="u", ts=ts, **fields)


def unsubscribed(ts: int, channel: Any = None) -> Unsubscribed:
    return Unsubscribed(event_id="e", user_id="u", ts=ts, command_id="c", channel=channel)


def after(*each: Event) -> Profile:
    return reduce(merge, each, Profile())


# Few users, times and ids, so that the same registers are written again and again, also at the same stamp.
writes = st.lists(
    st.builds(
        msgspec.structs.replace,
        events("customers") | events("outcomes"),
        ts=st.integers(1, 3),
        event_id=st.sampled_from("ab"),
    ),
    max_size=8,
)


@examples(50)
@given(writes, st.randoms(use_true_random=False))
def test_a_profile_does_not_depend_on_the_order_of_its_events(log: list[Event], rng: random.Random):
    shuffled = log.copy()
    rng.shuffle(shuffled)

    assert after(*shuffled) == after(*log)


@examples(50)
@given(writes)
def test_an_event_that_comes_twice_changes_nothing(log: list[Event]):
    assert after(*log, *log) == after(*log)


@examples(50)
@given(writes)
def test_a_profile_survives_its_way_through_the_changelog(log: list[Event]):
    profile = after(*log)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(profile), type=Profile) == profile


def test_of_whom_nothing_is_known_no_consent_is_known():
    empty = merge(None, PageView(event_id="e", user_id="u", ts=1))

    assert empty == Profile()
    assert {empty.consent(c) for c in ("coupon", "email", "sms", "call")} == {None}
    assert (empty.timezone, empty.locale, empty.tier, empty.attributes) == (None, None, None, {})


@pytest.mark.parametrize("consent", [True, False, None])
@pytest.mark.parametrize(
    ("channel", "said"), [("email", "email"), ("sms", "sms"), ("call", "call"), ("coupon", "onsite")]
)
def test_a_consent_is_what_the_shop_said_of_its_channel(channel: Any, said: str, consent: bool | None):
    assert after(told(1, consent=Consent(**{said: consent}))).consent(channel) is consent


def test_only_the_fields_that_are_present_change():
    first = told(
        1, timezone="Europe/Berlin", tier="gold", consent=Consent(email=True), attributes={"age": "30s"}
    )

    profile = after(first, told(2, tier="silver", attributes={"region": "north"}))

    assert (profile.timezone, profile.tier) == ("Europe/Berlin", "silver")
    assert profile.consent("email")
    assert profile.attributes == {"age": "30s", "region": "north"}
    assert profile.said == {
        "@age": "30s",
        "@region": "north",
        "email": True,
        "tier": "silver",
        "timezone": "Europe/Berlin",
    }


def test_null_makes_a_field_unknown_again():
    profile = after(
        told(1, locale="de-DE", attributes={"age": "30s"}), told(2, locale=None, attributes={"age": None})
    )

    assert profile.locale is None
    assert profile.attributes == {}


def test_an_older_event_that_comes_later_changes_nothing():
    assert after(told(2, tier="gold"), told(1, tier="silver")).tier == "gold"


def test_among_events_of_one_millisecond_the_greater_id_counts():
    assert after(told(1, "b", tier="gold"), told(1, "a", tier="silver")).tier == "gold"


def test_of_two_contradictions_under_one_id_the_refusal_counts():
    yes, no = told(1, consent=Consent(sms=True)), told(1, consent=Consent(sms=False))

    assert after(yes, no) == after(no, yes)
    assert after(yes, no).consent("sms") is False


def test_unsubscribing_from_a_channel_withdraws_its_consent_alone():
    profile = after(told(1, consent=Consent(email=True, sms=True)), unsubscribed(2, "email"))

    assert (profile.consent("email"), profile.consent("sms")) == (False, True)


def test_unsubscribing_without_a_channel_withdraws_all_messages_and_leaves_the_shop_window():
    profile = after(told(1, consent=Consent(email=True, sms=True, call=True)), unsubscribed(2))

    assert [c for c in ("email", "sms", "call") if profile.consent(c) is False] == ["email", "sms", "call"]
    assert profile.consent("coupon") is None


def test_unsubscribing_from_coupons_hides_them():
    assert after(unsubscribed(1, "coupon")).consent("coupon") is False


def test_a_consent_given_after_an_unsubscription_counts_and_one_before_does_not():
    assert after(unsubscribed(2, "email"), told(3, consent=Consent(email=True))).consent("email") is True
    assert after(unsubscribed(2, "email"), told(1, consent=Consent(email=True))).consent("email") is False


def test_attributes_are_bounded_and_which_stay_does_not_depend_on_order():
    log = [told(ts, attributes={f"group-{ts:02}": "x"}) for ts in range(MAX_ATTRIBUTES + 5)]

    kept = after(*log)

    assert kept == after(*reversed(log))
    assert sorted(kept.attributes) == [f"group-{ts:02}" for ts in range(MAX_ATTRIBUTES)]


def test_groups_are_told_in_the_order_asked_for_and_unknown_ones_are_none():
    profile = after(
        told(1, tier="gold", consent=Consent(email=True), attributes={"age": "30-39", "place": "Bonn"}),
        told(2, attributes={"place": None}),
    )

    assert profile.groups(("place", "age", "tier", "email", "sex")) == [None, "30-39", None, None, None]
    assert Profile().groups(("age",)) == [None]


def test_a_usual_profile_takes_less_than_200_bytes_of_memory():
    profile = after(
        ProfileChange(
            event_id="0b5f1c9e-5a87-4a6f-b0d7-5d3b5f1e7c11",
            user_id="u",
            ts=1_700_000_000_000,
            consent=Consent(email=True, sms=False, call=None, onsite=True),
            timezone="Europe/Berlin",
            locale="de-DE",
            tier="gold",
        )
    )

    assert sys.getsizeof(profile) + sys.getsizeof(profile.packed) < 200
