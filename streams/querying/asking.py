"""The asker's side: one question, and the answer of whoever owns what it is about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition

from streams.authorisation import require_rights
from streams.context import wall_clock_ms
from streams.querying.messages import Answer, Failure, Query, answer_decoder, new_request_id
from streams.readers import bounds, polled, reader
from streams.rights import INSPECTOR

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

    from streams.sections import Kafka

Result = TypeVar("Result")

#: How long an answer is waited for, unless asked otherwise.
PATIENCE_SECONDS: Final = 5.0


class NoAnswerError(RuntimeError):
    """Nobody answered in time."""


class QueryError(RuntimeError):
    """A worker answered that it has no result."""

    def __init__(self, code: Failure, message: str) -> None:
        super().__init__(message)
        self.code = code


async def ask(
    kafka: Kafka,
    kind: str,
    arguments: msgspec.Struct,
    result: type[Result],
    seconds: float = PATIENCE_SECONDS,
) -> Result:
    """The result of a query, of the type that its kind gives.

    Raises QueryError, NoAnswerError after `seconds`, RightsError without the right to ask, and KafkaError.
    """
    topics, options = kafka.topics(), kafka.client_options()
    await require_rights(INSPECTOR, topics, options)
    answers = TopicPartition(topics["answers"], 0)
    async with reader(options, answers) as consumer, AIOKafkaProducer(**options) as producer:
        consumer.seek(answers, (await bounds(consumer, answers))[1])
        query = Query(
            request_id=new_request_id(),
            kind=kind,
            arguments=msgspec.Raw(msgspec.json.encode(arguments)),
            deadline=wall_clock_ms() + round(seconds * 1000),
        )
        key = query.request_id.encode()
        try:
            async with asyncio.timeout(seconds):
                await producer.send_and_wait(topics["queries"], msgspec.json.encode(query), key)
                answer = await _answer(consumer, answers, key)
        except TimeoutError:
            raise NoAnswerError(
                f"no worker of group {kafka.group} answered within {seconds:g} s: is `churnwatch worker` "
                "running, and is it ready?"
            ) from None
    if answer.error is not None:
        raise QueryError(answer.error.code, answer.error.message)
    return msgspec.json.decode(answer.result, type=result)


async def _answer(consumer: AIOKafkaConsumer, tp: TopicPartition, key: bytes) -> Answer:
    """The answer to the query of this key, among those of other askers."""
    while True:
        for record in (await polled(consumer, tp, timeout_ms=1000)).get(tp, ()):
            if record.key == key:
                return answer_decoder.decode(record.value or b"")
