"""The ledger forgets who was not heard of for long, and decides nothing twice for all that."""

from __future__ import annotations

from ledger_shell import Shell
from ledger_strategies import NOON, alert, policy, view

from interventions.caps import DAY_MS
from interventions.ledger import LedgerPartition
from interventions.rows import user_key
from streams.state import LedgerState

VIEWS = {user: view(user) for user in ("anna", "ben", "dora")}
POLICY = policy(holdout_share=0.0, forget_after_days=100)
BEN = {"user": "ben", "origin": "2"}


def ledger() -> LedgerPartition:
    return LedgerPartition(POLICY, 10**12, "live")


def settle(target: LedgerPartition) -> None:
    """Write and publish everything."""
    target.dirty_rows()
    target.mark_published(target.seq)


def after(days: float) -> int:
    return NOON + int(days * DAY_MS)


def test_who_was_not_heard_of_for_longer_than_the_limit_is_forgotten_and_nobody_else():
    target = ledger()
    target.step([(0, alert("anna")), (1, alert("dora", ts=after(1)))], VIEWS, NOON)
    settle(target)

    target.step([(2, alert(**BEN, ts=after(101)))], VIEWS, NOON)

    assert target.history("anna") is None
    assert target.history("dora") is not None
    assert target.take_forgotten() == [user_key("anna")]


def test_caps_need_a_contact_for_longer_than_a_short_limit():
    target = LedgerPartition(policy(holdout_share=0.0, forget_after_days=1), 10**12, "live")
    target.step([(0, alert("anna"))], VIEWS, NOON)
    settle(target)

    target.step([(1, alert(**BEN, ts=after(59)))], VIEWS, NOON)

    assert target.history("anna") is not None


def test_a_trigger_moves_no_time():
    target = ledger()
    target.step([(0, alert("anna"))], VIEWS, NOON)
    settle(target)

    target.step([(1, alert(**BEN, ts=after(500), kind="trigger"))], VIEWS, NOON)

    assert target.history("anna") is not None


def test_a_decision_that_waits_to_be_published_keeps_its_customer():
    target = ledger()
    target.step([(0, alert("anna"))], VIEWS, NOON)
    target.dirty_rows()

    target.step([(1, alert(**BEN, ts=after(200)))], VIEWS, NOON)

    assert target.history("anna") is not None
    assert target.take_forgotten() == []


def test_an_alert_of_a_forgotten_customer_that_comes_again_is_not_decided_again_not_even_after_a_restart():
    first, last = (0, alert("anna")), (1, alert(**BEN, ts=after(200)))
    shell = Shell(POLICY, 10**12, VIEWS, [first, last])
    shell.run(batch=1)
    shell.changelog.append((user_key("anna"), None))

    again = shell.recover().step([first, last], VIEWS, NOON)

    assert again.decided == []
    assert again.skipped == 2


def test_a_later_alert_of_a_forgotten_customer_starts_anew():
    target = ledger()
    target.step([(0, alert("anna"))], VIEWS, NOON)
    settle(target)

    result = target.step([(1, alert("anna", "9", ts=after(200)))], VIEWS, NOON)

    assert result.commands == {"email": 1}


def test_a_forgotten_row_is_cleared_one_write_after_the_word_that_its_alerts_were_decided():
    state = LedgerState(ledger(), sends=True)
    state.ledger.step([(0, alert("anna"))], VIEWS, NOON)
    state.take()
    state.published()
    state.ledger.step([(1, alert(**BEN, ts=after(200)))], VIEWS, NOON)

    first = dict(state.take())
    second = dict(state.take())

    assert user_key("anna") not in first
    assert second == {user_key("anna"): None}


def test_a_customer_who_is_back_by_then_keeps_the_new_row():
    state = LedgerState(ledger(), sends=True)
    state.ledger.step([(0, alert("anna"))], VIEWS, NOON)
    state.take()
    state.published()
    state.ledger.step([(1, alert("anna", "9", ts=after(200)))], VIEWS, NOON)
    state.take()

    assert dict(state.take())[user_key("anna")] is not None
