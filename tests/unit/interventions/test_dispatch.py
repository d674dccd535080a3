from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ledger_strategies import NOON, Consents, alert, policy, view

from interventions.budget import DailyBudget
from interventions.caps import DAY_MS, Contact
from interventions.commands import command_id
from interventions.dispatch import Case, Verdict, close, decide, remember
from interventions.rows import LedgerRow

ALL = frozenset({"coupon", "email", "sms", "call"})


def _decided(row: LedgerRow | None = None, share: int = 10**12, **about: Any) -> Verdict:
    rules = about.pop("rules", policy())
    seen = about.pop("view", view())
    budget = about.pop("budget", DailyBudget())
    now = about.pop("now", None)
    entry = alert(**about)
    now = entry.ts if now is None else now
    return decide(
        Case(entry, seen, row or LedgerRow(), entry.mark, now, budget, entry.ts // DAY_MS, share, rules)
    )


def test_the_most_preferred_action_becomes_a_command():
    verdict = _decided(tier="critical")

    command = verdict.command
    assert command is not None
    assert (command.channel, command.not_before, command.expires_at) == ("call", NOON, NOON + 3 * DAY_MS)
    assert command.command_id == verdict.decision.command_id == command_id(command.alert_id, "call", "live")
    assert (verdict.decision.cost, verdict.cost_micros) == (4.0, 4_000_000)


@pytest.mark.parametrize(
    ("channels", "chosen"),
    [(ALL, "call"), (ALL - {"call"}, "sms"), ({"email", "coupon"}, "email"), ({"coupon"}, "coupon")],
)
def test_what_is_not_allowed_gives_way_to_the_next_action(channels: frozenset[str], chosen: str):
    assert (
        _decided(tier="critical", view=view(profile=Consents(frozenset(channels)))).decision.action == chosen
    )


def test_with_everything_refused_the_first_reason_is_told():
    verdict = _decided(tier="medium", view=view(profile=None), share=0)

    assert verdict.command is None
    assert verdict.decision.withheld == "no_consent"  # the coupon, second, fails on the budget


def test_an_action_too_dear_for_the_day_gives_way_to_a_cheaper_one():
    assert _decided(tier="critical", share=100_000).decision.action == "sms"


def test_a_recent_contact_withholds_every_action():
    row = LedgerRow(contacts=[Contact(NOON - DAY_MS, "coupon", "", mark="live")])

    assert _decided(row).decision.withheld == "cool_down"


def test_a_rehearsed_contact_does_not_withhold_a_live_one():
    row = LedgerRow(contacts=[Contact(NOON - DAY_MS, "coupon", "", mark="rehearsal")])

    assert _decided(row).command is not None
    assert _decided(row, mark="rehearsal").decision.withheld == "cool_down"


def test_an_escalation_never_repeats_an_action_of_its_episode():
    row, config = LedgerRow(), policy()
    opened = alert(tier="high")
    remember(row, opened, _decided(row, tier="high"), config)
    later = _decided(row, tier="critical", status="escalated", ts=NOON + 20 * DAY_MS, view=_only("email"))

    assert later.decision.withheld == "no_consent"
    high_again = _decided(row, tier="high", status="escalated", ts=NOON + 90 * DAY_MS, view=_only("email"))
    assert high_again.decision.withheld == "already_sent"


def test_a_tier_without_actions_is_withheld_as_such():
    assert _decided(tier="none").decision.withheld == "no_action"


def test_a_rehearsal_marks_decision_and_command():
    verdict = _decided(mark="rehearsal")

    assert verdict.command is not None
    assert verdict.command.mark == verdict.decision.mark == "rehearsal"


def test_a_held_out_customer_is_told_apart_but_never_commanded():
    verdict = _decided(user="dora", view=view("dora"), rules=policy(holdout_share=0.1))

    decision = verdict.decision
    assert verdict.command is None
    assert (decision.arm, decision.withheld, decision.action) == ("holdout", "holdout", "none")
    assert (decision.propensity, decision.holdout_share) == (1.0, 0.1)
    assert decision.intended == "email"
    assert verdict.cost_micros == 0


def test_a_held_out_customer_runs_into_the_same_caps():
    row, config = LedgerRow(), policy(holdout_share=0.1)
    verdict = _decided(row, user="dora", view=view("dora"), rules=config)
    remember(row, alert(user="dora"), verdict, config)
    next_day = _decided(
        row, user="dora", view=view("dora"), rules=config, origin="2", ts=NOON + DAY_MS
    ).decision

    assert (next_day.withheld, next_day.intended) == ("holdout", "none")


def test_exploration_logs_how_likely_its_action_was():
    config = policy(exploration=1.0)
    found = {
        (d.action, d.withheld, d.propensity)
        for d in (_decided(tier="high", origin=str(i), rules=config).decision for i in range(40))
    }

    third = round(1 / 3, 6)
    assert found == {("email", None, third), ("coupon", None, third), ("none", "explored", third)}


def test_published_json_leaves_out_what_nobody_estimated():
    (topic, decision), (command_topic, command) = _decided().outputs()
    fields = msgspec.json.decode(decision)

    assert (topic, command_topic) == ("decisions", "commands.email")
    assert "uplift" not in fields
    assert "withheld" not in fields
    assert fields["mark"] == "live"
    assert msgspec.json.decode(command)["mark"] == "live"


def test_the_gateway_learns_the_customers_language():
    command = _decided(view=view(profile=Consents(locale="pt-BR"))).command

    assert command is not None
    assert command.locale == "pt-BR"


def test_deciding_changes_nothing():
    row, budget = LedgerRow(), DailyBudget()
    first = _decided(row, budget=budget)

    assert (row, budget) == (LedgerRow(), DailyBudget())
    assert _decided(row, budget=budget) == first


def test_closing_marks_only_the_episode_it_is_about():
    row, config = LedgerRow(), policy()
    remember(row, alert(origin="1"), _decided(row), config)
    close(row, alert(origin="0", status="resolved", ts=NOON + 1))
    assert row.episode is not None
    assert row.episode.closed_at is None

    close(row, alert(origin="1", status="resolved", ts=NOON + 2))
    assert row.episode.closed_at == NOON + 2


def test_a_trigger_does_not_touch_the_episode():
    row, config = LedgerRow(), policy()
    remember(row, alert(kind="trigger", origin="e1"), _decided(row, kind="trigger", origin="e1"), config)

    assert row.episode is None
    assert len(row.contacts) == 1


def _only(channel: str) -> Any:
    return view(profile=Consents(frozenset({channel})))
