"""Decide → write → publish → ack, interrupted anywhere."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from ledger_shell import Shell
from ledger_strategies import NOON, alert, alert_logs, policies, policy, view, views

from interventions.caps import DAY_MS
from interventions.commands import Decision
from interventions.ledger import LedgerPartition
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interventions.policy import CustomerView, PolicyConfig
    from interventions.rows import LedgerRow
    from models.alerts import Alert

Log = list[tuple[int, "Alert"]]


@examples(30)
@given(
    log=alert_logs(),
    seen=views(),
    config=policies(),
    fuses=st.lists(st.integers(0, 30), min_size=1, max_size=6),
)
def test_a_crash_anywhere_ends_with_the_same_commands_and_rows(
    log: Log, seen: Mapping[str, CustomerView], config: PolicyConfig, fuses: list[int]
):
    config = msgspec.structs.replace(config, exploration=0.0, holdout_share=0.0)
    share = config.daily_budget_micros
    undisturbed, disturbed = Shell(config, share, seen, log), Shell(config, share, seen, log)
    undisturbed.run()
    disturbed.run_with_crashes(fuses)

    assert disturbed.commands() == undisturbed.commands()
    assert _decisions(disturbed) == _decisions(undisturbed)
    assert _rows(disturbed) == _rows(undisturbed)


@examples(30)
@given(log=alert_logs(), seen=views(), config=policies(), fuses=st.lists(st.integers(0, 30), max_size=6))
def test_no_alert_is_ever_published_with_two_decisions(
    log: Log, seen: Mapping[str, CustomerView], config: PolicyConfig, fuses: list[int]
):
    shell = Shell(config, config.daily_budget_micros, seen, log)
    shell.run_with_crashes(fuses)

    assert all(len(values) == 1 for values in _decisions(shell).values())


@examples(30)
@given(log=alert_logs(max_size=8), seen=views(), config=policies())
def test_replaying_the_log_twice_sends_once(log: Log, seen: Mapping[str, CustomerView], config: PolicyConfig):
    ledger = LedgerPartition(config, config.daily_budget_micros, "live")
    ledger.step(log, seen, NOON)
    waiting = ledger.dirty_rows() and ledger.pending()

    redelivered = ledger.step(log, seen, NOON)
    republished = ledger.step([(offset + len(log), entry) for offset, entry in log], seen, NOON)

    assert not redelivered.decided
    assert not republished.decided
    assert (ledger.dirty_rows() and ledger.pending()) == waiting


def test_what_a_torn_write_charged_is_charged_again_after_recovery():
    """Two e-mails of 2,000 micros, a budget for one; anna's row is written, the partition row is not."""
    ledger = LedgerPartition(policy(), 3_000, "live")
    ledger.step([(0, alert("anna", tier="medium"))], {"anna": view("anna")}, NOON)
    anna = ledger.dirty_rows()[0]

    recovered = LedgerPartition(policy(), 3_000, "live")
    recovered.restore(*anna)
    recovered.finish_recovery()
    result = recovered.step([(1, alert("ben", tier="medium"))], {"ben": view("ben", money=0.0)}, NOON)

    assert result.withheld == {"budget": 1}


def test_who_is_forgotten_after_a_torn_write_takes_nobodys_decision_along():
    """Only the first row was written; the customer it is of has nothing to be remembered for."""
    log = [
        (0, alert("dora", tier="medium", ts=NOON + 90 * DAY_MS)),
        (1, alert("anna", status="resolved", ts=NOON)),
    ]
    seen = {name: view(name) for name in ("anna", "dora")}
    ledger = LedgerPartition(policy(), 10**9, "live")
    ledger.step(log, seen, NOON)
    anna, *_ = ledger.dirty_rows()

    recovered = LedgerPartition(policy(), 10**9, "live")
    recovered.restore(*anna)
    recovered.finish_recovery()

    assert anna[0] == b"uanna"
    assert len(recovered.step(log, seen, NOON).decided) == 1


def test_outputs_of_a_torn_write_wait_for_the_partition_row():
    ledger = LedgerPartition(policy(), 10**9, "live")
    ledger.step([(0, alert("anna"))], {"anna": view("anna")}, NOON)
    anna, state = ledger.dirty_rows()
    expected = ledger.pending()

    recovered = LedgerPartition(policy(), 10**9, "live")
    recovered.restore(*anna)
    recovered.finish_recovery()

    assert recovered.pending() == []
    assert [key for key, _ in recovered.dirty_rows()] == [state[0]]
    assert recovered.pending() == expected


def test_nothing_is_pending_before_its_row_is_handed_out_nor_after_it_is_marked():
    ledger = LedgerPartition(policy(), 10**9, "live")
    ledger.step([(0, alert("anna"))], {"anna": view("anna")}, NOON)
    before = ledger.pending()
    ledger.dirty_rows()
    between = ledger.pending()
    ledger.mark_published(ledger.seq)

    assert before == []
    assert [(topic, key) for topic, key, _ in between] == [
        ("decisions", b"anna"),
        ("commands.email", b"anna"),
    ]
    assert ledger.pending() == []


def test_the_mark_is_stored_with_the_next_write_so_that_recovery_does_not_publish_again():
    shell = Shell(
        policy(),
        10**9,
        {"anna": view("anna"), "ben": view("ben")},
        [(0, alert("anna")), (1, alert("ben", ts=NOON + DAY_MS))],
    )
    shell.run(batch=1)

    assert {key for _, key, _ in shell.recover().pending()} == {b"ben"}


@examples(30)
@given(log=alert_logs(), seen=views(), config=policies(), cut=st.integers(0, 40))
def test_a_snapshot_and_the_changelogs_tail_make_the_same_ledger(
    log: Log, seen: Mapping[str, CustomerView], config: PolicyConfig, cut: int
):
    shell = Shell(config, config.daily_budget_micros, seen, log[: len(log) // 2])
    blob = shell.run().snapshot()
    tail = len(shell.changelog)
    shell.log = log
    whole = shell.run()

    ledger = LedgerPartition.from_snapshot(config, config.daily_budget_micros, "live", blob)
    for key, value in shell.changelog[tail:]:
        ledger.restore(key, value)
    ledger.finish_recovery()

    assert {user: _settled(ledger.history(user)) for user in seen} == {
        user: _settled(whole.history(user)) for user in seen
    }
    assert ledger.offset == whole.offset
    assert ledger.pending() == shell.recover().pending()


def _decisions(shell: Shell) -> dict[tuple[str, str, str], set[bytes]]:
    found: dict[tuple[str, str, str], set[bytes]] = defaultdict(set)
    for topic, _, value in shell.published:
        if topic == "decisions":
            decision = msgspec.json.decode(value, type=Decision)
            found[decision.alert_id, decision.status, decision.tier].add(value)
    return found


def _rows(shell: Shell) -> dict[str, LedgerRow | None]:
    ledger = shell.recover()
    return {user: _settled(ledger.history(user)) for user in shell.views}


def _settled(row: LedgerRow | None) -> LedgerRow | None:
    """A row without what only tells how far publishing has come; none if nothing else is in it.

    Such a row is forgotten at the next decision time, and its key cleared one write later.
    """
    return msgspec.structs.replace(row, pending=()) if row is not None and row.newest else None
