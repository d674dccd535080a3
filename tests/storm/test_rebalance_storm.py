"""Workers come, go, and sleep beyond their session while they learn: nothing is lost or learned twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.storm.outcome import report
from tests.storm.record import record
from tests.storm.relearning import relearned
from tests.storm.storm import weather
from tests.storm.troubles import comings_and_goings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.broker, pytest.mark.kafka, pytest.mark.slow]

SESSION_SECONDS = 6.0
ZOMBIE_SECONDS = 15.0


async def test_zombies_and_a_group_that_never_rests_lose_nothing_and_double_nothing(
    bootstrap: str, tmp_path: Path
) -> None:
    outcome = await weather(
        bootstrap,
        tmp_path,
        comings_and_goings(20, ZOMBIE_SECONDS),
        events=300_000,
        arrivals=1_200,
        backlog=25_000,
        session_seconds=SESSION_SECONDS,
        learning=True,
    )

    print(report(outcome))
    record("rebalance storm", outcome)
    assert outcome.verdict.is_clean, report(outcome)
    assert outcome.chronicle.pauses >= 10
    assert outcome.verdict.labels_learned > 50_000
    assert outcome.said.models == relearned(outcome.said, outcome.settings)
