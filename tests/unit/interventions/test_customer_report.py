"""What is told of one customer: risk only of who is judged, and the newest decisions."""

from __future__ import annotations

import math

import msgspec
import pytest
from ledger_strategies import NOON, alert, policy, view

from features.layout import DAY_MS
from interventions.customer_report import CustomerReport, UnknownCustomerError, report
from interventions.ledger import LedgerPartition
from tests.building import Feed, config, constant_models, core, day, event, models_by

MODELS = constant_models(0.97)


def test_who_bought_too_long_ago_or_never_is_not_judged():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed(event("view_item", "bert", day(0.5)))
    feed.decide(day(1), MODELS)
    feed.buys("cleo", 20)

    risks = {user: report(target, None, MODELS, user).risk for user in ("anna", "bert", "cleo")}

    assert [user for user, risk in risks.items() if risk is not None] == ["cleo"]


def test_the_probability_of_now_stands_beside_what_the_last_decision_said():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.decide(day(1), MODELS)
    feed.buys("anna", 1.5)

    found = report(target, None, constant_models(0.2), "anna")

    assert found.live
    assert found.risk is not None
    assert (found.risk.probability, found.risk.tier) == (pytest.approx(0.2), "none")
    assert found.decided is not None
    assert (found.decided.ts, found.decided.probability) == (day(1), 0.97)
    assert found.episode is not None
    assert (found.episode.since, found.episode.tier) == (day(1), "critical")


def test_shares_and_risk_are_of_one_time_also_behind_a_closing():
    """The model looks at open days; features are told by the calendar."""
    target = core()
    Feed(target).buys("anna", 0.5)
    Feed(target).until(day(8))
    models = models_by({1: 0.2, 9: 0.8})
    closed = msgspec.structs.replace(models, closed=((day(2) // DAY_MS, day(4) // DAY_MS),))

    open_all, closed_a_while = (report(target, None, each, "anna") for each in (models, closed))

    assert closed_a_while.features == open_all.features
    beside = []
    for found in (open_all, closed_a_while):
        assert found.risk is not None
        p = found.risk.probability
        beside.append(math.log(p / (1 - p)) - sum(found.shares.values()))
    assert open_all.shares != closed_a_while.shares
    assert beside[0] == pytest.approx(beside[1], abs=1e-4)


def test_before_the_models_have_seen_enough_the_tier_is_unknown():
    target = core(config(min_labels=100))
    Feed(target).buys("anna", 0.5)

    risks = [report(target, None, constant_models(0.97, labels=n), "anna").risk for n in (99, 100)]

    assert [risk and risk.tier for risk in risks] == ["unknown", "critical"]


def test_the_newest_decisions_outcomes_and_contacts_are_told_oldest_first():
    ledger = LedgerPartition(policy(holdout_share=0.0), 10**12, "live")
    log = [(0, alert(tier="medium")), (1, alert(tier="high", status="escalated", ts=NOON + 1))]
    decided = ledger.step(log, {"anna": view("anna")}, NOON).decided
    ledger.outcome("anna", "c1", "delivered", NOON + 5)
    target = core()
    Feed(target).buys("anna", 0.5)

    history = report(target, ledger, MODELS, "anna").history

    assert [(each.ts, each.status, each.tier) for each in history.decisions] == [
        (NOON, "opened", "medium"),
        (NOON + 1, "escalated", "high"),
    ]
    assert [each.action for each in history.decisions] == [each.decision.action for each in decided]
    assert [(each.ts, each.kind) for each in history.outcomes] == [(NOON + 5, "delivered")]
    assert len(history.contacts) == sum(each.command is not None for each in decided) == 1


def test_a_report_survives_its_way_in_json_with_what_is_missing():
    target = core()
    Feed(target).buys("anna", 0.5)
    found = report(target, None, MODELS, "anna")

    assert msgspec.json.decode(msgspec.json.encode(found), type=CustomerReport) == found
    assert found.features["gap_mean"] is None


def test_nothing_is_known_of_a_stranger():
    with pytest.raises(UnknownCustomerError, match="nothing is known of customer 'anna'"):
        report(core(), None, MODELS, "anna")


def test_what_each_feature_adds_to_the_log_odds_is_told_also_against_common_sense():
    target = core()
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed(event("view_item", "anna", day(5.5)))
    found = report(target, None, models_by({1.0: 0.9, 9.0: 0.2}), "anna")

    assert found.shares["days_since_purchase"] < 0
    assert {name for name, share in found.shares.items() if share} == {"days_since_purchase"}
    assert list(found.shares) == list(found.features)


def test_a_report_of_an_older_worker_has_no_shares():
    target = core()
    Feed(target).buys("anna", 0.5)
    told = msgspec.json.decode(msgspec.json.encode(report(target, None, MODELS, "anna")))
    del told["shares"]

    assert msgspec.json.decode(msgspec.json.encode(told), type=CustomerReport).shares == {}
