from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from features.events import Tick
from features.grid import DecisionGrid
from features.inputs import TOPIC_OF
from features.layout import DAY_MS, TOPICS
from features.money import Currencies
from features.observing import REPLAY_HEADER, Record
from features.returns import PRIOR
from models import sweeping
from models.alerts import TierLevels
from models.backtest import Backtest, Line, Step
from models.groups import UNKNOWN
from models.record import CHAMPION
from models.trainer import Trainer
from models.trainer_config import TrainerConfig
from models.versions import initial_models
from tests.building import SESSION, START, config, day, event, quick_fit
from tests.building import core as new_core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.config import CoreConfig

SETTINGS = config(
    horizon_days=6,
    active_within_days=15,
    grid=DecisionGrid(3),
    evict_after_days=60,
    lateness_ms=DAY_MS,
    audit=("age",),
)
TRAINER = TrainerConfig(partitions=4, contenders=("logistic",), horizon_days=6, every_days=3, min_labels=0)
NOON = 0.5


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.trainer.fit", quick_fit)


def line(payload: dict[str, object]) -> Line:
    value = msgspec.json.encode(payload)
    return Line(TOPIC_OF[str(payload["type"])], str(payload["user_id"]), int(str(payload["ts"])), value)


@cache
def log() -> list[Line]:
    """Events stamped at noon, as logs of day resolution are, behind a first purchase."""
    rng = random.Random(0)
    payloads = [
        event(rng.choice(["purchase", "purchase", "view_item"]), f"u{user}", day(number + NOON))
        for number in range(25)
        for user in range(12)
        if rng.random() < 0.2
    ]
    first = event("purchase", "u0", day(0.1))
    profiles = [
        event("profile", f"u{user}", day(0.2), attributes={"age": f"{user % 3 + 2}0"}) for user in range(9)
    ]
    return [line(payload) for payload in (first, *profiles, *payloads)]


def run(lines: Iterable[Line], settings: CoreConfig = SETTINGS) -> tuple[Backtest, list[Step]]:
    backtest = Backtest(settings, TRAINER, Currencies())
    return backtest, list(backtest.run(lines))


@cache
def whole() -> tuple[Backtest, list[Step]]:
    """The backtest of `log()`, run once for all who only look at it."""
    return run(log())


def test_it_equals_feeding_the_core_and_the_trainer_by_hand():
    lines = log()
    backtest, steps = whole()
    trainer = Trainer(replace(TRAINER, partitions=1))
    models = initial_models("logistic", ("logistic",), START)
    grid = DecisionGrid(3, START)
    settings = replace(SETTINGS, grid=grid)
    core = new_core(settings)
    core.attend(SESSION)
    offsets = dict.fromkeys(TOPICS, 0)
    for step in steps:
        for topic in reversed(TOPICS):
            mine = [x for x in lines if x.topic == topic and step.ts - 3 * DAY_MS <= x.ts < step.ts]
            values = [(x.user_id.encode(), x.value) for x in mine]
            values.append((None, msgspec.json.encode(Tick(ts=step.ts, session=SESSION))))
            for key, value in values:
                core.observe(topic, [Record(offsets[topic], key, value, 0, ((REPLAY_HEADER, b"1"),))])
                offsets[topic] += 1
        assert core.due(core.watermark()) == step.ts
        trainer.receive_part(sweeping.mature(core, step.ts, models))
        list(trainer.learn(step.ts))
        models = trainer.models()
        sweep = sweeping.sweep(core, step.ts, models)
        mine = dict(zip((core.table.name(s) for s in sweep.slots), sweep.probabilities.tolist(), strict=True))
        assert mine == pytest.approx(
            dict(zip(step.users, step.probabilities.tolist(), strict=True)), abs=2e-6
        )
        assert step.models == models

    assert backtest.core is not None
    assert (backtest.core.durable_swept, backtest.core.table.fork_count) == (steps[-1].ts, 0)
    assert trainer.record[CHAMPION].auc == pytest.approx(backtest.trainer.record[CHAMPION].auc, abs=1e-9)
    assert backtest.trainer.labels == trainer.labels > 30
    assert backtest.trainer.drifts == trainer.drifts
    assert backtest.trainer.stability == pytest.approx(trainer.stability, abs=1e-9)
    assert any(trainer.stability.values())
    groups = [
        {value: counts.to_json() for value, counts in each.groups["age"].items()}
        for each in (backtest.trainer, trainer)
    ]
    assert groups[0] == groups[1]
    assert list(groups[0]) == ["20", "30", "40", UNKNOWN]


def test_tiers_by_capacity_hold_few_customers_and_are_stated_in_each_alert(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.trainer.fit", lambda *_: PRIOR)
    alone = replace(TRAINER, contenders=("return_probability",))
    # Everybody buys at a pace of their own; one after the other stops.
    buys = [
        event("purchase", f"u{user}", day(number + NOON))
        for number in range(60)
        for user in range(60)
        if number % (user % 5 + 2) == 0 and number < 20 + user
    ]
    backtest = Backtest(replace(SETTINGS, thresholds=None), alone, Currencies())
    steps = list(backtest.run(line(payload) for payload in buys))

    alerts = [alert for step in steps for alert in step.alerts]
    assert {a.tier for a in alerts if a.status != "resolved"} == {"medium", "high", "critical"}
    for step in steps:
        found = step.models.thresholds
        said = {alert.thresholds for alert in step.alerts}
        assert said <= {TierLevels.of(found)}
        if found is not None:
            assert (step.sweep.tiers == found.tiers(step.probabilities)).all()
    above = np.array([[(step.sweep.tiers >= tier).mean() for tier in (1, 2, 3)] for step in steps])
    assert (above[3:] <= np.array([0.15, 0.05, 0.02]) + 1 / 60).all()
    assert (above[3:].mean(axis=0) > np.array([0.03, 0.01, 0.0])).all()


def test_every_active_customer_has_a_prediction_at_every_decision_time():
    lines = log()
    bought = [(x.user_id, x.ts) for x in lines if b'"purchase"' in x.value]
    _, steps = whole()

    assert [step.ts for step in steps] == [day(n) for n in range(3, 25, 3)]
    for step in steps:
        active = {
            u for u, ts in bought if ts < step.ts and step.ts - max_before(bought, u, step.ts) <= 15 * DAY_MS
        }
        assert sorted(step.users) == sorted(active)
        assert ((step.probabilities > 0) & (step.probabilities < 1)).all()


def max_before(bought: list[tuple[str, int]], user: str, ts: int) -> int:
    return max(when for u, when in bought if u == user and when < ts)


def test_decision_times_begin_one_step_after_the_first_day_and_end_before_the_last_event():
    lines = [line(event("purchase", "anna", day(when))) for when in (2.9, 4.1, 11.0)]
    _, steps = run(lines)

    assert [step.ts for step in steps] == [day(5), day(8), day(11)]


def test_an_event_on_a_decision_time_belongs_behind_it():
    lines = [line(event("purchase", "anna", day(when))) for when in (0.0, 3.0)]
    backtest, steps = run(lines)

    assert [step.users for step in steps] == [["anna"]]
    assert steps[0].sweep.ts == backtest.newest == day(3)
    assert backtest.core is not None
    assert backtest.core.cohorts[day(3)].recency.tolist() == [3]


def test_a_label_whose_window_ends_behind_the_log_is_never_learned():
    """Anna may come back on the day after the log was taken."""
    lines = [line(event("purchase", "anna", day(when))) for when in (0.5, 8.5)]
    backtest, steps = run(lines)
    longer, _ = run([*lines, line(event("purchase", "bert", day(9.5)))])

    assert [step.ts for step in steps] == [day(3), day(6)]
    assert (backtest.trainer.labels, longer.trainer.labels) == (0, 1)


def test_before_the_first_label_the_return_probability_speaks_and_afterwards_labels_do():
    _, steps = whole()
    labels = [step.models.labels for step in steps]

    assert labels[:2] == [0, 0]
    assert labels[2] > 0
    assert [step.models.number for step in steps] == list(range(1, len(steps) + 1))
    weights = steps[0].models.scorers["logistic"].weights
    assert np.flatnonzero(weights).tolist() == [0]


def test_disorder_within_the_allowed_lateness_does_not_matter():
    lines = log()
    rng = random.Random(1)
    first, *others = lines
    shuffled = [first, *sorted(others, key=lambda x: ((x.ts - START) // (3 * DAY_MS), rng.random()))]
    patient = replace(SETTINGS, lateness_ms=3 * DAY_MS)
    (_, one), (_, other) = run(lines, patient), run(shuffled, patient)

    for mine, theirs in zip(one, other, strict=True):
        by_user = dict(zip(mine.users, mine.probabilities.tolist(), strict=True))
        assert dict(zip(theirs.users, theirs.probabilities.tolist(), strict=True)) == pytest.approx(
            by_user, abs=2e-6
        )


def test_a_log_that_is_not_in_time_order_is_refused():
    lines = [line(event("purchase", "anna", day(when))) for when in (0.5, 9.5, 2.5)]

    with pytest.raises(ValueError, match="sort first"):
        run(lines)


def test_events_alerts_and_refusals_are_counted_and_reported():
    good = [line(event("purchase", "anna", day(0.5))), line(event("refund", "anna", day(1)))]
    bad = [Line("orders", "anna", day(1.5), b"{"), Line("orders", "anna", day(1.6), good[1].value)]
    seen: list[int] = []
    backtest = Backtest(config(grid=DecisionGrid(1)), TRAINER, Currencies())
    steps = list(backtest.run([*good, *bad, line(event("purchase", "ben", day(8)))], seen.append))

    assert backtest.rejected == {"malformed_json": 1}
    assert (backtest.events, backtest.late, seen[-1]) == (5, 0, 5)
    alerts = [alert for step in steps for alert in step.alerts]
    assert {alert.kind for alert in alerts} == {"episode", "trigger"}
    assert {alert.mark for alert in alerts} == {"rehearsal"}
    assert backtest.core is not None
    assert backtest.core.pending == {}


def test_nothing_to_read_is_nothing_to_judge():
    assert run([])[1] == []


def test_two_runs_are_equal_to_the_last_bit():
    (_, one), (_, other) = whole(), run(log())

    for mine, theirs in zip(one, other, strict=True):
        assert mine.models == theirs.models
        np.testing.assert_array_equal(mine.probabilities, theirs.probabilities)
        assert mine.alerts == theirs.alerts
