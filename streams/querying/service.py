"""The worker's side: read every query, answer those about partitions that are owned here.

Nothing that happens here holds events up or ends the worker, but for a right that is lost: one query is
answered at a time, from memory; those that come too late or are for others are counted and passed over.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
import traceback
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from models.wire import UNREADABLE
from streams.logs import logger
from streams.querying.desk import KINDS, Desk
from streams.querying.messages import NOTHING, Answer, Error, Query, query_decoder
from streams.readers import BrokenBatchError, bounds, polled, reader
from streams.sending import Message, SendError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

    from streams.context import Context

log = logger(__name__)

#: A fetch comes back at once on Kafka when there is a query; the embedded broker lets it wait.
_FETCH_WAIT_MS: Final = 100
#: Queries that are taken at a time. What waits behind them expires where it stands.
_AT_ONCE: Final = 50


class QueryService:
    """Follows `queries` from the moment it starts: who asked before that asks again."""

    def __init__(self, context: Context, desk: Desk) -> None:
        self._context = context
        self._desk = desk
        self._topics = context.topics
        self._worker = f"{socket.gethostname()}/{os.getpid()}"

    async def follow(self) -> None:
        """Answer until cancelled; waits for a broker that is away. Raises RightsError."""
        tp = TopicPartition(self._topics["queries"], 0)
        async with AsyncExitStack() as stack:
            consumer = await self._context.patience.outlast("queries", lambda: self._open(stack, tp))
            while True:
                try:
                    found = await polled(consumer, tp, timeout_ms=1000, max_records=_AT_ONCE)
                except OffsetOutOfRangeError:
                    # The topic keeps an hour, or was made anew: nobody waits for what is gone.
                    consumer.seek(tp, (await bounds(consumer, tp))[1])
                    continue
                except BrokenBatchError as error:
                    self._count("", "unreadable")
                    consumer.seek(tp, error.batch.until)
                    continue
                for record in found.get(tp, ()):
                    await self.take(record)

    async def _open(self, stack: AsyncExitStack, tp: TopicPartition) -> AIOKafkaConsumer:
        async with AsyncExitStack() as opening:
            options = self._context.engine.client_options
            consumer = await opening.enter_async_context(reader(options, tp, fetch_wait_ms=_FETCH_WAIT_MS))
            consumer.seek(tp, (await bounds(consumer, tp))[1])
            stack.push_async_callback(opening.pop_all().aclose)
            return consumer

    async def take(self, record: Any) -> None:
        """Answer one record of `queries`, if it is for this worker."""
        try:
            query = query_decoder.decode(record.value or b"")
        except UNREADABLE:
            self._count("", "unreadable")
            return
        if self._context.now() > query.deadline:
            self._count(query.kind, "expired")
            return
        began = time.perf_counter()
        found = self._answer(query)
        self._context.metrics.query_seconds.observe(time.perf_counter() - began)
        if found is None:
            self._count(query.kind, "elsewhere")
        else:
            await self._send(query, found)
        # Events come first: whatever waited for the loop meanwhile goes on before the next query.
        await asyncio.sleep(0)

    def _answer(self, query: Query) -> bytes | Error | None:
        try:
            return self._desk.answer(query.kind, query.arguments)
        except Exception as error:  # noqa: BLE001 - see below
            # Whatever a query finds, the worker goes on. What the error says may name a customer, so the log
            # has its place alone.
            place = traceback.extract_tb(error.__traceback__)[-1]
            why, at = type(error).__name__, f"{place.filename}:{place.lineno}"
            log.warning("a query could not be answered", kind=_known(query.kind), why=why, at=at)
            return Error(code="failed", message=f"{why} in the worker {self._worker}, whose log says where")

    async def _send(self, query: Query, found: bytes | Error) -> None:
        error, result = (found, NOTHING) if isinstance(found, Error) else (None, msgspec.Raw(found))
        answer = Answer(request_id=query.request_id, worker=self._worker, result=result, error=error)
        message = Message(query.request_id.encode(), msgspec.json.encode(answer))
        try:
            await self._context.sender.send(self._topics["answers"], 0, [message])
        except SendError as failure:
            log.warning("an answer was not sent", why=str(failure))
            self._count(query.kind, "unsent")
        else:
            self._count(query.kind, "answered" if error is None else error.code)

    def _count(self, kind: str, result: str) -> None:
        self._context.metrics.queries.labels(_known(kind), result).inc()


def _known(kind: str) -> str:
    """A kind for logs and metrics, which must not carry what an asker made up."""
    return kind if kind in KINDS else "other"
