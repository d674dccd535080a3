"""The verifier itself: of a run in which all is right it says so, and it names whatever is not."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import orjson
import pytest

from features.returns import ReturnHistogram
from models.cohorts import Cohort
from models.parts import Matured, Part
from tests.building import constant_models
from tests.storm.logs import Record
from tests.storm.said import Said
from tests.storm.truth import DAY_MS, Rules, Truth
from tests.storm.verdict import Limits, Verdict, judge
from tests.storm.workload import DISORDER_MS, LATENESS_MS, START, TOPICS, Shop, day_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAYS = 12
RULES = Rules(LATENESS_MS, horizon_days=3, active_within_days=6, salt="churnwatch", holdout_share=0.1)
LIMITS = Limits(daily_budget=10.0)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(_sent(), RULES)


def _sent() -> Iterator[Record]:
    """A fortnight of the shop, in one partition of each topic."""
    shop, ends = Shop(30), dict.fromkeys(TOPICS, 0)
    days = [shop.day(number) for number in range(DAYS)]
    for topic in TOPICS:
        for number, day in enumerate(days):
            tick = orjson.dumps({"type": "tick", "ts": day_start(number + 1) - DISORDER_MS})
            told = [(each.value, each.at) for each in day if each.topic == topic]
            for value, at in [*told, (tick, day_start(number + 1))]:
                yield Record(topic, 0, ends[topic], None, value, at)
                ends[topic] += 1


@pytest.fixture
def said(truth: Truth) -> Said:
    """What a run says in which nothing goes wrong."""
    found = Said(rows=truth.counts.copy())
    for start, labels in truth.labels.items():
        found.parts[0, start + RULES.horizon_days * DAY_MS] = _part(start, labels)
    treated = defaultdict(int)
    for user, ts in sorted(truth.triggers):
        decision = alert(user, ts) | {"action": "none", "cost": 0.0}
        free = not treated[user] and not truth.is_held_out(user)
        if free and truth.may_contact(user, "email", ts, ts):
            treated[user] += 1
            decision |= {"action": "email", "cost": 0.002, "command_id": f"{user}{ts}"}
            order(found, command(decision))
        publish(found.alerts, alert(user, ts), "alert_id", "status", "tier")
        publish(found.decisions, decision, "alert_id", "status", "tier")
    return found


def _part(start: int, labels: dict[int, bool]) -> Part:
    n, none = len(labels), ReturnHistogram.from_arrays([], [], [])
    hashes = np.array(sorted(labels), np.uint64)
    cohort = Cohort(
        decision_time=start,
        contenders=("logistic",),
        champion="logistic",
        hashes=hashes,
        inputs=np.zeros((n, 1), np.float32),
        issued=np.zeros((n, 1), np.uint32),
        recency=np.zeros(n, np.uint16),
    )
    churned = np.array([labels[code] for code in hashes.tolist()], bool)
    matured = Matured(cohort, churned, np.zeros(n, bool))
    return Part(0, start + RULES.horizon_days * DAY_MS, (matured,), none)


def alert(user: str, ts: int, **changes: Any) -> dict[str, Any]:
    name = f"{user}/{ts}"
    return {
        "alert_id": name,
        "status": "opened",
        "tier": "high",
        "kind": "trigger",
        "user_id": user,
        "ts": ts,
        "mark": "live",
    } | changes


def command(decision: dict[str, Any], **changes: Any) -> dict[str, Any]:
    kept = {name: decision[name] for name in ("command_id", "alert_id", "user_id", "ts", "mark")}
    return kept | {"channel": "email", "not_before": decision["ts"]} | changes


def publish(topic: Any, value: dict[str, Any], *identity: str) -> None:
    topic[tuple(value[name] for name in identity)].add(orjson.dumps(value))


def order(said: Said, command: dict[str, Any]) -> None:
    publish(said.commands, command, "command_id")
    said.written[command["command_id"]] = command["ts"]


def test_a_run_in_which_all_is_right_is_clean(truth: Truth, said: Said) -> None:
    verdict = judge(truth, said, LIMITS, calm=said)

    assert verdict.is_clean, verdict.faults
    assert min(verdict.events, verdict.labels, verdict.triggers, verdict.decisions) > 20
    assert verdict.commands > 5
    assert truth.erased or truth.sent.late.any()
    assert truth.sent.again.any()


def _lose_an_event(said: Said) -> None:
    said.rows.iloc[3, said.rows.columns.get_loc("clicks")] -= 1


def _double_an_order(said: Said) -> None:
    said.rows.iloc[5, said.rows.columns.get_loc("orders")] += 1


def _miscount_money(said: Said) -> None:
    said.rows.iloc[5, said.rows.columns.get_loc("value_micros")] += 1


def _learn_twice(said: Said) -> None:
    (place, part), *_ = said.parts.items()
    said.parts[1, place[1]] = replace(part, partition=1)


def _forget_a_label(said: Said) -> None:
    place, part = next((p, each) for p, each in said.parts.items() if len(each.matured[0].cohort) > 1)
    (matured,) = part.matured
    fewer = Matured(matured.cohort.take(np.arange(1)), matured.churned[:1], matured.treated[:1])
    said.parts[place] = replace(part, matured=(fewer,))


def _mislabel(said: Said) -> None:
    place, part = next((p, each) for p, each in said.parts.items() if len(each.matured[0].cohort))
    (matured,) = part.matured
    said.parts[place] = replace(part, matured=(replace(matured, churned=~matured.churned),))


def _miss_a_trigger(said: Said) -> None:
    identity = next(iter(said.alerts))
    del said.alerts[identity], said.decisions[identity]


def _answer_twice(said: Said) -> None:
    (value,) = next(iter(said.alerts.values()))
    publish(said.alerts, orjson.loads(value) | {"alert_id": "another"}, "alert_id", "status", "tier")


def _contradict(said: Said) -> None:
    identity, values = next(iter(said.alerts.items()))
    said.alerts[identity] = values | {b" " + next(iter(values))}


def _leave_undecided(said: Said) -> None:
    none = next(i for i, values in said.decisions.items() if b'"none"' in min(values))
    del said.decisions[none]


def _decide_otherwise(said: Said) -> None:
    identity, values = next(iter(said.decisions.items()))
    other = orjson.loads(min(values)) | {"action": "none", "cost": 0.0, "twice": True}
    said.decisions[identity] = values | {orjson.dumps(other)}


def _drop_a_command(said: Said) -> None:
    del said.commands[next(iter(said.commands))]


def _command_twice(said: Said) -> None:
    (value,) = next(iter(said.commands.values()))
    order(said, orjson.loads(value) | {"command_id": "another"})


def _overspend(said: Said) -> None:
    for identity, values in said.decisions.items():
        said.decisions[identity] = {orjson.dumps(orjson.loads(min(values)) | {"cost": 11.0})}


def _crowd(said: Said) -> None:
    (value,) = next(iter(said.commands.values()))
    soon = orjson.loads(value)
    order(said, soon | {"command_id": "soon", "not_before": soon["ts"] + DAY_MS})


def _crowd_a_channel(said: Said) -> None:
    """One coupon more than a month allows, though not more than it allows of all channels together."""
    (value,) = next(iter(said.commands.values()))
    first = orjson.loads(value) | {"channel": "coupon"}
    for identity, later in (("one", 20 * DAY_MS), ("two", 35 * DAY_MS)):
        more = first | {"command_id": identity, "not_before": first["ts"] + later}
        order(said, more)


def _stop_deciding(said: Said) -> None:
    del said.parts[max(said.parts)]


def _decide_nothing(said: Said) -> None:
    said.parts.clear()


def _decide_unasked(said: Said) -> None:
    value = alert("c1-1", START, alert_id="never") | {"action": "none", "cost": 0.0}
    publish(said.decisions, value, "alert_id", "status", "tier")


def _refuse(said: Said) -> None:
    said.dead_letters = 1


def _raise_an_unexpected_episode(said: Said) -> None:
    value = alert("c1-1", START, kind="episode", status="resolved")
    publish(said.alerts, value, "alert_id", "status", "tier")


@pytest.mark.parametrize(
    ("spoil", "count"),
    [
        (_lose_an_event, "lost"),
        (_double_an_order, "doubled"),
        (_miscount_money, ""),
        (_forget_a_label, "labels_lost"),
        (_stop_deciding, "labels_lost"),
        (_decide_nothing, "labels_lost"),
        (_learn_twice, "labels_doubled"),
        (_mislabel, "labels_wrong"),
        (_miss_a_trigger, "triggers_missing"),
        (_answer_twice, "triggers_unexpected"),
        (_contradict, "alerts_contradicted"),
        (_leave_undecided, "decisions_missing"),
        (_decide_otherwise, "decisions_doubled"),
        (_drop_a_command, "commands_missing"),
        (_command_twice, "commands_doubled"),
        (_overspend, "budgets_exceeded"),
        (_crowd, "caps_exceeded"),
        (_crowd_a_channel, "caps_exceeded"),
        (_decide_unasked, "decisions_unasked"),
        (_refuse, "dead_letters"),
        (_raise_an_unexpected_episode, "alerts_unexpected"),
    ],
)
def test_whatever_goes_wrong_is_named(
    truth: Truth, said: Said, spoil: Callable[[Said], None], count: str
) -> None:
    calm = replace(said, alerts=dict(said.alerts))
    spoil(said)

    verdict = judge(truth, said, LIMITS, calm)

    assert not verdict.is_clean
    assert not count or verdict.figures()[count] > 0, verdict.faults
    assert count == "dead_letters" or verdict.first in truth.counts.index, "the customer is told"


@pytest.mark.parametrize("changes", [{"labels": -1}, {"labels": 1}, {"as_of": -DAY_MS}])
def test_models_that_do_not_know_every_label_once_are_named(
    truth: Truth, said: Said, changes: dict[str, int]
) -> None:
    known = {"labels": sum(map(len, truth.labels.values())), "as_of": truth.decided}
    said.models = msgspec.structs.replace(constant_models(0.5), **known)
    assert judge(truth, said, LIMITS).is_clean

    off = {name: known[name] + more for name, more in changes.items()}
    said.models = msgspec.structs.replace(said.models, **off)

    assert not judge(truth, said, LIMITS).is_clean


def test_an_alert_that_a_calm_run_raises_is_missed(truth: Truth, said: Said) -> None:
    calm = replace(said, alerts=defaultdict(set, said.alerts))
    _raise_an_unexpected_episode(calm)

    assert judge(truth, said, LIMITS, calm).alerts_missing == 1


@pytest.mark.parametrize("reason", ["held out", "no consent"])
def test_commands_to_whom_they_must_not_reach_are_named(truth: Truth, said: Said, reason: str) -> None:
    everybody = sorted(truth.triggers)
    user, ts = next(
        (user, ts)
        for user, ts in everybody
        if (truth.is_held_out(user) if reason == "held out" else not truth.may_contact(user, "email", ts, ts))
    )
    decision = alert(user, ts) | {"action": "email", "cost": 0.002, "command_id": "wrong"}
    said.decisions[decision["alert_id"], "opened", "high"] = {orjson.dumps(decision)}
    order(said, command(decision))

    verdict: Verdict = judge(truth, said, LIMITS)

    assert verdict.commands_forbidden >= 1
    assert verdict.first == user


def test_a_consent_counts_from_when_it_is_given_or_before_it_if_it_was_read() -> None:
    """E-mail is allowed on the 20th day, and refused on the 30th; a day is written in a second."""
    profiles = [
        {"type": "profile", "user_id": "ada", "event_id": str(day), "ts": START + day * DAY_MS}
        | {"consent": {"email": day == 20} if day in {20, 30} else {}}
        for day in range(40)
    ]
    records = [
        Record("customers", 0, n, None, orjson.dumps(body), n * 1_000) for n, body in enumerate(profiles)
    ]
    truth = Truth(records, RULES)

    def allowed(written: int) -> list[int]:
        return [day for day in range(40) if truth.may_contact("ada", "email", START + day * DAY_MS, written)]

    assert allowed(written=19_999) == list(range(21, 31))
    assert allowed(written=20_000) == list(range(31))
    assert not truth.may_contact("ada", "sms", START + 25 * DAY_MS, 40_000)


def test_a_customer_with_whom_something_is_wrong_is_told_of_in_full(truth: Truth, said: Said) -> None:
    """What was sent of them, and what was said."""
    _crowd(said)
    user = judge(truth, said, LIMITS).first
    assert user is not None

    names = {b"command_id": 0, b"tier": 0}
    for value in said.about(user):
        for name in names:
            names[name] += name in value
    assert min(names.values()) >= 2
    assert set(truth.history(user).type) >= {"profile", "purchase"}


@pytest.mark.parametrize("name", ["truth", "verdict"])
def test_the_verifier_runs_nothing_of_churnwatch(name: str) -> None:
    """In a process of its own, because tests import both."""
    look = (
        f"import sys, tests.storm.{name}; "
        "print({'features', 'models', 'interventions', 'streams'} & {m.split('.')[0] for m in sys.modules})"
    )
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
