"""One example of every message, as values of the types: what the contracts show and tests decode."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from features import events as e
from features.catalogue import BY_NAME, NAMES
from features.inputs import EVENT_TYPES
from features.wording import LANGUAGES
from interventions.commands import Command, Decision, command_id
from models.alerts import Alert, ModelRef, Reason, TierLevels, alert_id
from streams.audit import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

    from features.fields import Channel
    from models.marks import Mark

DAY_MS: Final = 86_400_000
#: 2026-03-02T00:00:00Z, a decision time.
DECIDED: Final = 1_772_409_600_000

#: When it was decided upon: a day later, when the allowed lateness was over; 10:30 in Berlin.
_NOW: Final = DECIDED + DAY_MS + 34_200_000

_USER: Final = "c-1001"
_ORDER: Final = "o-70231"
_ALERT: Final = alert_id(_USER, "episode", str(DECIDED))
_MODEL: Final = ModelRef(name="logistic", version=412)
_COMMAND: Final = command_id(_ALERT, "email", "live")
_COUPON: Final = command_id(_ALERT, "coupon", "live")


_CLICK: Final[dict[str, Any]] = {"user_id": _USER, "session_id": "s-88", "device": "mobile"}
_ITEM: Final[dict[str, Any]] = {"item_id": "sku-3317", "item_category": "shoes", "price": 79.9}
_T: Final = DECIDED - 94 * DAY_MS

_EVENTS: Final[tuple[e.Event, ...]] = (
    e.PageView(event_id="k-1", ts=_T, dwell_ms=5300, **_CLICK),
    e.Search(event_id="k-2", ts=_T + 9_000, query="running shoes", **_CLICK),
    e.ViewItem(event_id="k-3", ts=_T + 21_000, dwell_ms=18_200, **_ITEM, **_CLICK),
    e.AddToCart(event_id="k-4", ts=_T + 43_000, quantity=1, **_ITEM, **_CLICK),
    e.RemoveFromCart(event_id="k-5", ts=_T + 51_000, quantity=1, **_ITEM, **_CLICK),
    e.AddToWishlist(event_id="k-6", ts=_T + 56_000, **_ITEM, **_CLICK),
    e.BeginCheckout(event_id="k-7", ts=_T + 80_000, **_CLICK),
    e.Login(event_id="k-8", ts=_T + 85_000, **_CLICK),
    e.Purchase(
        event_id="p-1",
        user_id=_USER,
        ts=_T + 120_000,
        transaction_id=_ORDER,
        value=74.9,
        currency="EUR",
        coupon="SPRING5",
        items=(e.Item(item_id="sku-3317", item_category="shoes", price=79.9, quantity=1),),
    ),
    e.Delivery(event_id="d-1", user_id=_USER, ts=_T + 5 * DAY_MS, transaction_id=_ORDER, late_days=2),
    e.Refund(
        event_id="r-1", user_id=_USER, ts=_T + 9 * DAY_MS, transaction_id=_ORDER, value=74.9, currency="EUR"
    ),
    e.Cancel(event_id="x-1", user_id=_USER, ts=_T + 3_600_000, transaction_id="o-70232"),
    e.Review(
        event_id="v-1",
        user_id=_USER,
        ts=_T + 8 * DAY_MS,
        rating=2,
        text="Too narrow, and two days late.",
        item_id="sku-3317",
        language="en",
    ),
    e.Survey(event_id="n-1", user_id=_USER, ts=_T + 10 * DAY_MS, score=3, text="Returns take too long."),
    e.Support(event_id="t-1", user_id=_USER, ts=_T + 6 * DAY_MS, text="Where is my parcel?", channel="chat"),
    e.ProfileChange(
        event_id="c-1",
        user_id=_USER,
        ts=_T - 400 * DAY_MS,
        consent=e.Consent(email=True, sms=False, onsite=True),
        timezone="Europe/Berlin",
        locale="de-DE",
        tier="silver",
        attributes={"age_band": "30-39"},
    ),
    e.Erasure(event_id="c-2", user_id="c-0007", ts=DECIDED),
    e.Delivered(event_id="g-1", user_id=_USER, ts=_NOW + 60_000, command_id=_COMMAND, channel="email"),
    e.Opened(event_id="g-2", user_id=_USER, ts=_NOW + 3_600_000, command_id=_COMMAND, channel="email"),
    e.Clicked(event_id="g-3", user_id=_USER, ts=_NOW + 3_640_000, command_id=_COMMAND, channel="email"),
    e.Redeemed(event_id="g-4", user_id=_USER, ts=_NOW + DAY_MS, command_id=_COUPON, channel="coupon"),
    e.Unsubscribed(event_id="g-5", user_id=_USER, ts=_NOW + DAY_MS, command_id=_COMMAND, channel="email"),
    e.Complained(event_id="g-6", user_id=_USER, ts=_NOW + DAY_MS, command_id=_COMMAND),
    e.Replied(event_id="g-7", user_id=_USER, ts=_NOW + DAY_MS, command_id=_COMMAND, channel="email"),
)

#: What is known of the alert's customer: bought every 30 days, and not for 94.
_RAW: Final = dict.fromkeys(NAMES, math.nan) | {
    "days_since_purchase": 94.0,
    "gap_mean": 30.0,
    "spend_trend": -1.23787,
    "late_delivery_share": 0.5,
}


def _reason(feature: str, contribution: float) -> Reason:
    english, chinese = (LANGUAGES[language].tell(feature, _RAW) for language in ("en", "zh"))
    return Reason(
        feature=feature,
        value=_RAW[feature],
        contribution=contribution,
        theme=BY_NAME[feature].theme,
        text=english,
        texts={"zh": chinese},
    )


_ALERTS: Final = Alert(
    alert_id=_ALERT,
    kind="episode",
    status="opened",
    user_id=_USER,
    ts=DECIDED,
    probability=0.912345,
    tier="high",
    reasons=(
        _reason("days_since_purchase", 0.84),
        _reason("spend_trend", 0.52),
        _reason("late_delivery_share", 0.13),
    ),
    model=_MODEL,
    horizon_days=60,
    thresholds=TierLevels(medium=0.781306, high=0.874078, critical=0.930867),
    mark="live",
)

_DECISIONS: Final = (
    Decision(
        alert_id=_ALERT,
        status="opened",
        user_id=_USER,
        ts=DECIDED,
        tier="high",
        probability=0.912345,
        model=_MODEL,
        policy="tier-value",
        arm="policy",
        holdout_share=0.1,
        action="email",
        propensity=1.0,
        intended="email",
        cost=0.002,
        mark="live",
        command_id=_COMMAND,
    ),
    Decision(
        alert_id=alert_id("c-1002", "episode", str(DECIDED)),
        status="opened",
        user_id="c-1002",
        ts=DECIDED,
        tier="medium",
        probability=0.834501,
        model=_MODEL,
        policy="tier-value",
        arm="holdout",
        holdout_share=0.1,
        action="none",
        propensity=1.0,
        intended="email",
        cost=0.0,
        mark="live",
        withheld="holdout",
    ),
)


_ENTRY: Final = Entry(
    kind="mode",
    ts=_NOW,
    before="shadow",
    after="live",
    group="churnwatch",
    worker="worker-0",
    host="shop-7",
    os_user="churnwatch",
    kafka_user="churnwatch-worker",
    text="SENDS REAL COMMANDS: mode live; coupon, on commands.coupon",
)


def _command(
    channel: Channel, offer: str, template: str, days: int, *, mark: Mark = "live", audible: bool = False
) -> Command:
    return Command(
        command_id=command_id(_ALERT, channel, mark),
        alert_id=_ALERT,
        user_id=_USER,
        ts=DECIDED,
        channel=channel,
        offer=offer,
        template=template,
        not_before=_NOW,
        expires_at=_NOW + days * DAY_MS,
        mark=mark,
        quiet_from=21 if audible else None,
        quiet_until=9 if audible else None,
        timezone="Europe/Berlin" if audible else None,
        locale="de-DE",
    )


#: Examples by logical topic: every event type of an input, every type of message of an output in JSON.
EXAMPLES: Final[Mapping[str, tuple[msgspec.Struct, ...]]] = {
    **{
        topic: tuple(event for kind in kinds for event in _EVENTS if type(event) is kind)
        for topic, kinds in EVENT_TYPES.items()
    },
    "churn-alerts": (_ALERTS,),
    "decisions": _DECISIONS,
    "audit": (_ENTRY,),
    "commands.coupon": (_command("coupon", "percent-10", "onsite-coupon", 14),),
    "commands.email": (_command("email", "none", "we-miss-you", 3),),
    "commands.sms": (_command("sms", "free-shipping", "short-reminder", 1, audible=True),),
    "commands.call": (_command("call", "personal", "retention-call", 3, audible=True),),
    "commands.coupon.shadow": (_command("coupon", "percent-10", "onsite-coupon", 14, mark="shadow"),),
    "commands.email.shadow": (_command("email", "none", "we-miss-you", 3, mark="shadow"),),
    "commands.sms.shadow": (
        _command("sms", "free-shipping", "short-reminder", 1, mark="rehearsal", audible=True),
    ),
    "commands.call.shadow": (_command("call", "personal", "retention-call", 3, mark="shadow", audible=True),),
}
