"""Decisions and commands: what the `decisions` and `commands.*` topics carry."""

from __future__ import annotations

from typing import Literal

import msgspec
import xxhash

from features.fields import Channel
from models.alerts import ModelRef, Status, Tier
from models.marks import Mark

#: What was done: one channel, or nothing.
Action = Literal["none", "coupon", "email", "sms", "call"]

#: Customers are left alone at random (`holdout`) or treated as the policy says.
Arm = Literal["policy", "holdout"]

#: Why nothing was sent. With several actions refused, the reason of the most preferred one.
Withheld = Literal[
    "holdout",  # the customer is never treated
    "no_action",  # the policy's table has nothing for this tier and value
    "no_consent",  # the channel is not allowed, or nobody knows whether it is
    "no_timezone",  # the contact makes a noise, and nobody knows what time it is there
    "already_sent",  # this action was commanded for this alert before
    "cool_down",  # another contact is too close
    "channel_cap",  # enough contacts of this channel within the window
    "global_cap",  # enough contacts of any channel within the window
    "out_of_order",  # so far before the newest contact that caps cannot be judged
    "budget",  # the partition's share of the day is spent
    "budget_closed",  # the alert's day lies too far back to be charged
    "explored",  # exploration drew "none" although an action was admitted
]


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided about one alert, also when that is nothing.

    `propensity` is P(action | arm, this alert, this customer's ledger and the budget left at this
    moment): the randomness of exploration alone. The arm is drawn once per customer, before and
    independent of everything else, with P(holdout) = `holdout_share`. So an estimator that weights
    treated against held-out customers uses (1 - holdout_share) x propensity and holdout_share x 1.
    """

    alert_id: str
    status: Status
    user_id: str
    #: The alert's time, epoch milliseconds.
    ts: int
    tier: Tier
    probability: float
    model: ModelRef
    #: Name of the policy that decided.
    policy: str
    arm: Arm
    holdout_share: float
    action: Action
    propensity: float
    #: What the policy prefers among the admitted actions, exploration and holdout put aside: the same
    #: question answered for both arms, so that like is compared with like.
    intended: Action
    #: Cost of the action, a coupon's discount on a mean order included; currency units, 0 for "none".
    cost: float
    #: What may follow from it: nothing from `shadow` and `rehearsal`.
    mark: Mark
    withheld: Withheld | None = None
    #: When an alert that the budget had nothing left for is decided again: the later decision time, whose day
    #: pays for it, epoch milliseconds. Absent from the first decision about an alert.
    retried_at: int | None = None
    #: The command that carries the action out.
    command_id: str | None = None
    #: P(churn | untreated) - P(churn | treated); absent while nothing estimates it.
    uplift: float | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One contact to carry out: all the gateway needs but contact data.

    Gateways dedupe by `command_id`, keep to `not_before` <= now < `expires_at` (epoch milliseconds), keep out
    of the quiet hours where there are any, and deliver nothing that is not marked `live`.
    """

    command_id: str
    alert_id: str
    user_id: str
    #: The alert's time, epoch milliseconds.
    ts: int
    channel: Channel
    offer: str
    template: str
    not_before: int
    expires_at: int
    #: `live` on the topics of gateways; `shadow` or `rehearsal` on those beside them.
    mark: Mark
    #: Local hour from which on this contact would disturb, over midnight; absent when it makes no noise.
    quiet_from: int | None = None
    #: Local hour from which on it may be made again.
    quiet_until: int | None = None
    #: Zone of the quiet hours (IANA): the customer's, or the shop's where that is unknown.
    timezone: str | None = None
    #: The customer's language (BCP 47) as the shop gave it; absent when unknown.
    locale: str | None = None


def command_id(alert_id: str, action: Action, mark: Mark) -> str:
    """Identity of a command: 128-bit hash of alert and action as 32 hex digits, after its mark unless live.

    An episode that escalates keeps its alert id, so one action is carried out at most once in it. What an
    outcome tells of a command that was not to be sent is known by its id (`models.marks.mark_of_command`).

    >>> command_id("717600f142a4b8ce9fadee77ce88383a", "email", "live")
    '376c07e3d18e3333bd43e3930110fbba'
    >>> command_id("717600f142a4b8ce9fadee77ce88383a", "email", "shadow")
    'shadow-376c07e3d18e3333bd43e3930110fbba'
    """
    parts = (alert_id.encode(), action.encode())
    identity = xxhash.xxh3_128_hexdigest(b"".join(len(part).to_bytes(4, "big") + part for part in parts))
    return identity if mark == "live" else f"{mark}-{identity}"


def command_topic(channel: Channel, mark: Mark) -> str:
    """Logical name of the topic that carries a channel's commands: one for what is sent, one for the rest.

    >>> command_topic("sms", "live"), command_topic("sms", "rehearsal")
    ('commands.sms', 'commands.sms.shadow')
    """
    return f"commands.{channel}" if mark == "live" else f"commands.{channel}.shadow"
