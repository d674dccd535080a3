"""The tally counts each alert, decision and command once, however often it was published."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import msgspec
from aiokafka import TopicPartition

from interventions.commands import Command, Decision
from models.alerts import Alert, ModelRef, Reason
from streams.tally import Tally, TallyReader
from tests.fakes import FakeBroker

MODEL = ModelRef(name="logistic", version=1)


def alert(number: int, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "alert_id": f"{number:02}",
        "kind": "episode",
        "status": "opened",
        "user_id": f"u{number}",
        "ts": 1_000,
        "probability": 0.9,
        "tier": "high",
        "reasons": (Reason(feature="f", value=1.0, contribution=0.5, text="why"),),
        "model": MODEL,
        "horizon_days": 60,
        "mark": "rehearsal",
    }
    return msgspec.json.encode(Alert(**fields | changes))


def decision(number: int, **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "alert_id": f"{number:02}",
        "status": "opened",
        "user_id": f"u{number}",
        "ts": 1_000,
        "tier": "high",
        "probability": 0.9,
        "model": MODEL,
        "policy": "first",
        "arm": "policy",
        "holdout_share": 0.1,
        "action": "email",
        "propensity": 1.0,
        "intended": "email",
        "cost": 0.0,
        "mark": "rehearsal",
    }
    return msgspec.json.encode(Decision(**fields | changes))


def command(number: int, channel: Any = "email") -> bytes:
    return msgspec.json.encode(
        Command(
            command_id=f"c{number}",
            alert_id="01",
            user_id="u1",
            ts=1_000,
            channel=channel,
            offer="none",
            template="t",
            not_before=1,
            expires_at=2,
            mark="rehearsal",
        )
    )


def tally(*taken: tuple[str, bytes]) -> Tally:
    found = Tally()
    for topic, value in taken:
        found.take(topic, value, ())
    return found


def test_a_repeated_alert_counts_once_an_escalation_for_itself():
    found = tally(
        ("churn-alerts", alert(1)),
        ("churn-alerts", alert(1)),
        ("churn-alerts", alert(1, status="escalated", tier="critical")),
        ("churn-alerts", alert(1, status="resolved")),
        ("churn-alerts", alert(2)),
    )

    assert len(found.alerts) == 4
    assert found.tiers == Counter(high=2, critical=1, resolved=1)
    assert found.customers == {"u1", "u2"}


def test_a_repeated_decision_counts_once_by_what_was_done_or_why_not():
    found = tally(
        ("decisions", decision(1)),
        ("decisions", decision(1)),
        ("decisions", decision(2, action="none", withheld="holdout", arm="holdout")),
    )

    assert found.decisions == Counter(email=1, holdout=1)
    assert found.holdout == {"u2"}


def test_a_repeated_command_counts_once():
    found = tally(
        ("commands.email", command(1)), ("commands.email", command(1)), ("commands.sms", command(2, "sms"))
    )

    assert found.channels == Counter(email=1, sms=1)


def test_dead_letters_count_by_reason():
    found = Tally()
    found.take("dead-letters", b"", (("reason", b"bad_money"), ("detail", b"")))

    assert found.dead_letters == Counter(bad_money=1)


def test_the_digest_depends_on_the_alerts_and_not_on_their_order_or_repetition():
    one = tally(("churn-alerts", alert(1)), ("churn-alerts", alert(2)), ("churn-alerts", alert(1)))
    other = tally(("churn-alerts", alert(2)), ("churn-alerts", alert(1)))

    assert one.alerts_digest == other.alerts_digest == hashlib.sha256(b"01\n02").hexdigest()


def test_the_examples_are_the_strongest_alerts_that_give_reasons_one_of_each_customer():
    logged = [
        alert(1, tier="medium", probability=0.7, ts=99),
        alert(2, tier="critical", probability=0.97, status="escalated"),
        alert(3, tier="critical", probability=0.96),
        alert(4, tier="critical", probability=0.99, reasons=()),
        alert(5, tier="critical", probability=0.99, status="resolved"),
        alert(6, tier="high", probability=0.92, ts=1),
        alert(7, tier="high", probability=0.92, ts=2),
        alert(2, tier="high", probability=0.9),
    ]

    for order in (logged, logged[::-1]):
        found = tally(*(("churn-alerts", each) for each in order))
        assert [(each.alert_id, each.tier) for each in found.examples] == [
            ("02", "critical"),
            ("03", "critical"),
            ("07", "high"),
        ]


async def test_the_reader_takes_everything_there_is_by_now():
    broker = FakeBroker()
    tps = [TopicPartition("eu.churn-alerts", p) for p in range(2)]
    consumer = broker.consumer()
    consumer.assign(tps)
    reader = TallyReader(consumer, {"eu.churn-alerts": "churn-alerts"})
    for number in range(9):
        broker.logs["eu.churn-alerts", number % 2].append(b"k", alert(number))

    await reader.read()

    assert len(reader.tally.alerts) == 9
