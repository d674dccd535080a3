from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.caps import DAY_MS, Caps, Contact
from tests.examples import examples

if TYPE_CHECKING:
    from features.fields import Channel

NOW = 1_000 * DAY_MS


def _contact(days: float, channel: Channel = "email") -> Contact:
    return Contact(NOW + int(days * DAY_MS), channel, "", mark="live")


@pytest.mark.parametrize("days", [-13.9, 0, 13.9])
def test_a_contact_before_or_after_keeps_its_distance(days: float):
    assert Caps().refusal([_contact(days)], "sms", 1, NOW) == "cool_down"


@pytest.mark.parametrize("days", [-14, 14])
def test_the_cool_down_ends_after_its_last_moment(days: float):
    assert Caps().refusal([_contact(days)], "sms", 1, NOW) is None


def test_a_channel_that_reached_its_cap_is_refused_while_another_is_not():
    contacts = [_contact(-20, "email")]

    assert Caps(total=5).refusal(contacts, "email", 1, NOW) == "channel_cap"
    assert Caps(total=5).refusal(contacts, "sms", 1, NOW) is None


def test_the_total_counts_every_channel():
    contacts = [_contact(-29, "sms"), _contact(-15, "call")]

    assert Caps(total=2).refusal(contacts, "email", 9, NOW) == "global_cap"


def test_a_contact_thirty_days_ago_has_left_the_window():
    assert Caps(total=1).refusal([_contact(-30)], "email", 1, NOW) is None


def test_a_contact_too_far_before_the_newest_cannot_be_judged():
    assert Caps().refusal([_contact(30.1)], "email", 9, NOW) == "out_of_order"
    assert Caps().refusal([_contact(30)], "email", 9, NOW) is None


def test_rehearsed_contacts_do_not_push_live_ones_out():
    live = Contact(NOW, "email", "", mark="live")
    rehearsed = Contact(NOW + 500 * DAY_MS, "email", "", mark="rehearsal")

    assert Caps().relevant([live, rehearsed]) == [live, rehearsed]


def test_a_negative_limit_is_rejected():
    with pytest.raises(ValueError, match="negative"):
        Caps(cool_down_days=-1)


@examples(60)
@given(
    steps=st.lists(st.sampled_from([0, 1, 2, 5, 9, 25, -1, -3, -8, -21]), max_size=40),
    cool_down=st.integers(0, 6),
    window=st.integers(1, 12),
    total=st.integers(0, 4),
)
def test_forgetting_old_contacts_never_admits_one_too_many(
    steps: list[int], cool_down: int, window: int, total: int
):
    """Against a memory that forgets nothing, whatever order the contacts are proposed in."""
    caps = Caps(cool_down_days=cool_down, window_days=window, total=total)
    kept: list[Contact] = []
    everything: list[int] = []
    at = NOW
    for step in steps:
        at += step * DAY_MS
        if caps.refusal(kept, "email", 3, at) is None:
            kept = caps.relevant([*kept, Contact(at, "email", "", mark="live")])
            everything.append(at)

    ordered = sorted(everything)
    assert all(b - a >= cool_down * DAY_MS for a, b in pairwise(ordered))
    for start in ordered:
        assert sum(start <= other < start + window * DAY_MS for other in ordered) <= min(total, 3)
