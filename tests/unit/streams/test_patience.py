"""Patience: what is waited for, what is not, and who waits."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    NotEnoughReplicasError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from streams import patience as module
from streams.patience import Patience, is_away
from streams.sending import Message, Sender, SendError
from tests.fakes import FakeBroker


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.001)
    return Patience()


async def sent(trouble: str) -> SendError:
    """What a sender makes of trouble."""
    broker = FakeBroker()
    broker.trouble = lambda _: trouble
    with pytest.raises(SendError) as error:
        await Sender(broker, 0.01).send("t", 0, [Message(b"k", b"v")])  # type: ignore[arg-type]
    return error.value


@pytest.mark.parametrize("error", [KafkaConnectionError("no broker"), NotEnoughReplicasError()])
def test_a_broker_that_does_not_answer_or_cannot_just_now_is_away(error: Exception):
    assert is_away(error)


@pytest.mark.parametrize(
    "error", [TopicAuthorizationFailedError("t"), UnknownTopicOrPartitionError(), OSError("no space left")]
)
def test_what_waiting_does_not_mend_is_not_away(error: Exception):
    assert not is_away(error)


async def test_a_write_that_is_not_confirmed_is_waited_for_and_a_refused_one_is_not():
    assert is_away(await sent("lose the answer"))
    assert not is_away(await sent("refuse"))


async def test_it_tries_until_the_broker_is_back_and_says_meanwhile_who_waits(patience: Patience):
    answers: list[Any] = [KafkaConnectionError("no broker")] * 5 + ["an answer"]
    waiting = []

    async def attempt() -> str:
        waiting.append(patience.waiting)
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return str(answer)

    assert await patience.outlast("models", attempt) == "an answer"
    assert waiting == [[], *[["models"]] * 5]
    assert patience.waiting == []


async def test_another_error_is_raised_at_once(patience: Patience):
    async def attempt() -> None:
        raise TopicAuthorizationFailedError("models")

    with pytest.raises(TopicAuthorizationFailedError):
        await patience.outlast("models", attempt)


async def test_the_log_says_that_the_broker_is_away_and_that_it_is_back_once_each(
    patience: Patience, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO):
        patience.met("lag")
        for _ in range(9):
            patience.missed("lag", TimeoutError())
        patience.met("lag")
        patience.met("lag")

    assert [each.message for each in caplog.records] == [
        "the broker is away: waiting for it",
        "the broker is back",
    ]


async def test_who_is_stopped_while_waiting_does_not_say_that_the_broker_came(
    patience: Patience, caplog: pytest.LogCaptureFixture
):
    async def attempt() -> None:
        raise KafkaConnectionError("no broker")

    with caplog.at_level(logging.INFO):
        waiting = asyncio.create_task(patience.outlast("recovery", attempt))
        while not patience.waiting:  # noqa: ASYNC110 - told by nobody
            await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.wait([waiting])

    assert [each.message for each in caplog.records] == ["the broker is away: waiting for it"]


async def test_whoever_is_given_up_waits_no_longer(patience: Patience):
    async def attempt() -> None:
        raise KafkaConnectionError("no broker")

    waiting = asyncio.create_task(patience.outlast("recovery", attempt))
    while not patience.waiting:  # noqa: ASYNC110 - told by nobody
        await asyncio.sleep(0.001)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert patience.waiting == []
