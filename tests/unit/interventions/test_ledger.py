from __future__ import annotations

import pytest
from ledger_strategies import NOON, alert, policy, view

from interventions.caps import DAY_MS
from interventions.ledger import LedgerPartition
from interventions.rows import REMEMBERED, STATE_KEY, BrokenRowError, LedgerRow, NewerRowError, encode_row

VIEWS = {user: view(user) for user in ("anna", "ben", "dora")}


def _ledger() -> LedgerPartition:
    return LedgerPartition(policy(holdout_share=0.1), 10**12, "live")


def test_a_step_counts_commands_and_reasons():
    result = _ledger().step(
        [
            (0, alert("anna")),
            (1, alert("anna", "2", ts=NOON + DAY_MS)),
            (2, alert("dora")),
            (2, alert("dora")),
            (3, alert("ben", status="resolved")),
        ],
        VIEWS,
        NOON,
    )

    assert result.commands == {"email": 1}
    assert result.withheld == {"cool_down": 1, "holdout": 1}
    assert result.skipped == 1
    assert len(result.decided) == 3


def test_a_missing_view_fails_before_anything_changes():
    ledger = _ledger()
    with pytest.raises(KeyError):
        ledger.step([(0, alert("anna")), (1, alert("emil"))], VIEWS, NOON)

    assert ledger.history("anna") is None
    assert ledger.dirty_rows() == []


def test_a_redelivered_alert_is_skipped_even_when_its_decision_is_no_longer_remembered():
    ledger = _ledger()
    log = [(i, alert(origin=str(i), ts=NOON + i * 40 * DAY_MS)) for i in range(REMEMBERED + 3)]
    ledger.step(log, VIEWS, NOON)

    assert ledger.step(log[:1], VIEWS, NOON).decided == []


def test_an_alert_published_twice_is_decided_once():
    ledger = _ledger()
    ledger.step([(0, alert())], VIEWS, NOON)

    assert ledger.step([(1, alert())], VIEWS, NOON).skipped == 1


def test_an_escalation_is_a_new_question_at_each_tier():
    ledger = _ledger()
    log = [
        (0, alert(tier="medium")),
        (1, alert(tier="high", status="escalated", ts=NOON + 1)),
        (2, alert(tier="critical", status="escalated", ts=NOON + 2)),
    ]

    assert len(ledger.step(log, VIEWS, NOON).decided) == 3


def test_a_resolved_alert_closes_the_episode_for_whoever_inspects_it():
    ledger = _ledger()
    result = ledger.step([(0, alert()), (1, alert(status="resolved", ts=NOON + DAY_MS))], VIEWS, NOON)
    row = ledger.history("anna")

    assert len(result.decided) == 1
    assert row is not None
    assert row.episode is not None
    assert row.episode.closed_at == NOON + DAY_MS


def test_dirty_rows_come_once_with_the_partition_row_last():
    ledger = _ledger()
    ledger.step([(0, alert("ben")), (1, alert("anna"))], VIEWS, NOON)

    assert [key for key, _ in ledger.dirty_rows()] == [b"uanna", b"uben", STATE_KEY]
    assert ledger.dirty_rows() == []
    assert (ledger.seq, ledger.offset) == (1, 1)


def test_outputs_come_in_the_order_of_the_alerts():
    ledger = _ledger()
    ledger.step([(0, alert("ben")), (1, alert("anna"))], VIEWS, NOON)
    ledger.dirty_rows()

    assert [(topic, key) for topic, key, _ in ledger.pending()] == [
        ("decisions", b"ben"),
        ("commands.email", b"ben"),
        ("decisions", b"anna"),
        ("commands.email", b"anna"),
    ]


def test_a_skipped_alert_still_moves_the_day_when_its_partition_row_was_lost():
    ledger = _ledger()
    ledger.step([(0, alert())], VIEWS, NOON)
    recovered = _ledger()
    recovered.restore(*ledger.dirty_rows()[0])
    recovered.finish_recovery()
    recovered.dirty_rows()

    recovered.step([(0, alert())], VIEWS, NOON)

    assert [key for key, _ in recovered.dirty_rows()] == [STATE_KEY]


def test_outcomes_are_kept_in_time_order_once_each_and_bounded():
    ledger = _ledger()
    ledger.step([(0, alert())], VIEWS, NOON)
    for i in (3, 1, 2, 1, *range(4, 4 + REMEMBERED)):
        assert ledger.outcome("anna", "c", "opened", i)
    row = ledger.history("anna")

    assert row is not None
    assert [outcome.ts for outcome in row.outcomes] == list(range(4, 4 + REMEMBERED))


def test_a_repeated_outcome_changes_nothing():
    ledger = _ledger()
    ledger.step([(0, alert())], VIEWS, NOON)
    ledger.outcome("anna", "c", "opened", 5)
    ledger.dirty_rows()
    ledger.outcome("anna", "c", "opened", 5)

    assert ledger.dirty_rows() == []


def test_an_outcome_of_an_unknown_customer_is_not_noted():
    ledger = _ledger()

    assert not ledger.outcome("anna", "c", "opened", 5)
    assert ledger.row_count == 0


def test_erasure_forgets_the_customer_and_what_was_to_be_published():
    ledger = _ledger()
    ledger.step([(0, alert())], VIEWS, NOON)
    ledger.dirty_rows()
    key = ledger.erase("anna", VIEWS["anna"].user_hash, NOON)

    assert ledger.history("anna") is None
    assert ledger.pending() == []
    assert (key, ledger.value_of(key)) == (b"uanna", None)
    assert b"anna" not in b"".join(k + v for k, v in ledger.dirty_rows())


def test_an_erasure_between_a_step_and_its_write_leaves_nothing_of_the_customer_to_write():
    ledger = _ledger()
    ledger.step([(0, alert())], VIEWS, NOON)
    ledger.erase("anna", VIEWS["anna"].user_hash, NOON)

    assert b"anna" not in b"".join(key + value for key, value in ledger.dirty_rows())
    assert ledger.pending() == []


def test_an_alert_from_before_the_erasure_does_not_bring_the_customer_back_but_a_later_one_does():
    ledger = _ledger()
    erasure = _ledger()
    erasure.erase("anna", VIEWS["anna"].user_hash, NOON)
    for row in erasure.dirty_rows():
        ledger.restore(*row)
    ledger.finish_recovery()

    assert ledger.step([(0, alert())], VIEWS, NOON).skipped == 1
    assert ledger.history("anna") is None
    assert len(ledger.step([(1, alert(origin="2", ts=NOON + 1))], VIEWS, NOON).decided) == 1


def test_a_tombstone_clears_a_restored_row():
    ledger = _ledger()
    ledger.step([(0, alert())], VIEWS, NOON)
    ledger.dirty_rows()
    ledger.restore(b"uanna", None)

    assert ledger.history("anna") is None
    assert (ledger.row_count, ledger.byte_count) == (0, 0)


def test_bytes_are_those_of_keys_and_rows():
    ledger = _ledger()
    ledger.step([(0, alert("anna")), (1, alert("ben"))], VIEWS, NOON)
    rows = ledger.dirty_rows()[:-1]

    assert ledger.row_count == 2
    assert ledger.byte_count == sum(len(key) + len(value) for key, value in rows)
    assert all(ledger.value_of(key) == value for key, value in rows)


def test_a_customers_row_stays_small_however_long_the_story():
    ledger = _ledger()
    for i in range(60):
        now = NOON + i * 15 * DAY_MS
        ledger.step([(i, alert(origin=str(i), ts=now))], VIEWS, now)
        ledger.outcome("anna", "c" * 32, "delivered", NOON + i)
        ledger.dirty_rows()
        ledger.mark_published(ledger.seq)

    assert ledger.byte_count < 1_280


def test_a_snapshot_between_a_step_and_its_write_is_refused():
    ledger = _ledger()
    ledger.step([(0, alert())], VIEWS, NOON)

    with pytest.raises(RuntimeError, match="snapshot"):
        ledger.snapshot()


def test_a_broken_row_is_refused_and_leaves_the_ledger_as_it_was():
    ledger = _ledger()
    newer = b"u\x7f" + encode_row(LedgerRow())[2:]

    with pytest.raises(NewerRowError):
        ledger.restore(b"uanna", newer)
    with pytest.raises(BrokenRowError):
        ledger.restore(b"?", b"?")
    with pytest.raises(BrokenRowError):
        LedgerPartition.from_snapshot(policy(), 0, "live", b"\xc1")
    assert ledger.row_count == 0
