"""What commands must keep to: holdout, consent, caps and budgets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.storm.counts import values
from tests.storm.truth import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.storm.counts import Verdict
    from tests.storm.said import Said
    from tests.storm.truth import Truth


@dataclass(frozen=True)
class Limits:
    """What commands must keep to, as the policy was told."""

    daily_budget: float
    cool_down_days: int = 14
    window_days: int = 30
    total: int = 2
    of_a_channel: Mapping[str, int] = field(
        default_factory=lambda: {"coupon": 1, "email": 2, "sms": 1, "call": 1}
    )


def check_limits(truth: Truth, said: Said, limits: Limits, verdict: Verdict) -> None:
    """Note every command, and every spending, that should not have been."""
    commands = values(said.commands)
    verdict.note("commands_forbidden", [c for c in commands if truth.is_held_out(c["user_id"])])
    verdict.note(
        "commands_forbidden",
        [
            command
            for command in commands
            if not truth.may_contact(
                command["user_id"], command["channel"], command["ts"], said.written[command["command_id"]]
            )
        ],
    )
    # Each mark has a budget and caps of its own.
    spent: Counter[tuple[int, str]] = Counter()
    last: dict[tuple[int, str], str] = {}
    for decision in sorted(values(said.decisions), key=_paid_at):
        day = _paid_at(decision) // DAY_MS, decision["mark"]
        spent[day] += round(decision["cost"] * 1e6)
        last[day] = decision["user_id"]
    over = [(last[day], *day, micros) for day, micros in spent.items() if micros > limits.daily_budget * 1e6]
    verdict.note("budgets_exceeded", over)
    contacts: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for command in commands:
        book = contacts.setdefault((command["user_id"], command["mark"]), [])
        book.append((command["not_before"], command["channel"]))
    crowded = [(*of, each) for of, each in contacts.items() if not _keeps_caps(sorted(each), limits)]
    verdict.note("caps_exceeded", crowded)


def _paid_at(decision: dict[str, Any]) -> int:
    """The decision time whose day pays: a later one if the budget had nothing left before."""
    paid: int = decision.get("retried_at", decision["ts"])
    return paid


def _keeps_caps(contacts: list[tuple[int, str]], limits: Limits) -> bool:
    times = [at for at, _ in contacts]
    if any(b - a < limits.cool_down_days * DAY_MS for a, b in pairwise(times)):
        return False
    for i, start in enumerate(times):
        near = [channel for at, channel in contacts[i:] if at - start < limits.window_days * DAY_MS]
        if len(near) > limits.total:
            return False
        if any(count > limits.of_a_channel[channel] for channel, count in Counter(near).items()):
            return False
    return True
