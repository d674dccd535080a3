"""Alerts and customers for the tests of interventions, by hand and drawn by Hypothesis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from features.hashing import salted_hash
from interventions.caps import DAY_MS, Caps
from interventions.policy import OFFERINGS, CustomerView, PolicyConfig
from models.alerts import Alert, Kind, ModelRef, Status, Tier, alert_id
from models.marks import Mark  # noqa: TC001 - with the others

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

#: 2026-03-02 12:00 UTC, a Monday.
NOON = 1_772_452_800_000

#: With the salt of `view`, dora is held out at the default share, the others are not.
USERS = ("anna", "ben", "dora")


@dataclass(frozen=True)
class Consents:
    """A profile reduced to what the policy asks of it."""

    channels: frozenset[str] = frozenset({"coupon", "email", "sms", "call"})
    timezone: str | None = "UTC"
    locale: str | None = None

    def consent(self, channel: str) -> bool:
        return channel in self.channels


#: A customer who agreed to everything.
AGREED = Consents()


def view(user: str = "anna", profile: Any = AGREED, money: float = 500.0, order: float = 50.0):
    return CustomerView(salted_hash(user, "salt"), profile, order, money)


def alert(
    user: str = "anna",
    origin: str = "1",
    status: Status = "opened",
    tier: Tier = "high",
    ts: int = NOON,
    *,
    kind: Kind = "episode",
    mark: Mark = "live",
):
    return Alert(
        alert_id=alert_id(user, kind, origin, mark),
        kind=kind,
        status=status,
        user_id=user,
        ts=ts,
        probability=0.8,
        tier=tier,
        reasons=(),
        model=ModelRef(name="logistic", version=3),
        horizon_days=60,
        mark=mark,
    )


def policy(**changes: Any):
    """The default policy with nobody held out, so that a test sees the rule it is about."""
    return PolicyConfig(**{"holdout_share": 0.0, **changes})


@st.composite
def alert_logs(draw: DrawFn, max_size: int = 14):
    """A topic partition's log: (offset, alert), times mostly rising but not always, some resolved."""
    log, origins, now = [], dict.fromkeys(USERS, 0), NOON
    for offset in range(draw(st.integers(1, max_size))):
        user = draw(st.sampled_from(USERS))
        status = draw(st.sampled_from(["opened", "opened", "escalated", "resolved"]))
        origins[user] += status == "opened"
        now += draw(st.sampled_from([0, 0, 1, 1, 3, 12, 40, -1, -9, -70])) * DAY_MS // 2
        tier = draw(st.sampled_from(["medium", "high", "critical"]))
        mark = draw(st.sampled_from(["live", "live", "live", "shadow", "rehearsal"]))
        log.append((offset, alert(user, str(origins[user]), status, tier, now, mark=mark)))
    return log


@st.composite
def views(draw: DrawFn):
    """Every user's view: some channels allowed, or no profile at all; some values unknown."""
    channels = st.sets(st.sampled_from(["coupon", "email", "sms", "call"])).map(frozenset)
    zones = st.sampled_from([None, "Asia/Tokyo", "America/New_York", "Mars/Olympus"])
    profiles = st.one_of(st.none(), st.builds(Consents, channels, zones))
    money = st.sampled_from([0.0, 500.0, float("nan")])
    return {user: view(user, draw(profiles), draw(money), draw(money)) for user in USERS}


@st.composite
def policies(draw: DrawFn):
    """Tight and loose caps, budgets that run out within a few contacts, holdout and exploration."""
    days = st.integers(0, 20)
    return PolicyConfig(
        offerings=OFFERINGS,
        caps=Caps(cool_down_days=draw(days), window_days=draw(days) + 10, total=draw(st.integers(0, 4))),
        holdout_share=draw(st.sampled_from([0.0, 0.4])),
        exploration=draw(st.sampled_from([0.0, 0.5])),
        daily_budget_micros=draw(st.sampled_from([0, 3_000, 90_000, 5_000_000, 500_000_000])),
    )
