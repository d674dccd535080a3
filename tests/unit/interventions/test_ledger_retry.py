"""What the budget had nothing left for is decided again at later decision times, and is bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from ledger_strategies import NOON, alert, policy, view

from interventions.caps import DAY_MS
from interventions.commands import Decision
from interventions.ledger import LedgerPartition

if TYPE_CHECKING:
    from models.alerts import Alert
    from models.marks import Mode

USERS = ("anna", "ben", "cleo")
VIEWS = {user: view(user) for user in USERS}
#: Two thousand micros are the price of one e-mail.
ONE_MAIL = 2_000


def ledger(share: int = ONE_MAIL, mode: Mode = "live", **changes: Any) -> LedgerPartition:
    return LedgerPartition(policy(**changes), share, mode)


def at_risk(user: str, probability: float = 0.8, **about: Any) -> Alert:
    return msgspec.structs.replace(alert(user, tier="medium", **about), probability=probability)


def day(number: int) -> int:
    return NOON + number * DAY_MS


def mailed(target: LedgerPartition, number: int) -> list[str]:
    """Who gets a command when those who wait are decided again on this day."""
    verdicts = target.again(day(number), VIEWS, day(number) + 1)
    return [verdict.command.user_id for verdict in verdicts if verdict.command is not None]


def three_at_once(target: LedgerPartition) -> list[str]:
    log = [(0, at_risk("anna", 0.9)), (1, at_risk("ben", 0.8)), (2, at_risk("cleo", 0.85))]
    result = target.step(log, POOR, NOON)
    return [v.command.user_id for v in result.decided if v.command is not None]


#: Too little money was spent by these for anything but an e-mail.
POOR = {user: view(user, money=0.0) for user in USERS}


def test_each_days_budget_goes_to_those_most_at_risk_until_all_had_their_turn():
    target = ledger()

    assert three_at_once(target) == ["anna"]
    assert target.waiting_count == 2
    assert [mailed(target, 1), mailed(target, 2), mailed(target, 3)] == [["cleo"], ["ben"], []]
    assert target.waiting_count == 0


def test_nothing_is_decided_again_for_a_customer_whose_erasure_only_the_table_knows():
    target = ledger()
    three_at_once(target)
    erased = dict.fromkeys(USERS, replace(VIEWS["cleo"], profile=None, erased_at=NOON + 1))
    views = {user: replace(erased[user], user_hash=VIEWS[user].user_hash) for user in USERS}

    assert target.again(day(1), views, day(1) + 1) == []
    assert target.waiting_count == 0


def test_a_decision_time_pays_once():
    target = ledger()
    three_at_once(target)

    assert mailed(target, 1) == ["cleo"]
    assert mailed(target, 1) == []
    assert mailed(target, 0) == []


def test_the_second_decision_says_when_it_was_made_and_its_command_counts_from_now():
    target = ledger()
    three_at_once(target)
    (verdict,) = target.again(day(1), VIEWS, day(1) + 7)

    assert verdict.command is not None
    assert (verdict.decision.ts, verdict.decision.retried_at) == (NOON, day(1))
    assert verdict.command.not_before == day(1) + 7
    target.dirty_rows()
    decisions = [
        msgspec.json.decode(v, type=Decision) for topic, _, v in target.pending() if topic == "decisions"
    ]
    assert [d.retried_at for d in decisions if d.user_id == "cleo"] == [None, day(1)]


def test_who_waited_too_long_waits_no_more():
    target = ledger(retry_days=2)
    three_at_once(target)

    assert mailed(target, 2) == []
    assert target.waiting_count == 0


def test_whose_episode_is_over_waits_no_more():
    target = ledger()
    three_at_once(target)
    target.step([(3, at_risk("cleo", status="resolved", ts=day(1)))], POOR, day(1))

    assert mailed(target, 1) == ["ben"]


def test_a_newer_alert_of_the_episode_takes_the_place_of_the_one_that_waits():
    target = ledger()
    three_at_once(target)
    escalated = msgspec.structs.replace(
        alert("ben", tier="high", status="escalated", ts=day(1)), probability=0.95
    )
    target.step([(3, escalated)], {"ben": view("ben", profile=None)}, day(1))

    assert target.waiting_count == 1
    assert mailed(target, 2) == ["cleo"]


def test_neither_a_rehearsal_nor_a_trigger_waits():
    target = ledger(share=0)
    target.step([(0, at_risk("anna", mark="rehearsal")), (1, at_risk("ben", kind="trigger"))], POOR, NOON)

    assert target.waiting_count == 0


def test_what_waited_in_shadow_does_not_become_live():
    target = ledger(mode="shadow")
    three_at_once(target)
    rows = target.dirty_rows()
    live = ledger(mode="live")
    for row in rows:
        live.restore(*row)
    live.finish_recovery()

    assert live.waiting_count == 2
    assert mailed(live, 1) == []
    assert live.waiting_count == 0


def test_after_a_crash_those_who_wait_still_wait_and_nobody_is_decided_twice():
    target = ledger()
    three_at_once(target)
    log = target.dirty_rows()
    target.mark_published(target.seq)
    mailed(target, 1)
    torn = target.dirty_rows()[:-1]

    recovered = ledger()
    for row in [*log, *torn]:
        recovered.restore(*row)
    recovered.finish_recovery()

    assert mailed(recovered, 1) == [], "the day's money is spent, by a decision whose partition row was lost"
    assert mailed(recovered, 2) == ["ben"]


def test_erasure_takes_along_what_waits():
    target = ledger()
    three_at_once(target)
    target.erase("cleo", VIEWS["cleo"].user_hash, NOON)

    assert mailed(target, 1) == ["ben"]
