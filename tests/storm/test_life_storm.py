"""A shop's life under kill -9: history, shadow, live, outages; and a replayer that is killed itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.storm.life import lived
from tests.storm.operation import demanded
from tests.storm.outcome import report
from tests.storm.record import record
from tests.storm.relearning import relearned
from tests.storm.scenario import BrokenOff, Days, History, Mode, Phase, Word
from tests.storm.truth import DAY_MS
from tests.storm.workload import START

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storm.outcome import Outcome

pytestmark = [pytest.mark.broker, pytest.mark.kafka, pytest.mark.slow]

ARRIVALS = 40

#: Trade lifts the first hold, an operator the second, in the midst of an outage of three days.
HANDED_OVER: tuple[Phase, ...] = (
    History(days=28, kills=(6, 18)),
    Days(4, kills=(1,)),
    Mode("live"),
    Days(5, kills=(0,)),
    Days(2, kills=(1,), closed=True),
    Days(5),
    Days(2, closed=True),
    Word("release"),
    Days(1, kills=(0,), closed=True),
    Days(5),
)
#: The shop tells itself what came behind the day of the cut. What is held back is dropped in the end.
CUT_OFF: tuple[Phase, ...] = (
    BrokenOff(days=28, after=20),
    Days(6, kills=(0,)),
    Mode("live"),
    Days(3, kills=(1,)),
    Days(2, closed=True),
    Word("drop"),
    Days(1, kills=(0,), closed=True),
    Days(5, kills=(1,)),
)


async def test_a_shop_goes_live_under_kills_and_alarms_whom_it_should_when_it_may(
    bootstrap: str, tmp_path: Path
) -> None:
    outcome = await lived(bootstrap, tmp_path, HANDED_OVER, ARRIVALS)

    _hold(outcome, "going live", kills=6)
    # A day is judged at the midnight that ends it: both days of the first outage, and one of the second.
    assert _held(outcome) == {38: "held", 39: "held", 45: "held"}


async def test_a_replay_whose_replayer_is_killed_leaves_a_shop_that_goes_live_all_the_same(
    bootstrap: str, tmp_path: Path
) -> None:
    outcome = await lived(bootstrap, tmp_path, CUT_OFF, ARRIVALS)

    _hold(outcome, "replayer killed", kills=4)
    assert list(_held(outcome).values()) == ["held", "dropped", "dropped"]


def _hold(outcome: Outcome, name: str, kills: int) -> None:
    print(report(outcome), _held(outcome))
    record(name, outcome)
    assert outcome.verdict.is_clean, report(outcome)
    assert outcome.chronicle.kills >= kills
    marks = {mark for *_, mark in demanded(outcome.truth, outcome.said.held)}
    assert marks == {"rehearsal", "shadow", "live"}
    assert min(outcome.verdict.alerts, outcome.verdict.commands, outcome.verdict.labels_learned) > 1_000
    assert outcome.said.models == relearned(outcome.said, outcome.settings)


def _held(outcome: Outcome) -> dict[int, str]:
    """Days since the first, at whose midnight alerts were held, but for those behind the last event."""
    last = outcome.truth.sent.ts.max()
    return {(ts - START) // DAY_MS: state for ts, state in outcome.said.held.items() if ts <= last}
