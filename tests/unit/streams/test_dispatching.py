"""One partition of the ledger over an in-memory broker: alerts in, decisions and commands out."""

from __future__ import annotations

import asyncio
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from features.observing import Record
from interventions import rows
from interventions.commands import Command, Decision
from models.alerts import Alert, ModelRef
from streams.dispatching import DispatchPartition, view_of
from streams.engine import RevokedError
from streams.fencing import knowing
from tests.building import START, Feed, config, core, day, event
from tests.fakes import Batched, FakeBroker, metric
from tests.shell import context_of, settle

if TYPE_CHECKING:
    from pathlib import Path

    from models.core import PartitionCore
    from models.marks import Mark


class Customers:
    """The partition of the feature table beside the ledger."""

    def __init__(self) -> None:
        self.core: PartitionCore = core(config())
        self.recovered = asyncio.Event()
        self.recovered.set()
        self.gone = False
        self.engine = SimpleNamespace(next_offset=0)
        #: The last decision time whose alerts are all on their topic, and its end then.
        self.announced: tuple[int, int] | None = None

    @property
    def ready(self) -> asyncio.Event:
        return self.recovered

    async def whole(self) -> bool:
        await self.recovered.wait()
        return not self.gone


class Desk:
    """A ledger partition with its broker and the customers it looks at."""

    def __init__(self, broker: FakeBroker, folder: Any, **sections: Any) -> None:
        self.broker, self.customers = broker, Customers()
        self.context = context_of(broker, folder, **sections)
        self.partition = self.new_partition()
        self._offsets = count()

    def new_partition(self) -> DispatchPartition:
        return DispatchPartition(0, self.context, lambda: self.customers)

    def batch(self, *alerts: Alert | bytes, as_of_row: int = 0) -> Batched:
        values = [alert if isinstance(alert, bytes) else msgspec.json.encode(alert) for alert in alerts]
        headers = knowing(as_of_row)
        records = [Record(next(self._offsets), b"k", value, headers=headers) for value in values]
        return Batched("churn-alerts", records)

    async def send(self, *alerts: Alert | bytes) -> Batched:
        batch = self.batch(*alerts)
        await self.partition.take(batch)
        return batch

    async def settle(self, *batches: Batched) -> None:
        await settle(self.partition, *batches)

    @property
    def decisions(self) -> list[Decision]:
        found = self.broker.values("decisions")
        return [msgspec.json.decode(value or b"", type=Decision) for value in found]

    @property
    def commands(self) -> list[Command]:
        found = self.broker.values("commands.coupon")
        return [msgspec.json.decode(value or b"", type=Command) for value in found]


def alert(user: str = "ada", number: int = 0, mark: Mark = "live") -> Alert:
    return Alert(
        alert_id=f"{number:032x}",
        kind="episode",
        status="opened",
        user_id=user,
        ts=day(1),
        probability=0.97,
        tier="critical",
        reasons=(),
        model=ModelRef(name="logistic", version=1),
        horizon_days=4,
        mark=mark,
    )


@pytest.fixture
async def desk(broker: FakeBroker, tmp_path: Path):
    desk = Desk(broker, tmp_path)
    Feed(desk.customers.core)(event("purchase", "ada", day(0.5), value=400.0))
    await desk.partition.start()
    yield desk
    broker.trouble = lambda _: None
    await desk.partition.give_up()


async def test_an_alert_becomes_a_decision_and_a_command_and_is_acknowledged_last(
    desk: Desk, broker: FakeBroker
):
    batch = desk.batch(alert())
    seen = []
    broker.meanwhile = lambda topic: seen.append((topic, batch.acked))

    await desk.partition.take(batch)
    await desk.settle(batch)

    (decision,), (command,) = desk.decisions, desk.commands
    assert (decision.action, decision.command_id) == ("coupon", command.command_id)
    assert decision.cost == pytest.approx(40.0), "a tenth of a mean order: the customer's row was looked at"
    assert ("commands.coupon", 0) in seen
    registry = desk.context.metrics.registry
    assert metric(registry, "decisions_total", action="coupon", reason="") == 1
    assert metric(registry, "commands_total", channel="coupon", mark="live") == 1
    assert metric(registry, "ledger_rows", partition="0") == 1


async def test_what_the_budget_has_nothing_left_for_is_decided_again_behind_later_alerts(
    broker: FakeBroker, tmp_path: Path
):
    poor = {"mode": "live", "holdout_share": 0.0, "daily_budget": 50.0, "assume_consent": ["coupon"]}
    desk = Desk(broker, tmp_path, interventions=poor)
    buys = [event("purchase", user, day(0.5), value=400.0) for user in ("ada", "bob")]
    Feed(desk.customers.core)(*buys)
    await desk.partition.start()
    await desk.settle(await desk.send(alert("ada"), alert("bob", 1)))
    assert [command.user_id for command in desk.commands] == ["ada"]

    desk.customers.announced = day(2), 3
    assert desk.partition.retry_due is None, "an alert of that decision time is still to come"
    await desk.settle(await desk.send(msgspec.structs.replace(alert("ada", 2), ts=day(2), status="resolved")))
    assert desk.partition.retry_due is None, "its round has decided them again"

    assert [command.user_id for command in desk.commands] == ["ada", "bob"]
    assert desk.decisions[-1].retried_at == day(2)
    assert metric(desk.context.metrics.registry, "alerts_waiting", partition="0") == 0
    await desk.partition.give_up()


async def test_an_alert_that_comes_again_is_decided_once(desk: Desk):
    batch = await desk.send(alert())
    await desk.settle(batch)
    again = Batched("churn-alerts", batch.value)
    await desk.partition.take(again)
    await desk.settle(again)

    assert len(desk.decisions) == len(desk.commands) == 1


async def test_how_far_it_has_decided_is_told_after_the_decisions_are_out(desk: Desk, broker: FakeBroker):
    await desk.settle(await desk.send(alert(), alert("bob", 1)))

    assert broker.values("g-progress")[-1] == b'{"stage":"decided","partition":0,"alerts":2}'
    last = len(broker.sent) - 1
    assert broker.sent[last] == "g-progress"
    assert "decisions" in broker.sent[:last]


async def test_a_recovered_ledger_says_again_how_far_it_has_decided(desk: Desk, broker: FakeBroker):
    await desk.settle(await desk.send(alert(), alert("bob", 1)))
    await desk.partition.close()
    broker.logs["g-progress", 0].records.clear()

    desk.partition = desk.new_partition()
    await desk.partition.start()
    await desk.settle()

    assert broker.values("g-progress") == [b'{"stage":"decided","partition":0,"alerts":2}']


@pytest.mark.parametrize("last", ["unreadable", "of somebody erased", "seen before"])
async def test_and_counts_alerts_that_left_no_trace(desk: Desk, broker: FakeBroker, last: str):
    """Else a replayer, and who waits for the budget, would wait for alerts that nobody decides about."""
    await desk.settle(await desk.send(alert()))
    if last == "of somebody erased":
        await desk.partition.erase([("bob", day(2))])
    values = {"unreadable": b"{", "of somebody erased": alert("bob", 1), "seen before": alert()}
    await desk.settle(await desk.send(values[last]))
    await desk.partition.close()
    broker.logs["g-progress", 0].records.clear()

    desk.partition = desk.new_partition()
    await desk.partition.start()
    await desk.settle()

    assert broker.values("g-progress") == [b'{"stage":"decided","partition":0,"alerts":2}']


async def test_an_alert_that_cannot_be_read_is_a_dead_letter_and_stops_nothing(
    desk: Desk, broker: FakeBroker
):
    await desk.settle(await desk.send(b"{", alert()))

    (letter,) = broker.logs["dead-letters", 0].records
    assert dict(letter.headers)["origin"] == b"churn-alerts/0/0"
    assert len(desk.decisions) == 1


async def test_what_is_too_much_about_one_customer_is_a_dead_letter_and_stops_nothing(
    desk: Desk, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rows, "MAX_PENDING_BYTES", 4_000)

    await desk.settle(await desk.send(*(alert(number=number) for number in range(40))))

    letters = [dict(letter.headers)["reason"] for letter in broker.logs["dead-letters", 0].records]
    assert set(letters) == {b"row_too_large"}
    assert len(letters) + len(desk.decisions) == 40


async def test_a_write_that_fails_decides_nothing_twice(desk: Desk, broker: FakeBroker):
    refused = iter(["refuse"])
    broker.trouble = lambda topic: next(refused, None) if topic == "g-ledger-changelog" else None

    await desk.settle(await desk.send(alert()))

    assert len(desk.decisions) == len(desk.commands) == 1


async def test_alerts_wait_until_the_customers_they_are_about_are_recovered(desk: Desk):
    desk.customers.recovered.clear()
    batch = desk.batch(alert())
    taking = asyncio.create_task(desk.partition.take(batch))
    await asyncio.sleep(0.01)
    assert batch.acked == 0

    desk.customers.recovered.set()
    await taking
    await desk.settle(batch)

    assert len(desk.decisions) == 1


async def decides_when_they_are_back(desk: Desk, known: PartitionCore, *batches: Batched) -> None:
    """Nothing is decided before the customers are read again; then it is, and about them."""
    await asyncio.sleep(0.01)
    assert desk.decisions == []

    desk.customers.core = known
    desk.customers.recovered.set()
    await desk.settle(*batches)

    (decision,) = desk.decisions
    assert decision.cost == pytest.approx(40.0)


async def test_a_ledger_that_heals_while_its_customers_recover_does_not_decide_without_them(
    desk: Desk, broker: FakeBroker
):
    """A broker that stumbles makes both fail at once; an empty table would look like no consent."""
    refused = iter(["refuse"])
    broker.trouble = lambda topic: next(refused, None) if topic == "g-ledger-changelog" else None
    known, desk.customers.core = desk.customers.core, core(config())
    desk.customers.recovered.clear()
    batch = desk.batch(alert())
    desk.partition.ready.set()
    desk.partition.apply([batch])
    desk.partition.engine.accept(batch)
    desk.partition.wake()

    await decides_when_they_are_back(desk, known, batch)


async def test_an_alert_that_came_before_its_customers_had_to_be_read_again_waits_for_them(desk: Desk):
    """A storm of zombies found five coupons for customers who had refused them."""
    batch = await desk.send(alert())
    known, desk.customers.core = desk.customers.core, core(config())
    desk.customers.recovered.clear()

    await decides_when_they_are_back(desk, known, batch)


@pytest.fixture
async def zombie(broker: FakeBroker, tmp_path: Path):
    """A ledger whose customers are those of before it fell asleep; its alert was raised by the new owner."""
    desk = Desk(broker, tmp_path, kafka={"session_timeout_seconds": 1})
    Feed(desk.customers.core)(event("purchase", "ada", day(0.5), value=400.0))
    desk.customers.engine.next_offset = 7
    await desk.partition.start()
    yield desk
    await desk.partition.give_up()


async def test_a_zombie_does_not_decide_by_what_it_knew_before_it_fell_asleep(zombie: Desk):
    batch = zombie.batch(alert(), as_of_row=8)
    await zombie.partition.take(batch)
    await asyncio.sleep(0.15)
    assert zombie.decisions == []

    await asyncio.wait_for(zombie.partition.park(), 0.5)

    assert zombie.decisions == []
    assert batch.acked == 0


async def test_it_decides_once_it_has_read_what_the_new_owner_knew(zombie: Desk):
    batch = zombie.batch(alert(), as_of_row=8)
    await zombie.partition.take(batch)
    await asyncio.sleep(0.05)

    zombie.customers.engine.next_offset = 8

    await asyncio.wait_for(zombie.settle(batch), 0.5)
    assert len(zombie.decisions) == 1


async def test_whoever_still_owns_a_partition_after_a_session_is_no_zombie(zombie: Desk):
    """Alerts may be older than the changelog: it is begun anew where a state is given up."""
    first, second = zombie.batch(alert(), as_of_row=8), zombie.batch(alert(number=1), as_of_row=8)
    began = asyncio.get_running_loop().time()
    await zombie.partition.take(first)
    await asyncio.wait_for(zombie.settle(first), 2)
    assert asyncio.get_running_loop().time() - began > 1

    await zombie.partition.take(second)
    await asyncio.wait_for(zombie.settle(second), 0.5)
    assert len(zombie.decisions) == 2


async def test_a_ledger_that_stops_decides_about_nobody_whom_it_does_not_know(desk: Desk):
    desk.customers.core, desk.customers.gone = core(config()), True
    batch = desk.batch(alert())
    desk.partition._waiting.append(batch)

    await desk.partition.close()

    assert batch.acked == 0
    assert desk.decisions == []


async def test_an_erased_customer_is_forgotten_for_good_before_the_erasure_returns(
    desk: Desk, broker: FakeBroker
):
    await desk.settle(await desk.send(alert()))

    await asyncio.wait_for(desk.partition.erase([("ada", day(2))]), 1)

    assert desk.partition.ledger.history("ada") is None
    rows = [(r.key, r.value) for r in broker.logs["g-ledger-changelog", 0].records]
    assert (b"uada", None) in rows


async def test_an_alert_that_is_decided_between_the_two_halves_of_an_erasure_reaches_nobody(desk: Desk):
    """Found by a storm: the refusal was erased with the profile, and the ledger had not heard of it yet."""
    Feed(desk.customers.core)(event("erasure", "ada", day(2)))

    await desk.settle(await desk.send(alert(), alert("bob", 1)))

    assert [decision.user_id for decision in desk.decisions] == ["bob"]


async def test_an_erasure_is_repeated_after_a_failed_write(desk: Desk, broker: FakeBroker):
    await desk.settle(await desk.send(alert()))
    refused = iter(["refuse"])
    broker.trouble = lambda topic: next(refused, None) if topic == "g-ledger-changelog" else None

    await asyncio.wait_for(desk.partition.erase([("ada", day(2))]), 1)

    assert desk.partition.ledger.history("ada") is None


@pytest.mark.parametrize("way", ["park", "close"])
async def test_an_erasure_that_a_partition_cannot_finish_is_an_error_and_no_hang(
    desk: Desk, broker: FakeBroker, way: str
):
    broker.trouble = lambda topic: "refuse" if topic == "g-ledger-changelog" else None
    erasing = asyncio.create_task(desk.partition.erase([("ada", day(2))]))
    await asyncio.sleep(0)

    await getattr(desk.partition, way)()

    with pytest.raises(RevokedError, match="before its customers were forgotten"):
        await asyncio.wait_for(erasing, 1)


def test_the_policy_sees_mean_order_and_recent_spend_which_decays_with_ninety_days():
    target = core(config())
    Feed(target)(
        event("purchase", "ada", START, value=100.0), event("purchase", "ada", START + 1, value=300.0)
    )

    view = view_of(target, "ada", day(90))

    assert view.mean_order_value == pytest.approx(200.0)
    assert view.recent_spend == pytest.approx(200.0, rel=1e-6)
    assert view.user_hash == target.hash("ada")


def test_nothing_is_known_of_a_customer_without_a_row():
    target = core(config())

    view = view_of(target, "nobody", START)

    assert view.profile is None
    assert view.mean_order_value != view.mean_order_value
    assert view.user_hash == target.hash("nobody")
