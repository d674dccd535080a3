"""No sequence of alerts, in whatever order and with whatever crashes, breaks a limit."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from ledger_shell import Shell
from ledger_strategies import NOON, USERS, alert, alert_logs, policies, policy, view, views

from interventions.budget import largest_remainder
from interventions.caps import DAY_MS
from interventions.commands import Command, Decision
from interventions.holdout import is_held_out
from interventions.ledger import LedgerPartition
from interventions.rows import MAX_PENDING_BYTES
from tests.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from interventions.policy import CustomerView, PolicyConfig
    from models.alerts import Alert

Log = list[tuple[int, "Alert"]]

FUSES = st.lists(st.integers(0, 25), max_size=4)


@examples(30)
@given(log=alert_logs(), seen=views(), policy=policies(), fuses=FUSES)
def test_no_alert_sequence_breaks_a_cap_or_the_cool_down(
    log: Log, seen: Mapping[str, CustomerView], policy: PolicyConfig, fuses: list[int]
):
    shell = _played(log, seen, policy, policy.daily_budget_micros, fuses)

    for contacts in _by_customer(shell.commands().values()):
        _assert_spaced(contacts, policy)
        _assert_capped(contacts, policy)


@examples(25)
@given(
    log=alert_logs(),
    seen=views(),
    policy=policies(),
    homes=st.tuples(*[st.integers(0, 2)] * len(USERS)),
    fuses=FUSES,
)
def test_partitions_together_never_exceed_the_daily_budget(
    log: Log, seen: Mapping[str, CustomerView], policy: PolicyConfig, homes: tuple[int, ...], fuses: list[int]
):
    home = dict(zip(USERS, homes, strict=True))
    spent: dict[tuple[int, str], int] = defaultdict(int)
    for partition, share in enumerate(largest_remainder(policy.daily_budget_micros, [1, 1, 1])):
        part = [entry for entry in log if home[entry[1].user_id] == partition]
        for decision in _decisions(_played(part, seen, policy, share, fuses)):
            spent[decision.ts // DAY_MS, decision.mark] += round(decision.cost * 1e6)

    assert all(micros <= policy.daily_budget_micros for micros in spent.values())


@examples(25)
@given(log=alert_logs(), seen=views(), policy=policies())
def test_nobody_is_contacted_without_consent_or_in_the_holdout(
    log: Log, seen: Mapping[str, CustomerView], policy: PolicyConfig
):
    shell = _played(log, seen, policy, policy.daily_budget_micros, [])

    for command in shell.commands().values():
        customer = seen[command.user_id]
        assert policy.has_consent(customer.profile, command.channel)
        assert not is_held_out(customer.user_hash, policy.holdout_share)


@examples(25)
@given(log=alert_logs(), seen=views(), policy=policies())
def test_a_command_goes_with_exactly_one_decision_that_names_it(
    log: Log, seen: Mapping[str, CustomerView], policy: PolicyConfig
):
    shell = _played(log, seen, policy, policy.daily_budget_micros, [])

    decisions = _decisions(shell)
    assert sorted(d.command_id for d in decisions if d.command_id) == sorted(shell.commands())
    assert all((d.command_id is None) == (d.action == "none") == (d.withheld is not None) for d in decisions)
    assert all(0 < d.propensity <= 1 for d in decisions)


def _played(
    log: Sequence[tuple[int, Alert]],
    seen: Mapping[str, CustomerView],
    policy: PolicyConfig,
    share: int,
    fuses: Iterable[int],
) -> Shell:
    shell = Shell(policy, share, seen, log)
    shell.run_with_crashes(fuses)
    return shell


def _decisions(shell: Shell) -> list[Decision]:
    values = {value for topic, _, value in shell.published if topic == "decisions"}
    return [msgspec.json.decode(value, type=Decision) for value in sorted(values)]


def _by_customer(commands: Iterable[Command]) -> Iterable[list[Command]]:
    books: dict[tuple[str, str], list[Command]] = defaultdict(list)
    for command in commands:
        books[command.user_id, command.mark].append(command)
    return [sorted(book, key=lambda c: c.not_before) for book in books.values()]


def _assert_spaced(contacts: list[Command], policy: PolicyConfig) -> None:
    for earlier, later in pairwise(contacts):
        assert later.not_before - earlier.not_before >= policy.caps.cool_down_days * DAY_MS


def _assert_capped(contacts: list[Command], policy: PolicyConfig) -> None:
    caps = {offering.channel: offering.cap for offering in policy.offerings}
    for first in contacts:
        end = first.not_before + policy.caps.window_days * DAY_MS
        window = [c.channel for c in contacts if first.not_before <= c.not_before < end]
        assert len(window) <= policy.caps.total
        assert all(window.count(channel) <= caps[channel] for channel in caps)


def test_of_one_customer_no_more_is_decided_at_once_than_a_row_can_hold():
    """A thousand alerts about one customer, as a ledger that stood still for long may find them."""
    ledger = LedgerPartition(policy(), 10**12, "live")
    many = 1_000
    log = [(n, alert("anna", str(n), ts=NOON + n * 40 * DAY_MS)) for n in range(many)]
    log.append((many, alert("ben")))

    result = ledger.step(log, {user: view(user) for user in ("anna", "ben")}, NOON)

    decided, crowded = [verdict.decision.user_id for verdict in result.decided], result.crowded
    assert decided.count("ben") == 1
    assert crowded == list(range(many - len(crowded), many))
    assert decided.count("anna") == many - len(crowded) > 100
    assert result.skipped == 0
    assert max(len(value) for _, value in ledger.dirty_rows()) < 2 * MAX_PENDING_BYTES
    ledger.mark_published(ledger.seq)
    following = [(many + 1, alert("anna", "next", ts=NOON))]
    assert len(ledger.step(following, {"anna": view("anna")}, NOON).decided) == 1
