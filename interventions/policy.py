"""The policy: which actions suit which customers, what they cost, and which are admitted now."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import msgspec

from features.fields import Channel
from features.profile import Profile
from interventions.caps import DAY_MS, Caps
from interventions.quiet import earliest, is_zone
from models.alerts import Tier

_NOTHING_SAID: Final = Profile()

#: A customer's value: recent spend against `PolicyConfig.high_value`.
Band = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class CustomerView:
    """What the policy may know of a customer at the moment of deciding.

    `user_hash` is the salted 64-bit hash of the user id; `profile` is None for a customer without one.
    `recent_spend` is money spent, decayed with a half-life of 90 days. Money is in currency units and may
    be NaN where nothing is known. `erased_at` (epoch ms) tells of an erasure that the customers' table has
    taken and the ledger may not have heard of: without it the profile is gone, and a refusal with it.
    """

    user_hash: int
    profile: Profile | None
    mean_order_value: float
    recent_spend: float
    erased_at: int | None = None


class Offering(msgspec.Struct, frozen=True, kw_only=True):
    """One channel's action: what is offered, what it costs and how often it may be repeated."""

    channel: Channel
    offer: str
    template: str
    #: Cost of one contact in micros, without the discount.
    unit_cost_micros: int
    #: Share of a mean order given away; charged as if it were always redeemed.
    discount: float = 0.0
    #: How long the command stays valid.
    ttl_days: int
    #: Contacts of this channel per customer within `Caps.window_days`.
    cap: int
    #: Whether quiet hours apply: the contact makes a noise.
    audible: bool = False

    def cost_micros(self, mean_order_value: float) -> int:
        """What the action costs for a customer with this mean order; unknown means is 0."""
        known = math.isfinite(mean_order_value) and mean_order_value > 0
        return self.unit_cost_micros + (round(self.discount * mean_order_value * 1e6) if known else 0)


class Rule(msgspec.Struct, frozen=True):
    """The actions for a tier and a value band, the most preferred first."""

    tier: Tier
    band: Band
    actions: tuple[Channel, ...]


OFFERINGS = (
    Offering(
        channel="coupon",
        offer="percent-10",
        template="onsite-coupon",
        unit_cost_micros=0,
        discount=0.10,
        ttl_days=14,
        cap=1,
    ),
    Offering(
        channel="email", offer="none", template="we-miss-you", unit_cost_micros=2_000, ttl_days=3, cap=2
    ),
    Offering(
        channel="sms",
        offer="free-shipping",
        template="short-reminder",
        unit_cost_micros=80_000,
        ttl_days=1,
        cap=1,
        audible=True,
    ),
    Offering(
        channel="call",
        offer="personal",
        template="retention-call",
        unit_cost_micros=4_000_000,
        ttl_days=3,
        cap=1,
        audible=True,
    ),
)

#: The dearer the customer and the higher the risk, the more personal; then what needs less consent.
RULES = (
    Rule("medium", "low", ("email",)),
    Rule("medium", "high", ("email", "coupon")),
    Rule("high", "low", ("coupon", "email")),
    Rule("high", "high", ("email", "coupon")),
    Rule("critical", "low", ("sms", "coupon", "email")),
    Rule("critical", "high", ("call", "sms", "email", "coupon")),
)


class PolicyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the policy can be told; raises ValueError when it contradicts itself."""

    name: str = "tier-value"
    offerings: tuple[Offering, ...] = OFFERINGS
    rules: tuple[Rule, ...] = RULES
    #: Recent spend (half-life 90 days) from which a customer is of high value; currency units.
    high_value: float = 200.0
    caps: Caps = Caps()
    #: Share of customers never treated.
    holdout_share: float = 0.10
    #: Probability of drawing evenly among the admitted actions and "none".
    exploration: float = 0.0
    #: Local hours [start, end) without audible contacts.
    quiet_start: int = 21
    quiet_end: int = 9
    #: Zone (IANA) of customers of whom none is known; without one they get no audible contacts.
    timezone: str | None = None
    #: Channels allowed to customers who said nothing about them.
    assume_consent: tuple[Channel, ...] = ()
    #: Cost of all commands of a UTC day over all partitions, micros.
    daily_budget_micros: int = 500_000_000
    #: Days for which an alert that the budget had nothing left for is decided again at each decision time.
    retry_days: int = 14
    #: Days after which the ledger forgets a customer of whom it heard nothing.
    forget_after_days: int = 730

    def __post_init__(self) -> None:
        _require(0 <= self.holdout_share < 1, "holdout_share lies outside [0, 1)")
        _require(0 <= self.exploration <= 1, "exploration lies outside [0, 1]")
        _require(0 <= self.quiet_start < 24 and 0 <= self.quiet_end < 24, "quiet hours lie outside 0-23")
        _require(self.daily_budget_micros >= 0, "daily_budget_micros is negative")
        _require(self.forget_after_days >= 0, "forget_after_days is negative")
        _require(self.retry_days >= 0, "retry_days is negative")
        _require(self.timezone is None or is_zone(self.timezone), f"{self.timezone} is no time zone")
        known = [offering.channel for offering in self.offerings]
        _require(len(known) == len(set(known)), "two offerings share a channel")
        for offering in self.offerings:
            _require(offering.unit_cost_micros >= 0, f"{offering.channel} has a negative cost")
            _require(offering.discount >= 0, f"{offering.channel} has a negative discount")
            _require(offering.ttl_days > 0, f"{offering.channel} expires at once")
        cells = [(rule.tier, rule.band) for rule in self.rules]
        _require(len(cells) == len(set(cells)), "two rules share a tier and a band")
        for rule in self.rules:
            missing = set(rule.actions) - set(known)
            _require(not missing, f"no offering for {', '.join(sorted(missing))}")

    @property
    def forget_after_ms(self) -> int:
        """Never before the caps have forgotten every contact."""
        return max(self.forget_after_days * DAY_MS, 2 * self.caps.span_ms)

    def preferred(self, tier: Tier, view: CustomerView) -> list[Offering]:
        """The offerings for a customer of this tier, the most preferred first."""
        # An unknown value (NaN) compares as low.
        band: Band = "high" if view.recent_spend >= self.high_value else "low"
        by_channel = {offering.channel: offering for offering in self.offerings}
        return [
            by_channel[action]
            for rule in self.rules
            if (rule.tier, rule.band) == (tier, band)
            for action in rule.actions
        ]

    def longest_life_ms(self, offering: Offering) -> int:
        """How long after its decision a command is valid at most: quiet hours put it off by up to a day."""
        return DAY_MS * (offering.ttl_days + offering.audible)

    def plan(self, offering: Offering, view: CustomerView, now: int) -> Plan | None:
        """When and at what cost an offering decided upon at `now` (epoch ms) would reach a customer.

        None for an audible one where nobody knows the customer's time of day.
        """
        at, timezone = now, None
        if offering.audible:
            timezone = self._timezone(view.profile)
            if timezone is None:
                return None
            at = earliest(now, timezone, self.quiet_start, self.quiet_end)
        expires_at = at + DAY_MS * offering.ttl_days
        return Plan(offering, at, expires_at, offering.cost_micros(view.mean_order_value), timezone)

    def _timezone(self, profile: Profile | None) -> str | None:
        """The customer's own zone if there is such a zone, or the shop's."""
        own = (profile or _NOTHING_SAID).timezone
        return own if own is not None and is_zone(own) else self.timezone

    def has_consent(self, profile: Profile | None, channel: Channel) -> bool:
        """Whether a channel may be used; a customer without a profile has said nothing."""
        said = (profile or _NOTHING_SAID).consent(channel)
        return channel in self.assume_consent if said is None else said


class Plan(NamedTuple):
    """An offering made concrete: not before `at`, not from `expires_at` on (epoch ms), its cost.

    `timezone` is that of the quiet hours; None where there are none.
    """

    offering: Offering
    at: int
    expires_at: int
    cost_micros: int
    timezone: str | None = None


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(f"policy: {otherwise}")
