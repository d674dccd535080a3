"""Randomness that can be repeated: who is held out, when the policy explores, how likely each was."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from features.hashing import unit_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interventions.commands import Action


class Choice(NamedTuple):
    """An action and the probability with which exactly this one was to be drawn."""

    action: Action
    propensity: float


def is_held_out(user_hash: int, share: float) -> bool:
    """Whether a customer is never treated: fixed per customer as long as salt and share stay.

    `user_hash` is the salted 64-bit hash of the user id. A larger share keeps those already held out.
    """
    return unit_interval(user_hash, "holdout") < share


def choose(admitted: Sequence[Action], exploration: float, draw: float) -> Choice:
    """Take the first of `admitted`, or with probability `exploration` any of them or "none", evenly.

    `draw` is uniform in [0, 1). The propensity is (1 - exploration)·[first] + exploration/(n + 1).
    With nothing admitted "none" is certain.

    >>> choose(["email", "coupon"], 0.3, draw=0.25)
    Choice(action='none', propensity=0.1)
    >>> choose(["email", "coupon"], 0.3, draw=0.9)
    Choice(action='email', propensity=0.8)
    """
    arms: list[Action] = [*admitted, "none"]
    uniform = exploration / len(arms)
    # Where the draw falls below `exploration` it is still uniform there, so one draw serves for both.
    action = arms[int(draw / exploration * len(arms))] if draw < exploration else arms[0]
    chance = uniform + (1 - exploration) * (action == arms[0])
    return Choice(action, round(chance, 6))


def exploration_draw(user_hash: int, alert_id: str, occasion: str) -> float:
    """The uniform draw of one decision: the same whenever and wherever it is taken again."""
    return unit_interval(user_hash, f"explore/{alert_id}/{occasion}")
