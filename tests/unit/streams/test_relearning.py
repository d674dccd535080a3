"""A running system's report: `examples`, `models` and `scores` give the figures of the backtest."""

from __future__ import annotations

import random
from io import StringIO
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from rich.console import Console

from features.hashing import partition_of
from models.backtest import Backtest, Line
from models.journal import Journal
from models.versions import records
from streams.relearning import Relearning, Scores
from streams.reporting import backtest_figures, live_figures
from streams.scores import scores
from streams.settings import Settings, load
from streams.sources import SourceEvent
from tests.building import START, day, event, quick_fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.report import Report
    from tests.fakes import FakeBroker


class Source:
    """Forty customers over thirty days, of whom some stop buying."""

    name = "small"
    ordered = True
    total = None

    def __init__(self) -> None:
        rng = random.Random(1)
        times = [
            (rng.uniform(0, until), f"u{number}")
            for number, until in enumerate(rng.choices([6, 30], k=40))
            for _ in range(6)
        ]
        self.events = [
            SourceEvent("orders", user, day(at), msgspec.json.encode(event("purchase", user, day(at))))
            for at, user in sorted(times)
        ]

    def __iter__(self) -> Iterator[SourceEvent]:
        return iter(self.events)


SOURCE = Source()
QUIET = Console(file=StringIO())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.trainer.fit", quick_fit)


@pytest.fixture
def settings() -> Settings:
    model = {
        "horizon_days": 5,
        "every_days": 5,
        "active_within_days": 10,
        "grid_anchor": "2022-01-08",
        "contenders": ["additive", "second_order"],
    }
    assert START == 1_641_600_000_000
    return load(None, kafka={"partitions": 1}, model=model, alerting={"medium": 0.4, "high": 0.5})


def deploy(broker: FakeBroker, settings: Settings) -> None:
    """Put on the broker what a deployment that lived through the log leaves there."""
    backtest = Backtest(settings.core(), settings.trainer(), settings.currencies())
    receive = backtest.trainer.receive_part

    def both(part: object) -> None:
        for message in part.messages():  # type: ignore[attr-defined]
            broker.logs["examples", 0].append(None, message)
        receive(part)  # type: ignore[arg-type]

    backtest.trainer.receive_part = both  # type: ignore[method-assign]
    for step in backtest.run(Line(*each) for each in SOURCE):
        for key, value in records(step.models, backtest.trainer.portable_states()):
            broker.logs["models", 0].append(key, value)
        assert backtest.core is not None
        for output in scores(backtest.core, step.sweep, step.models):
            broker.logs["scores", partition_of(output.key, 1)].append(output.key, output.value)


def known(report: Report) -> dict[str, object]:
    """What both can know; counts by name as plain lists."""
    told = (
        "as_of",
        "champion",
        "labels",
        "risk",
        "now",
        "standings",
        "quality",
        "drifts",
        "stability",
        "tiers",
    )
    counts = {name: each.to_json() for name, each in report.judged.items()}
    return {**{name: getattr(report, name) for name in told}, "judged": counts}


async def test_a_running_system_has_the_figures_of_the_backtest(broker: FakeBroker, settings: Settings):
    deploy(broker, settings)

    live = await live_figures(settings, QUIET)

    backtested = backtest_figures(settings, SOURCE, QUIET)  # type: ignore[arg-type]
    assert live.labels > 50
    assert known(live) == known(backtested)
    # Of decision times between the newest and those that matured nothing is kept on the broker.
    matured = {q.decision_time for q in live.quality}
    assert [m for m in backtested.moments if m.ts in {*matured, live.as_of}] == list(live.moments)
    assert (live.live, live.name) == (True, "churnwatch")


async def test_an_empty_broker_makes_an_empty_report(broker: FakeBroker, settings: Settings):
    live = await live_figures(settings, QUIET)

    assert (live.labels, live.now, live.trust) == (0, None, None)


async def test_a_broken_example_is_counted_and_the_rest_is_learned(broker: FakeBroker, settings: Settings):
    broker.logs["examples", 0].append(None, b"nonsense")
    deploy(broker, settings)
    said = StringIO()

    live = await live_figures(settings, Console(file=said))

    assert live.labels > 50
    assert "cannot be learned from: 1" in said.getvalue()


def test_examples_that_were_sent_twice_count_once(settings: Settings):
    again = Relearning(settings.core(), settings.trainer())
    found = FakeLog()
    deploy(found, settings)  # type: ignore[arg-type]
    for value in [*found.examples, *found.examples]:
        again.take(value)

    once = Relearning(settings.core(), settings.trainer())
    for value in found.examples:
        once.take(value)

    assert again.trainer.labels == once.trainer.labels > 50
    assert again.journal.moments == once.journal.moments
    np.testing.assert_array_equal(again.inputs, once.inputs)
    assert isinstance(again.journal, Journal)


class FakeLog:
    """As much of a broker as `deploy` writes to."""

    def __init__(self) -> None:
        self.examples: list[bytes] = []
        self.logs = self

    def __getitem__(self, place: tuple[str, int]) -> FakeLog:
        self._topic = place[0]
        return self

    def append(self, _: bytes | None, value: bytes | None) -> None:
        if self._topic == "examples" and value is not None:
            self.examples.append(value)


class TestScores:
    @staticmethod
    def score(ts: int, probability: float) -> bytes:
        return msgspec.json.encode(
            {
                "user_id": "u",
                "ts": ts,
                "probability": probability,
                "tier": "none",
                "model": {"name": "pool", "version": 1},
                "horizon_days": 5,
            }
        )

    def take(self, *said: tuple[int, str, bytes | None]) -> tuple[int, list[float]]:
        found = Scores(every_days=5)
        for partition, user, value in said:
            found.take(partition, user.encode(), value)
        ts, probabilities = found.newest()
        return ts, sorted(probabilities.tolist())

    def test_of_a_customer_the_last_word_counts(self):
        said = (0, "ada", self.score(day(5), 0.1)), (0, "ada", self.score(day(10), 0.2))

        assert self.take(*said) == (day(10), [0.2])

    def test_who_is_active_no_more_does_not_count(self):
        said = (0, "ada", self.score(day(5), 0.1)), (0, "eve", self.score(day(10), 0.2))

        assert self.take(*said) == (day(10), [0.2])

    def test_who_was_erased_does_not_count(self):
        said = (0, "ada", self.score(day(5), 0.1)), (0, "eve", self.score(day(5), 0.2)), (0, "ada", None)

        assert self.take(*said) == (day(5), [0.2])

    def test_a_partition_that_is_one_decision_time_behind_counts_and_a_deserted_one_does_not(self):
        said = (
            (0, "ada", self.score(day(10), 0.1)),
            (1, "eve", self.score(day(5), 0.2)),
            (2, "bob", self.score(day(0), 0.3)),
        )

        assert self.take(*said) == (day(10), [0.1, 0.2])

    def test_before_the_first_sweep_there_are_none(self):
        assert self.take() == (0, [])
