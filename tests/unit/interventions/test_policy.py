from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from ledger_strategies import NOON, Consents, policy, view

from features.events import Consent, ProfileChange
from features.profile import merge
from interventions.caps import DAY_MS
from interventions.policy import OFFERINGS, Band, Plan, PolicyConfig, Rule

if TYPE_CHECKING:
    from models.alerts import Tier

BY_CHANNEL = {offering.channel: offering for offering in OFFERINGS}
NIGHT = NOON + DAY_MS // 2


@pytest.mark.parametrize(
    ("tier", "money", "first"),
    [
        ("medium", 500.0, "email"),
        ("high", 10.0, "coupon"),
        ("high", 500.0, "email"),
        ("critical", 10.0, "sms"),
        ("critical", 500.0, "call"),
        ("critical", 200.0, "call"),  # the threshold itself is high
        ("critical", float("nan"), "sms"),  # unknown value is low
    ],
)
def test_tier_and_value_decide_what_is_preferred(tier: Tier, money: float, first: str):
    assert policy().preferred(tier, view(money=money))[0].channel == first


def test_no_risk_means_no_action():
    assert policy().preferred("none", view()) == []


def _allowed(profile: Any, **changes: Any) -> list[str]:
    return [channel for channel in BY_CHANNEL if policy(**changes).has_consent(profile, channel)]


def test_who_was_never_asked_allows_nothing():
    assert _allowed(None) == []
    assert _allowed(merge(None, _said(timezone="Asia/Tokyo"))) == []


def test_a_shop_may_assume_a_consent_that_nobody_refused():
    assert _allowed(None, assume_consent=("coupon",)) == ["coupon"]
    assert _allowed(merge(None, _said(consent=Consent(onsite=False))), assume_consent=("coupon",)) == []
    assert _allowed(merge(None, _said(consent=Consent(email=True))), assume_consent=()) == ["email"]


def _said(**told: Any) -> ProfileChange:
    return ProfileChange(event_id="e", user_id="anna", ts=1, **told)


def test_a_real_profile_says_where_its_customer_may_be_reached():
    profile = merge(None, _said(consent=Consent(sms=True, onsite=False), timezone="Asia/Tokyo"))

    assert _allowed(profile) == ["sms"]
    assert _plan("sms", profile).at == NOON + 12 * 3_600_000


def _plan(channel: str, profile: Any, now: int = NOON, **changes: Any) -> Plan:
    plan = policy(**changes).plan(BY_CHANNEL[channel], view(profile=profile), now)
    assert plan is not None
    return plan


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus"])
def test_where_the_customers_zone_is_unknown_the_shops_tells_when_it_is_night(zone: str | None):
    unknown = Consents(timezone=zone)

    assert _plan("call", unknown, timezone="Asia/Tokyo").timezone == "Asia/Tokyo"
    assert _plan("call", unknown, timezone="Asia/Tokyo").at == NOON + 12 * 3_600_000
    assert policy().plan(BY_CHANNEL["call"], view(profile=unknown), NOON) is None
    assert _plan("email", unknown).at == NOON


@pytest.mark.parametrize(
    ("mean", "micros"), [(50.0, 5_000_000), (float("nan"), 0), (-3.0, 0), (float("inf"), 0)]
)
def test_a_coupon_costs_its_discount_on_a_mean_order(mean: float, micros: int):
    assert BY_CHANNEL["coupon"].cost_micros(mean) == micros


def test_only_audible_actions_wait_for_the_morning():
    email = _plan("email", Consents(), NIGHT)
    call = _plan("call", Consents(), NIGHT)

    assert email.at == NIGHT
    assert call.at == NIGHT + 9 * 3_600_000
    assert call.expires_at == call.at + 3 * DAY_MS


def test_the_customers_time_zone_tells_when_it_is_night():
    assert _plan("sms", Consents(timezone="America/New_York"), NIGHT).at == NIGHT  # 19:00 there


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"holdout_share": 1.0}, "holdout_share"),
        ({"exploration": -0.1}, "exploration"),
        ({"quiet_end": 24}, "quiet hours"),
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"daily_budget_micros": -1}, "daily_budget"),
        ({"offerings": OFFERINGS[:1]}, "no offering for email"),
        ({"offerings": OFFERINGS + OFFERINGS[:1]}, "share a channel"),
        ({"rules": (Rule("high", "low", ()), Rule("high", "low", ()))}, "two rules"),
    ],
)
def test_a_policy_that_contradicts_itself_is_rejected(changes: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        PolicyConfig(**changes)


def test_a_policy_can_be_told_as_plain_data():
    assert msgspec.convert(msgspec.to_builtins(policy()), PolicyConfig) == policy()


@pytest.mark.parametrize("tier", ["medium", "high", "critical"])
@pytest.mark.parametrize("band", ["low", "high"])
def test_every_tier_and_band_has_a_rule(tier: Tier, band: Band):
    assert [rule for rule in policy().rules if (rule.tier, rule.band) == (tier, band)]
