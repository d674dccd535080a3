"""Decisions and commands: what the `decisions` and `commands.*` topics carry."""

from __future__ import annotations

from typing import Literal

import msgspec
import xxhash

from features.fields import Channel
from models.alerts import ModelRef, Status, Tier

#: What was done: one channel, or nothing.
Action = Literal["none", "coupon", "email", "sms", "call"]

#: Customers are left alone at random (`holdout`) or treated as the policy says.
Arm = Literal["policy", "holdout"]

#: Why nothing was sent. With several actions refused, the reason of the most preferred one.
Withheld = Literal[
    "holdout",  # the customer is never treated
    "no_action",  # the policy's table has nothing for this tier and value
    "no_consent",  # the channel is not allowed, or nobody knows whether it is
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
    #: True for replayed history: nothing real may follow.
    dry_run: bool
    withheld: Withheld | None = None
    #: The command that carries the action out.
    command_id: str | None = None
    #: P(churn | untreated) - P(churn | treated); absent while nothing estimates it.
    uplift: float | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One contact to carry out: all the gateway needs but contact data.

    Gateways dedupe by `command_id`, keep to `not_before` <= now < `expires_at` (epoch milliseconds)
    and never deliver when `dry_run` is true.
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
    #: True for replayed history.
    dry_run: bool
    #: The customer's language (BCP 47) as the shop gave it; absent when unknown.
    locale: str | None = None


def command_id(alert_id: str, action: Action) -> str:
    """Identity of a command: 128-bit hash of alert and action as 32 hex digits.

    An episode that escalates keeps its alert id, so one action is carried out at most once in it.

    >>> command_id("717600f142a4b8ce9fadee77ce88383a", "email")
    '376c07e3d18e3333bd43e3930110fbba'
    """
    parts = (alert_id.encode(), action.encode())
    return xxhash.xxh3_128_hexdigest(b"".join(len(part).to_bytes(4, "big") + part for part in parts))


def command_topic(channel: Channel) -> str:
    """Logical name of the topic that carries a channel's commands.

    >>> command_topic("sms")
    'commands.sms'
    """
    return f"commands.{channel}"
