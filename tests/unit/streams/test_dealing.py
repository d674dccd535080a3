"""A group's leader deals partitions once the broker tells of all topics, which may take it a while."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator

from streams import membership
from streams.membership import Membership


class Leader(Membership):
    """A leader whose broker tells of its topics after so many questions."""

    def __init__(self, questions: int) -> None:
        self.asked, self._questions = 0, questions
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(topics={"orders", "reviews"}))
        self._cluster = self._client = self
        self._retry_backoff_ms = 0

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {0, 1} if topic == "orders" or self.asked >= self._questions else None

    async def force_metadata_update(self) -> None:
        self.asked += 1


@pytest.fixture(autouse=True)
def _dealing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def deal(leader: Any, _: Any) -> bool:
        return bool(leader.partitions_for_topic("reviews"))

    monkeypatch.setattr(GroupCoordinator, "_perform_assignment", deal)


async def test_a_leader_asks_until_all_topics_are_known():
    leader = Leader(questions=3)

    assert await leader._perform_assignment(None)
    assert leader.asked == 3


async def test_a_leader_that_knows_all_topics_does_not_ask():
    leader = Leader(questions=0)

    assert await leader._perform_assignment(None)
    assert leader.asked == 0


async def test_a_topic_that_stays_away_does_not_keep_the_group_waiting_for_ever(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(membership, "_UNKNOWN_SECONDS", 0.01)
    leader = Leader(questions=10**9)

    assert not await leader._perform_assignment(None)
    assert leader.asked > 0
