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
from tests.storm.limits import Limits
from tests.storm.logs import Record
from tests.storm.operation import demanded
from tests.storm.said import Said
from tests.storm.truth import DAY_MS, Era, Rules, Truth
from tests.storm.verdict import judge
from tests.storm.workload import DISORDER_MS, LATENESS_MS, START, TOPICS, Shop, day_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.storm.counts import Verdict

DAYS = 12
#: Ticks come at the end of a day: the decision time of day n comes due at that of day n + 1.
ERAS = (Era(0, "rehearsal"), Era(day_start(5), "shadow"), Era(day_start(8), "live"))
FIRST_LIVE, HELD, DROPPED = day_start(7), day_start(9), day_start(10)
RULES = Rules(
    LATENESS_MS, horizon_days=3, active_within_days=6, salt="churnwatch", holdout_share=0.1, eras=ERAS
)
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
    """What a run says in which nothing goes wrong: history, shadow, live, and two steps that were held."""
    found = Said(rows=truth.counts.copy(), held={HELD: "held", DROPPED: "dropped"})
    for start, labels in truth.labels.items():
        found.parts[0, start + RULES.horizon_days * DAY_MS] = _part(start, labels)
    treated = defaultdict(int)
    for (user, ts), mark in sorted(truth.triggers.items()):
        raised = alert(user, ts, mark=mark)
        decision = raised | {"action": "none", "cost": 0.0}
        free = not treated[user] and not truth.is_held_out(user)
        if free and truth.may_contact(user, "email", ts, ts):
            treated[user] += 1
            decision |= {"action": "email", "cost": 0.002, "command_id": f"{user}{ts}"}
            order(found, command(decision))
        publish(found.alerts, raised, "alert_id", "status", "tier")
        publish(found.decisions, decision, "alert_id", "status", "tier")
    for user, ts, status, mark in demanded(truth, found.held):
        _raise(found, user, ts, status, mark)
    return found


def _raise(said: Said, user: str, ts: int, status: str, mark: str, **changes: Any) -> None:
    """An alert of the grid, and the decision to do nothing about it."""
    name = f"episode/{user}/{ts}"
    raised = alert(user, ts, alert_id=name, kind="episode", status=status, mark=mark) | changes
    publish(said.alerts, raised, "alert_id", "status", "tier")
    if status != "resolved":
        publish(said.decisions, raised | {"action": "none", "cost": 0.0}, "alert_id", "status", "tier")


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
    identity, mark = command["command_id"], command["mark"]
    # Events may have come after their time, when something else held.
    said.written[identity] = max(command["ts"], *(era.since for era in ERAS if era.mark == mark))
    if mark == "live":
        said.for_gateways.add(identity)


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


def _change(published: Any, chosen: Callable[[dict[str, Any]], bool], **changes: Any) -> dict[str, Any]:
    """Say otherwise what was said first of those chosen; returns what was said before."""
    for identity, found in published.items():
        value: dict[str, Any] = orjson.loads(min(found))
        if chosen(value):
            published[identity] = {orjson.dumps(value | changes)}
            return value
    raise AssertionError("the run says nothing of the kind")


def _is(**fields: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda value: fields.items() <= value.items()


def _say_live_of_history(said: Said) -> None:
    _change(said.alerts, _is(kind="episode", mark="rehearsal"), mark="live")


def _answer_live_of_history(said: Said) -> None:
    _change(said.alerts, _is(kind="trigger", mark="rehearsal"), mark="live")


def _rehearse_the_present(said: Said) -> None:
    _change(said.alerts, _is(mark="live"), mark="rehearsal")


def _decide_under_another_mark(said: Said) -> None:
    _change(said.decisions, _is(mark="shadow", action="none"), mark="live")


def _command_under_another_mark(said: Said) -> None:
    _change(said.commands, _is(mark="shadow"), mark="rehearsal")


def _hand_gateways_a_shadow(said: Said) -> None:
    said.for_gateways.add(_change(said.commands, _is(mark="shadow"))["command_id"])


def _keep_a_live_command_from_gateways(said: Said) -> None:
    said.for_gateways.remove(_change(said.commands, _is(mark="live"))["command_id"])


def _command_before_the_shop_is_live(said: Said) -> None:
    said.written[_change(said.commands, _is(mark="live"))["command_id"]] = day_start(6)


def _forget_whom_only_a_rehearsal_alarmed(said: Said) -> None:
    first = _is(kind="episode", status="opened", ts=FIRST_LIVE)
    identity = next(i for i, found in said.alerts.items() if first(orjson.loads(min(found))))
    del said.alerts[identity], said.decisions[identity]


def _alarm_again_after_the_hand_over(said: Said) -> None:
    again = _change(said.alerts, _is(kind="episode", status="opened", ts=FIRST_LIVE))
    _raise(said, again["user_id"], FIRST_LIVE, "opened", "live", alert_id="again")


def _heed_a_hold_in_all_partitions_but_one(said: Said) -> None:
    _raise(said, "c1-1", HELD, "opened", "live")


def _escalate_while_held(said: Said) -> None:
    _raise(said, "c1-1", DROPPED, "escalated", "live")


def _alarm_after_all_whom_an_operator_dropped(said: Said) -> None:
    said.held[DROPPED] = "held"


def _hold_a_step_that_was_believable(said: Said) -> None:
    del said.held[HELD]


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
        (_say_live_of_history, "mismarked"),
        (_answer_live_of_history, "mismarked"),
        (_rehearse_the_present, "mismarked"),
        (_decide_under_another_mark, "mismarked"),
        (_command_under_another_mark, "mismarked"),
        (_hand_gateways_a_shadow, "commands_misplaced"),
        (_keep_a_live_command_from_gateways, "commands_misplaced"),
        (_command_before_the_shop_is_live, "commands_misplaced"),
        (_forget_whom_only_a_rehearsal_alarmed, "alerts_missing"),
        (_alarm_again_after_the_hand_over, "alerts_unexpected"),
        (_heed_a_hold_in_all_partitions_but_one, "alarmed_while_held"),
        (_escalate_while_held, "alarmed_while_held"),
        (_alarm_after_all_whom_an_operator_dropped, "alerts_missing"),
        (_hold_a_step_that_was_believable, "alerts_missing"),
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


def test_who_must_be_alarmed_follows_from_purchases_the_shop_s_operation_and_what_was_held() -> None:
    """ada buys in the middle of days 0 and 3, bob of day 8; who was silent for six days is active no more."""
    orders = [_order("ada", 0), _order("ada", 3), _order("bob", 8)]
    truth = Truth(sorted([*orders, *_ticks()], key=lambda record: record.written), RULES)

    def alarms(held: str) -> list[tuple[str, int, str, str]]:
        found = demanded(truth, {HELD: held} if held else {})
        return sorted((user, (ts - START) // DAY_MS, status, mark) for user, ts, status, mark in found)

    ada = [
        ("ada", 1, "opened", "rehearsal"),
        ("ada", 4, "opened", "shadow"),
        ("ada", 7, "opened", "live"),
    ]
    assert alarms("") == [*ada, ("bob", 9, "opened", "live")]
    assert alarms("held") == [*ada, ("bob", 10, "opened", "live")]
    assert alarms("dropped") == ada


def _order(user: str, day: int) -> Record:
    ts = day_start(day) + DAY_MS // 2
    order = {"type": "purchase", "user_id": user, "event_id": f"{user}{day}", "ts": ts, "value": 1.0}
    return Record("orders", 0, day, None, orjson.dumps(order), ts)


def _ticks() -> Iterator[Record]:
    for topic in TOPICS:
        for day in range(DAYS):
            tick = orjson.dumps({"type": "tick", "ts": day_start(day + 1) - DISORDER_MS})
            yield Record(topic, 0, DAYS + day, None, tick, day_start(day + 1))


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


@pytest.mark.parametrize("name", ["truth", "operation", "verdict"])
def test_the_verifier_runs_nothing_of_churnwatch(name: str) -> None:
    """In a process of its own, because tests import both."""
    look = (
        f"import sys, tests.storm.{name}; "
        "print({'features', 'models', 'interventions', 'streams'} & {m.split('.')[0] for m in sys.modules})"
    )
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
