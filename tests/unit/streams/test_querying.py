"""Questions and answers between an asker and workers, over an in-memory broker."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from features.hashing import partition_of
from interventions.customer_report import CustomerReport
from streams.customers import CustomerPartition
from streams.dispatching import DispatchPartition
from streams.querying.desk import Desk
from streams.querying.messages import MAX_ANSWER_BYTES, NOTHING, Answer, CustomerQuery, Query
from streams.querying.service import QueryService
from streams.watermarks import Idleness
from tests.building import constant_models, day, event, record
from tests.fakes import Batched, FakeBroker, metric
from tests.shell import context_of, settle

if TYPE_CHECKING:
    from pathlib import Path

#: Customers of the two partitions.
ADA, BOB = (
    next(f"u{n}" for n in range(100) if partition_of(f"u{n}".encode(), 2) == number) for number in (0, 1)
)
NOW = day(1)


class Office:
    """A worker that owns partition 0 of two and follows `queries`."""

    def __init__(self, broker: FakeBroker, folder: Path) -> None:
        self.broker = broker
        self.context = context_of(
            broker, folder, constant_models(0.7), NOW, kafka={"partitions": 2, "group": "g"}
        )
        idleness = Idleness(0, lambda _: False, lambda: 0.0)
        self.customers = CustomerPartition(0, self.context, idleness, self._forget, lambda *_: True)
        self.ledger = DispatchPartition(0, self.context, lambda: self.customers)
        models = self.context.models
        self.desk = Desk({0: self.customers}, {0: self.ledger}, lambda: models.current, 2)
        self.service = QueryService(self.context, self.desk)

    async def _forget(self, *_: Any) -> None:
        raise AssertionError("nobody is erased here")

    async def start(self) -> None:
        await self.customers.start()
        await self.ledger.start()
        bought = Batched("orders", [record(0, event("purchase", ADA, day(0.5)))])
        await self.customers.take(bought)
        await settle(self.customers, bought)

    def ask(self, query: Query | bytes) -> None:
        value = query if isinstance(query, bytes) else msgspec.json.encode(query)
        self.broker.logs["g-queries", 0].append(b"key", value)

    async def answers(self) -> list[Answer]:
        """What was answered when everything asked so far is dealt with."""
        await asyncio.sleep(0.1)
        return [msgspec.json.decode(value or b"", type=Answer) for value in self.broker.values("g-answers")]

    def counted(self, result: str, kind: str = "customer") -> float:
        return metric(self.context.metrics.registry, "queries_total", kind=kind, result=result)


@pytest.fixture
async def office(broker: FakeBroker, tmp_path: Path):
    office = Office(broker, tmp_path)
    await office.start()
    following = asyncio.create_task(office.service.follow())
    await office.answers()
    yield office
    following.cancel()
    await asyncio.wait([following])
    await office.ledger.give_up()
    await office.customers.give_up()


def query(user: str = ADA, *, kind: str = "customer", deadline: int = NOW + 5_000, **arguments: Any) -> Query:
    asked = msgspec.json.encode(CustomerQuery(user_id=user, **arguments))
    return Query(request_id=f"r-{user}", kind=kind, arguments=msgspec.Raw(asked), deadline=deadline)


async def test_the_owner_answers_from_memory_under_the_id_of_the_request(office: Office):
    office.ask(query(ADA))

    (answer,) = await office.answers()

    found = msgspec.json.decode(answer.result, type=CustomerReport)
    assert (answer.request_id, answer.error) == (f"r-{ADA}", None)
    assert (found.user_id, found.partition, found.features["orders"]) == (ADA, 0, 1.0)
    assert found.risk is not None
    assert found.risk.probability == pytest.approx(0.7, abs=1e-6)
    assert office.counted("answered") == 1


async def test_a_customer_of_another_s_partition_is_left_to_the_other(office: Office):
    office.ask(query(BOB))

    assert await office.answers() == []
    assert office.counted("elsewhere") == 1


async def test_a_partition_that_was_given_up_is_answered_for_no_more(office: Office):
    await office.customers.give_up()
    office.ask(query(ADA))

    assert await office.answers() == []
    assert office.counted("elsewhere") == 1


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (query(ADA, as_of=day(0.2)), "not_kept", "has done something since"),
        (query(ADA, as_of=day(30)), "not_kept", "ahead of what was read"),
        (query(ADA, as_of="decision"), "not_kept", "no decision time yet"),
        (query(ADA, kind="secrets"), "unknown_kind", "knows the kinds customer"),
    ],
)
async def test_what_cannot_be_answered_is_said_so(office: Office, asked: Query, code: str, said: str):
    office.ask(asked)

    (answer,) = await office.answers()

    assert answer.error is not None
    assert answer.error.code == code
    assert said in answer.error.message
    assert answer.result == NOTHING
    assert office.counted(code, "customer" if asked.kind == "customer" else "other") == 1


async def test_a_customer_of_whom_nothing_is_known_is_told_by_the_owner_of_the_partition(office: Office):
    stranger = next(f"s{n}" for n in range(100) if partition_of(f"s{n}".encode(), 2) == 0)
    office.ask(query(stranger))

    (answer,) = await office.answers()

    assert answer.error is not None
    assert answer.error.code == "unknown_customer"


async def test_a_partition_that_recovers_says_so_and_holds_nobody_up(office: Office):
    office.ledger.ready.clear()
    office.ask(query(ADA))

    (answer,) = await office.answers()

    assert answer.error is not None
    assert answer.error.code == "recovering"


async def test_nobody_waits_for_an_answer_behind_the_deadline_so_none_is_made(office: Office):
    office.ask(query(ADA, deadline=NOW - 1))

    assert await office.answers() == []
    assert office.counted("expired") == 1


@pytest.mark.parametrize("value", [b"", b"{", b"\xff", b"[]", b'{"kind":"customer"}', b"null"])
async def test_what_is_no_query_is_counted_and_stops_nothing(office: Office, value: bytes):
    office.ask(value)
    office.ask(query(ADA))

    assert len(await office.answers()) == 1
    assert office.counted("unreadable", "other") == 1


async def test_arguments_of_another_kind_are_an_answer_too(office: Office):
    raw = msgspec.Raw(b'{"user":"ada"}')
    office.ask(Query(request_id="r", kind="customer", arguments=raw, deadline=NOW))

    (answer,) = await office.answers()

    assert answer.error is not None
    assert answer.error.code == "bad_arguments"
    assert "user_id" in answer.error.message


async def test_who_asked_before_the_worker_started_is_not_answered(broker: FakeBroker, tmp_path: Path):
    office = Office(broker, tmp_path)
    await office.start()
    office.ask(query(ADA))
    following = asyncio.create_task(office.service.follow())

    before = await office.answers()
    office.ask(query(ADA))
    after = await office.answers()
    following.cancel()
    await asyncio.wait([following])
    await office.ledger.give_up()
    await office.customers.give_up()

    assert (before, len(after)) == ([], 1)


async def test_an_answer_that_the_broker_does_not_take_is_counted_and_the_next_one_goes_out(office: Office):
    office.broker.trouble = lambda topic: "refuse" if topic == "g-answers" else None
    office.ask(query(ADA))
    await office.answers()
    office.broker.trouble = lambda _: None
    office.ask(query(ADA))

    assert len(await office.answers()) == 1
    assert (office.counted("unsent"), office.counted("answered")) == (1, 1)


async def test_a_fault_while_answering_is_counted_and_named_without_the_customer(
    office: Office, caplog: pytest.LogCaptureFixture
):
    office.customers.core.table.index[ADA] = 10**9
    with caplog.at_level(logging.WARNING):
        office.ask(query(ADA))
        (answer,) = await office.answers()

    assert answer.error is not None
    assert answer.error.code == "failed"
    (line,) = (each for each in caplog.records if "could not be answered" in each.message)
    assert ADA not in str(line.__dict__)
    assert office.counted("failed") == 1
    office.customers.core.table.index.clear()


async def test_an_answer_is_bounded(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("streams.querying.desk.MAX_ANSWER_BYTES", 100)
    office.ask(query(ADA))

    (answer,) = await office.answers()

    assert answer.error is not None
    assert answer.error.code == "too_large"
    assert MAX_ANSWER_BYTES < 1_000_000, "a record of a topic holds a megabyte"
