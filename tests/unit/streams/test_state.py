"""The two states behind the engine: what they write, publish and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from features.hashing import salted_hash
from features.rowcodec import RowError as CustomerRowError
from interventions.ledger import LedgerPartition
from interventions.policy import CustomerView, PolicyConfig
from interventions.rows import (
    STATE_KEY,
    LedgerRow,
    NewerRowError,
    PartitionRow,
    Pending,
    RowError,
    encode_row,
    user_key,
)
from models.alerts import Alert, ModelRef
from streams.state import CustomersState, LedgerState
from tests.building import START, Feed, constant_models, core, day

if TYPE_CHECKING:
    from models.marks import Mark, Mode

USER = "ada"
VIEW = CustomerView(salted_hash(USER, "churnwatch"), None, 500.0, 500.0)


def alert(mark: Mark = "live", number: int = 0) -> Alert:
    return Alert(
        alert_id=f"{number:032x}",
        status="opened",
        kind="episode",
        user_id=USER,
        ts=START + number,
        probability=0.95,
        tier="critical",
        reasons=(),
        model=ModelRef(name="logistic", version=1),
        horizon_days=60,
        mark=mark,
    )


def ledger_state(mode: Mode = "live", *, publish_rehearsals: bool = False) -> LedgerState:
    policy = PolicyConfig(holdout_share=0.0, exploration=0.0, assume_consent=("coupon",))
    ledger = LedgerPartition(policy, 1_000_000_000, mode, publish_rehearsals=publish_rehearsals)
    return LedgerState(ledger, sends=mode == "live")


def published(state: LedgerState) -> list[str]:
    """Topics of what one round publishes."""
    state.take()
    state.confirm()
    topics = [output.topic for output in state.outputs()]
    state.published()
    return topics


def test_a_live_command_goes_out_behind_its_decision():
    state = ledger_state()
    state.ledger.step([(0, alert())], {USER: VIEW}, START)

    assert published(state) == ["decisions", "commands.coupon"]
    assert state.outputs() == []


def test_what_this_release_cannot_publish_is_set_apart_once_and_the_rest_goes_out():
    state = ledger_state()
    outputs = (("commands.pigeon", b'{"ts":1}'), ("decisions", b'{"ts":1}'), ("commands.sms", b"junk"))
    row = LedgerRow(stamp=0, pending=(Pending(1, 0, outputs, 0, 0, "live"),))
    state.restore([(user_key(USER), encode_row(row)), (STATE_KEY, encode_row(PartitionRow(seq=1)))])
    state.finish()

    assert published(state) == ["decisions"]
    assert [(output.topic, why.reason) for output, why in state.refused] == [
        ("commands.pigeon", "unknown_channel"),
        ("commands.sms", "malformed_json"),
    ]
    assert published(state) == []
    assert len(state.refused) == 2


@pytest.mark.parametrize("mode", ["shadow", "live"])
@pytest.mark.parametrize(("asked_for", "topics"), [(False, []), (True, ["commands.coupon.shadow"])])
def test_commands_from_replayed_history_are_published_only_when_that_is_asked_for_and_to_no_gateway(
    asked_for: bool, topics: list[str], mode: Mode
):
    state = ledger_state(mode, publish_rehearsals=asked_for)
    state.ledger.step([(0, alert("rehearsal"))], {USER: VIEW}, START)

    assert published(state) == ["decisions", *topics]
    assert state.outputs() == [], "a command that was held back does not wait either"


@pytest.mark.parametrize("mark", ["live", "shadow"])
def test_a_worker_in_shadow_decides_and_publishes_for_nobody_to_send(mark: Mark):
    state = ledger_state("shadow")
    ((verdict,), *_) = state.ledger.step([(0, alert(mark))], {USER: VIEW}, START)

    assert verdict.command is not None
    assert verdict.command.mark == verdict.decision.mark == "shadow"
    assert published(state) == ["decisions", "commands.coupon.shadow"]


def test_a_worker_that_is_off_decides_nothing_and_remembers_how_far_it_read():
    state = ledger_state("off")
    result = state.ledger.step([(4, alert("shadow"))], {USER: VIEW}, START)

    assert not result.decided
    assert published(state) == []
    assert (state.ledger.offset, state.ledger.row_count) == (4, 0)


def test_a_command_that_waits_to_be_published_is_not_sent_by_a_worker_that_may_not_send_any_more():
    live = ledger_state("live")
    live.ledger.step([(0, alert())], {USER: VIEW}, START)
    rows = live.take()
    shadow = ledger_state("shadow")
    shadow.restore(rows)
    shadow.finish()

    assert published(shadow) == ["decisions"]
    assert [(output.topic, why.reason) for output, why in shadow.refused] == [("commands.coupon", "not_live")]


def test_a_command_that_a_former_release_left_unmarked_reaches_no_gateway():
    state = ledger_state("live")
    row = LedgerRow(stamp=0, pending=(Pending(1, 0, (("commands.sms", b'{"ts":1}'),), 0, 0, "live"),))
    state.restore([(user_key(USER), encode_row(row)), (STATE_KEY, encode_row(PartitionRow(seq=1)))])
    state.finish()

    assert published(state) == []
    assert [why.reason for _, why in state.refused] == ["not_live"]


def test_nothing_is_published_before_it_was_taken_for_a_write():
    state = ledger_state()
    state.ledger.step([(0, alert())], {USER: VIEW}, START)

    assert state.outputs() == []


def test_a_ledger_is_the_same_after_recovery_and_publishes_its_pending_outputs_byte_for_byte():
    state = ledger_state()
    state.ledger.step([(0, alert())], {USER: VIEW}, START)
    rows = state.take()
    again = ledger_state()

    assert again.restore(rows) == []
    again.finish()

    assert again.outputs() == state.outputs()
    assert dict(again.everything()) == dict(state.everything())


def test_an_erased_customer_leaves_a_tombstone_and_no_output():
    state = ledger_state()
    state.ledger.step([(0, alert())], {USER: VIEW}, START)
    rows = state.take()
    state.erase(USER, VIEW.user_hash, START + 1)

    tombstone, *rest = state.take()

    assert tombstone == (b"u" + USER.encode(), None)
    assert state.outputs() == []
    again = ledger_state()
    again.restore([*rows, tombstone, *rest])
    assert again.ledger.history(USER) is None


def test_rows_that_void_ones_cover_up_are_written_again_and_what_is_not_there_is_deleted():
    state = ledger_state()
    state.ledger.step([(0, alert())], {USER: VIEW}, START)
    written = dict(state.take())
    known = b"u" + USER.encode()

    state.rewrite({known, b"uzombie's", STATE_KEY})

    rows = dict(state.take())
    assert rows.keys() == {known, b"uzombie's", STATE_KEY}
    assert rows[known] == written[known]
    assert rows[b"uzombie's"] is None
    assert state.take() == []


def test_a_broken_ledger_row_is_left_out_and_told():
    state = ledger_state()

    ((key, why),) = state.restore([(b"uada", b"nonsense")])

    assert key == b"uada"
    assert "LedgerRow" in why


@pytest.mark.parametrize(
    ("row", "error"), [((STATE_KEY, b"nonsense"), RowError), ((b"uada", b"L\xff rest"), NewerRowError)]
)
def test_a_ledger_without_its_partition_row_or_with_rows_of_a_newer_version_is_refused(
    row: tuple[bytes, bytes], error: type[Exception]
):
    state = ledger_state()
    state.ledger.step([(0, alert())], {USER: VIEW}, START)
    newer = next(value for key, value in state.take() if key != STATE_KEY)
    if row[0] != STATE_KEY:
        row = (row[0], newer[:1] + b"\xff" + newer[2:])

    fresh = ledger_state()
    assert fresh.restore([row]) == []
    with pytest.raises(error):
        fresh.finish()


# -- customers


def test_of_one_write_the_alerts_of_those_most_at_risk_are_published_first():
    target = core()
    for number, (user, probability) in enumerate([("anna", 0.7), ("ben", 0.95), ("cleo", 0.8)]):
        target.add_pending(user, b"%d" % number, probability)
    state = CustomersState(target)
    state.take()

    assert [output.key for output in state.outputs()] == [b"ben", b"cleo", b"anna"]


def customers_with_an_alert() -> CustomersState:
    target = core()
    Feed(target).buys(USER, 0.5)
    Feed(target).decide(day(1), constant_models(0.95))
    return CustomersState(target)


def test_an_alert_is_published_under_its_customer_once_its_row_is_written():
    state = customers_with_an_alert()
    assert state.outputs() == []

    state.take()
    state.confirm()

    (output,) = state.outputs()
    assert (output.topic, output.key) == ("churn-alerts", USER.encode())
    assert msgspec.json.decode(output.value, type=Alert).status == "opened"
    state.published()
    assert state.outputs() == []


def test_a_recovered_partition_publishes_its_pending_alert_again():
    state = customers_with_an_alert()
    rows = state.take()
    again = CustomersState(core())

    assert again.restore(rows) == []
    again.finish()

    assert again.outputs() == state.outputs()


def test_customers_without_their_partition_row_are_refused():
    state = CustomersState(core())
    state.restore([(b"p", b"nonsense")])

    with pytest.raises(CustomerRowError, match="partition row"):
        state.finish()
