"""One partition of customers over an in-memory broker: events in, parts, scores and alerts out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from features.clock import BEGINNING
from features.layout import TOPICS
from models import rows
from models.alerts import Alert, TierLevels
from models.guard import Hold
from models.parts import read_part_chunk
from models.triggers import MAX_HELD
from models.version_reader import InForce
from streams.control import Announcement, State, encode
from streams.customers import CustomerPartition
from streams.engine import RevokedError
from streams.fencing import known_to_writer
from streams.flood import TooManyDeadLettersError
from streams.model_store import FrozenModels
from streams.progress import ProgressBoard
from streams.scores import Score
from streams.watermarks import Idleness
from tests.building import SESSION, constant_models, day, event, record, tick
from tests.fakes import Batched, FakeBroker, metric
from tests.shell import MODEL, context_of, settle

if TYPE_CHECKING:
    from pathlib import Path

    from models.versions import ModelSet


#: What a customer may say of consent, by topic.
HOLD = Hold(since=day(1), why="orders", value=0.1, limit=0.4)
WORDS = {"customers": ("profile", "ada"), "outcomes": ("delivered", "ada")}


class Shop:
    """A customer partition with its broker; `now` is the wall clock in days after START."""

    def __init__(
        self, broker: FakeBroker, folder: Any, models: ModelSet | None = None, now: float = 1, **sections: Any
    ) -> None:
        self.broker = broker
        self.context = context_of(broker, folder, models or constant_models(0.95), day(now), **sections)
        self.idle = False
        self.behind: set[str] = set()
        self.forgotten: list[tuple[int, list[tuple[str, int]]]] = []
        self.partition = self.new_partition()
        self._offsets: defaultdict[str, count[int]] = defaultdict(count)

    def new_partition(self) -> CustomerPartition:
        idleness = Idleness(0, lambda _: self.idle, lambda: 0.0)
        return CustomerPartition(0, self.context, idleness, self.forget, self.caught_up)

    def caught_up(self, topic: str, _: int) -> bool:
        return topic not in self.behind

    async def forget(self, number: int, customers: list[tuple[str, int]]) -> None:
        self.forgotten.append((number, customers))

    def batch(self, topic: str, *payloads: dict[str, Any], replayed: bool = False) -> Batched:
        records = [record(next(self._offsets[topic]), p, replayed=replayed) for p in payloads]
        self.broker.logs[topic, 0].end = records[-1].offset + 1
        return Batched(topic, records)

    async def send(self, topic: str, *payloads: dict[str, Any], replayed: bool = False) -> Batched:
        batch = self.batch(topic, *payloads, replayed=replayed)
        await self.partition.take(batch)
        return batch

    async def ticks(self, ts: int, session: str = SESSION) -> list[Batched]:
        return [await self.send(topic, tick(ts, session)) for topic in TOPICS]

    def say(self, state: State, *, session: str = "history", live: bool = False) -> None:
        """What the replayer says of a session."""
        said = Announcement(session, state, live, silent_seconds=1e12)
        self.context.sessions.take(encode(said), self.context.now())
        self.partition.wake()

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What this partition has answered."""
        found = [msgspec.json.decode(value or b"{}") for value in self.broker.values("g-progress")]
        return [each for each in found if each["stage"] == "session" and each["session"] == "history"]

    async def settle(self, *batches: Batched) -> None:
        await settle(self.partition, *batches)

    @property
    def alerts(self) -> list[Alert]:
        return [msgspec.json.decode(value or b"", type=Alert) for value in self.broker.values("churn-alerts")]

    @property
    def scores(self) -> list[Score]:
        return [msgspec.json.decode(value or b"", type=Score) for value in self.broker.values("scores")]

    @property
    def parts(self) -> list[int]:
        chunks = [read_part_chunk(value or b"") for value in self.broker.values("examples")]
        return [chunk.ts for chunk in chunks if chunk.number == 0]


async def settle_slowly(shop: Shop, *batches: Batched) -> None:
    """As `Shop.settle`, while `control` is read to its end now and then."""

    async def read() -> None:
        while True:
            await asyncio.sleep(0.01)
            for read in shop.context.sessions._asking:
                read.set_result(None)
            shop.context.sessions._asking.clear()

    reading = asyncio.create_task(read())
    try:
        await shop.settle(*batches)
    finally:
        reading.cancel()


@pytest.fixture
async def shop(broker: FakeBroker, tmp_path: Path):
    shop = Shop(broker, tmp_path)
    await shop.partition.start()
    yield shop
    broker.trouble = lambda _: None
    await shop.partition.give_up()


async def test_a_decision_time_that_is_due_brings_part_scores_and_alerts(shop: Shop):
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    ticks = await shop.ticks(day(1))
    await shop.settle(buys, *ticks)

    assert shop.parts == [day(1)]
    assert [(s.user_id, s.ts, s.probability, s.tier) for s in shop.scores] == [
        ("ada", day(1), 0.95, "critical")
    ]
    (alert,) = shop.alerts
    assert (alert.user_id, alert.status, alert.ts, alert.mark) == ("ada", "opened", day(1), "live")
    registry = shop.context.metrics.registry
    assert metric(registry, "events_total", topic="orders", fate="accepted") == 1
    assert metric(registry, "alerts_total", kind="episode", status="opened") == 1
    assert metric(registry, "customers", partition="0") == 1
    assert metric(registry, "watermark_delay_seconds", partition="0") == 0
    tiers = {"medium": 0.6, "high": 0.8, "critical": 0.9}
    assert alert.thresholds == shop.scores[0].thresholds == TierLevels(**tiers)
    for tier, level in tiers.items():
        assert metric(registry, "alert_threshold_ratio", tier=tier) == level


async def test_the_replayer_is_told_where_the_alerts_of_a_sweep_end_once_they_are_there(
    shop: Shop, broker: FakeBroker
):
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    await shop.settle(buys, *await shop.ticks(day(1)))

    board = ProgressBoard(1)
    for value in broker.values("g-progress"):
        board.read(value or b"")
    assert not board.settled(day(1)), "its alert is not decided"
    board.read(b'{"stage":"decided","partition":0,"alerts":1}')
    assert board.settled(day(1))
    assert broker.sent.index("churn-alerts") < len(broker.sent) - 1 - broker.sent[::-1].index("g-progress")


async def test_progress_is_said_again_after_a_recovery_and_not_every_time_it_is_woken(
    shop: Shop, broker: FakeBroker
):
    def swept() -> int:
        return sum(b'"swept"' in (value or b"") for value in broker.values("g-progress"))

    await shop.settle(*await shop.ticks(day(1)))
    said = swept()
    for _ in range(3):
        shop.partition.wake()
        await shop.settle()
    assert swept() == said

    await shop.partition.close()
    shop.partition = shop.new_partition()
    await shop.partition.start()
    await shop.settle()

    assert swept() == said + 1


async def test_ticks_of_strangers_are_dead_letters_and_move_nothing(shop: Shop):
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    stray = [await shop.send(topic, tick(day(9), session)) for topic in TOPICS for session in ("", "guess")]
    await settle_slowly(shop, buys, *stray)

    registry = shop.context.metrics.registry
    letters = [metric(registry, "dead_letters_total", topic=t, reason="stray_tick") for t in TOPICS]
    assert letters == [2] * len(TOPICS)
    assert shop.partition.core.clocks["orders"].bound == day(0.5)
    assert shop.scores == []


async def test_a_tick_waits_until_all_was_read_that_may_tell_of_its_session(shop: Shop):
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    ticks = await shop.ticks(day(1), "history")
    for _ in range(50):
        await asyncio.sleep(0)
    assert not any(each.acked for each in ticks)

    shop.say("open")
    await settle_slowly(shop, *ticks)

    assert shop.partition.core.clocks["orders"].bound == day(1)
    assert metric(shop.context.metrics.registry, "dead_letters_total", topic="orders") == 0


async def test_a_partition_answers_where_it_stands_and_what_became_of_the_replay(shop: Shop):
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    shop.say("asked")
    await shop.settle()
    shop.say("open")
    late = await shop.send("orders", event("purchase", "ben", day(0.2)), replayed=True)
    await shop.settle(late, await shop.send("orders", event("purchase", "ben", day(0.7)), replayed=True))
    shop.say("ended")
    await shop.settle()

    asked, opened, ended = shop.answers
    assert asked["stands"] == {"orders": day(0.5)}
    assert "open" not in asked
    assert opened["open"] == "history"
    assert "open" not in ended
    assert ended["replayed"] == {"late": 1, "accepted": 1}


async def test_what_became_of_a_replay_outlives_a_recovery(shop: Shop):
    shop.say("open")
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5)), replayed=True))
    await shop.partition.close()
    shop.partition = shop.new_partition()
    await shop.partition.start()
    shop.say("ended")
    await shop.settle()

    assert shop.answers[-1]["replayed"] == {"accepted": 1}


@pytest.mark.parametrize("state", ["open", "ended"])
async def test_alerts_are_rehearsed_only_while_a_session_is_open(shop: Shop, state: State):
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    shop.context.models.current = msgspec.structs.replace(shop.context.models.current, as_of=day(1))
    shop.say("open")
    shop.say(state)
    await shop.settle(buys, *await shop.ticks(day(1), "history"))

    assert [alert.mark for alert in shop.alerts] == ["rehearsal" if state == "open" else "live"]
    assert metric(shop.context.metrics.registry, "replaying") == (state == "open")


async def test_behind_a_replay_that_handed_nothing_over_the_wall_clock_waits_for_the_shops_first_event(
    broker: FakeBroker, tmp_path: Path
):
    shop = Shop(broker, tmp_path, now=30)
    await shop.partition.start()
    shop.idle = True
    shop.say("open")
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5)), replayed=True))
    shop.say("ended")
    await shop.settle()
    assert shop.partition.core.swept == day(0), "nobody listens to the shop yet"

    await shop.settle(await shop.send("clickstream", event("login", "ada", day(29.9))))

    assert shop.partition.core.swept == day(30)
    await shop.partition.give_up()


async def test_a_replay_that_hands_over_lets_the_wall_clock_speak_at_once(broker: FakeBroker, tmp_path: Path):
    shop = Shop(broker, tmp_path, now=30)
    await shop.partition.start()
    shop.idle = True
    shop.say("open")
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5)), replayed=True))
    shop.say("ended", live=True)
    await shop.settle()

    assert shop.partition.core.swept == day(30)
    await shop.partition.give_up()


async def test_a_replay_waits_for_the_version_as_of_its_decision_time(broker: FakeBroker, tmp_path: Path):
    models = constant_models(0.95)
    shop = Shop(broker, tmp_path, models)
    await shop.partition.start()
    shop.say("open")
    await shop.settle(*await shop.ticks(day(2), "history"))
    assert shop.parts == [day(1)] or shop.parts == [day(2)]
    assert shop.scores == []

    shop.context.models.current = msgspec.structs.replace(models, as_of=day(2))
    shop.partition.wake()
    await shop.settle()

    assert shop.partition.core.swept == day(2)
    await shop.partition.give_up()


async def test_in_live_operation_too_a_decision_time_waits_for_the_version_as_of_it(
    broker: FakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shop = Shop(broker, tmp_path, msgspec.structs.replace(constant_models(0.95), as_of=day(0)))
    monkeypatch.setattr(FrozenModels, "learns", True)
    await shop.partition.start()
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    await shop.settle(*await shop.ticks(day(1)))
    assert (shop.parts, shop.scores) == ([day(1)], [])

    models = shop.context.models
    models.current = msgspec.structs.replace(models.current, as_of=day(1), hold=HOLD)
    shop.partition.wake()
    await shop.settle()

    # It is held, and seen.
    assert ([score.tier for score in shop.scores], shop.alerts) == (["critical"], [])
    registry = shop.context.metrics.registry
    assert metric(registry, "alerts_held_total") == 1
    assert metric(registry, "unguarded_sweeps_total") == 0
    await shop.partition.give_up()


async def test_nobody_waits_for_a_trainer_that_never_spoke(
    broker: FakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shop = Shop(broker, tmp_path, msgspec.structs.replace(constant_models(0.95), as_of=BEGINNING))
    monkeypatch.setattr(FrozenModels, "learns", True)
    await shop.partition.start()
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    await shop.settle(*await shop.ticks(day(1)))

    assert [alert.status for alert in shop.alerts] == ["opened"]
    assert metric(shop.context.metrics.registry, "unguarded_sweeps_total") == 0
    await shop.partition.give_up()


@pytest.mark.parametrize("away", [1, 2, 3, 10])
async def test_the_first_step_that_acts_after_an_outage_is_guarded_however_long_that_lasted(
    broker: FakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: int
):
    """The trainer was away as long, and has not yet read the parts that were sent a moment ago."""
    shop = Shop(broker, tmp_path, msgspec.structs.replace(constant_models(0.95), as_of=day(0)), now=away)
    monkeypatch.setattr(FrozenModels, "learns", True)
    await shop.partition.start()
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    await shop.settle(*await shop.ticks(day(away)))
    models = shop.context.models
    assert shop.alerts == []

    for number in range(1, away + 1):
        models.current = msgspec.structs.replace(models.current, as_of=day(number), hold=HOLD)
        shop.partition.wake()
        await shop.settle()

    assert (shop.partition.core.swept, shop.alerts) == (day(away), [])
    assert metric(shop.context.metrics.registry, "unguarded_sweeps_total") == 0
    await shop.partition.give_up()


async def test_a_trainer_that_says_nothing_is_waited_for_once(
    broker: FakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = msgspec.structs.replace(constant_models(0.95), as_of=day(0))
    shop = Shop(broker, tmp_path, before, now=3, alerting={"medium": 0.6, "act_within_days": 5})
    monkeypatch.setattr(FrozenModels, "learns", True)
    clock = [1_000.0]
    monkeypatch.setattr("streams.customers.time.monotonic", lambda: clock[0])
    await shop.partition.start()
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    await shop.settle(*await shop.ticks(day(1)))
    assert shop.alerts == []

    clock[0] += 60
    shop.partition.wake()
    await shop.settle()
    assert [alert.status for alert in shop.alerts] == ["opened"]

    clock[0] += 1
    await shop.settle(*await shop.ticks(day(3)))

    # The second day at once, the third not before the trainer had its time for the second.
    assert shop.partition.core.swept == day(2)
    assert metric(shop.context.metrics.registry, "unguarded_sweeps_total") == 2
    clock[0] += 60
    shop.partition.wake()
    await shop.settle()
    assert shop.partition.core.swept == day(3)
    await shop.partition.give_up()


async def test_a_replay_under_a_rollback_waits_for_what_is_learned_and_is_judged_by_the_older_version(
    broker: FakeBroker, tmp_path: Path
):
    old = constant_models(0.95)
    shop = Shop(broker, tmp_path, old)
    await shop.partition.start()
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    shop.say("open")
    await shop.settle(buys, *await shop.ticks(day(1), "history"))
    assert shop.scores == []

    store, new = shop.context.models, constant_models(0.2, number=2)
    store._bring_into_force(InForce(old, msgspec.structs.replace(new, as_of=day(1))))
    shop.partition.wake()
    await shop.settle()

    assert shop.partition.core.swept == day(1)
    assert [score.probability for score in shop.scores] == [0.95]
    await shop.partition.give_up()


async def test_a_decision_time_that_lies_too_far_back_raises_no_alert_in_live_operation(
    broker: FakeBroker, tmp_path: Path
):
    shop = Shop(broker, tmp_path, now=9)
    await shop.partition.start()
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    await shop.settle(buys, *await shop.ticks(day(1)))

    assert len(shop.scores) == 1
    assert shop.alerts == []
    assert metric(shop.context.metrics.registry, "silent_sweeps_total", reason="stale") == 1
    await shop.partition.give_up()


async def test_when_every_topic_is_idle_the_wall_clock_lets_time_pass(shop: Shop):
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    await shop.settle(buys)
    assert shop.scores == []

    shop.idle = True
    shop.partition.wake()
    await shop.settle()

    assert [score.ts for score in shop.scores] == [day(1)]


async def test_an_alert_says_as_of_which_row_it_was_raised(shop: Shop, broker: FakeBroker):
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    review = await shop.send("reviews", event("review", "ada", day(0.9), rating=1.0))
    await shop.settle(buys, review)

    (alert,) = broker.logs["churn-alerts", 0].records
    rows = broker.logs["g-customers-changelog", 0].records
    # The row that holds it, and the mark that it was published, which comes later.
    holding = [row.offset for row in rows if row.key == b"uada"]
    assert holding[-1] < known_to_writer(alert) <= len(rows)


async def test_a_trigger_is_answered_with_the_batch_that_holds_it(shop: Shop):
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    review = await shop.send("reviews", event("review", "ada", day(0.9), rating=1.0))
    await shop.settle(buys, review)

    (alert,) = shop.alerts
    assert (alert.kind, alert.user_id) == ("trigger", "ada")
    assert metric(shop.context.metrics.registry, "alert_delay_seconds_count") == 1


@pytest.mark.parametrize("topic", ["customers", "outcomes"])
async def test_a_trigger_waits_until_it_is_known_what_the_customer_consents_to(shop: Shop, topic: str):
    """Else an e-mail could overtake the withdrawal that was sent before it."""
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    shop.behind = {topic}
    await shop.settle(await shop.send("orders", event("refund", "ada", day(0.6))))
    waiting = list(shop.partition.core.held)
    assert shop.alerts == []

    shop.behind = set()
    await shop.settle(await shop.send(topic, event(*WORDS[topic], day(0.55))))

    (alert,) = shop.alerts
    assert (waiting, alert.kind, alert.ts, alert.mark) == (["ada"], "trigger", day(0.6), "live")


async def test_a_trigger_that_waits_is_answered_also_if_nothing_comes_any_more(shop: Shop):
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    shop.behind = {"customers"}
    await shop.settle(await shop.send("orders", event("refund", "ada", day(0.6))))

    shop.behind = set()
    shop.partition.wake()
    await shop.settle()

    assert [alert.kind for alert in shop.alerts] == ["trigger"]


async def test_refused_records_are_dead_letters_before_their_batch_is_acknowledged(
    shop: Shop, broker: FakeBroker
):
    batch = shop.batch("orders", event("purchase", "ada", day(0.5)), {"type": "purchase"})
    seen = []
    broker.meanwhile = lambda topic: seen.append((topic, batch.acked))

    await shop.partition.take(batch)
    await shop.settle(batch)

    assert ("dead-letters", 0) in seen
    assert len(broker.values("dead-letters")) == 1


async def test_dead_letters_are_written_at_a_graceful_stop_too(shop: Shop, broker: FakeBroker):
    batch = shop.batch("orders", {"type": "purchase"})
    shop.partition.apply([batch])
    shop.partition.engine.accept(batch)

    await shop.partition.close()

    assert (batch.acked, len(broker.values("dead-letters"))) == (1, 1)


async def test_dead_letters_that_are_refused_hold_their_batch_back(shop: Shop, broker: FakeBroker):
    broker.trouble = lambda topic: "refuse" if topic == "dead-letters" else None
    batch = await shop.send("orders", {"type": "purchase"})
    await asyncio.sleep(0.01)
    assert batch.acked == 0

    broker.trouble = lambda _: None
    await shop.settle(batch)

    assert len(broker.values("dead-letters")) == 1


async def test_mostly_dead_letters_are_an_error_and_nothing_of_them_is_kept_by_a_graceful_stop(
    shop: Shop, broker: FakeBroker
):
    batch = await shop.send("orders", *[{"type": "purchase"}] * 20)

    with pytest.raises(TooManyDeadLettersError):
        await asyncio.wait_for(shop.partition.failed, 1)
    before = broker.values("g-customers-changelog")
    await shop.partition.close()

    assert batch.acked == 0
    assert broker.values("g-customers-changelog") == before
    assert broker.values("dead-letters") == []


async def test_polls_of_one_topic_that_gathered_are_applied_together(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    observed = []
    observe = shop.partition.core.observe

    def watched(topic: str, records: Any, now: int) -> Any:
        observed.append((topic, [record.offset for record in records]))
        return observe(topic, records, now)

    monkeypatch.setattr(shop.partition.core, "observe", watched)
    batches = [
        shop.batch("orders", event("purchase", "ada", day(0.5))),
        shop.batch("clickstream", event("view_item", "ada", day(0.5))),
        shop.batch("orders", event("purchase", "ben", day(0.6))),
    ]
    again = Batched(batches[0].message.topic, [*batches[0].value, *batches[2].value])
    for each in (*batches, again):
        await shop.partition.take(each)
    await shop.settle(*batches, again)

    assert observed == [("orders", [0, 1]), ("clickstream", [0]), ("orders", [0, 1])]
    assert int(shop.partition.core.table.rows["orders"][:2].sum()) == 2


async def test_one_fast_clock_makes_nobody_else_late_and_a_record_of_the_future_is_a_dead_letter(
    tmp_path: Path, broker: FakeBroker
):
    shop = Shop(broker, tmp_path, now=1, model={**MODEL, "allowed_lateness_hours": 1})
    await shop.partition.start()
    fast = shop.batch("orders", event("purchase", "fast", day(1.9)))
    fast.value[0] = fast.value[0]._replace(timestamp=day(1), timestamp_type=0)
    honest = shop.batch("orders", *(event("purchase", "ada", day(1.0 - k / 1440)) for k in range(5)))
    honest.value[:] = [each._replace(timestamp=day(1)) for each in honest.value]
    dreamer = shop.batch("orders", event("purchase", "ben", day(1.2)))
    dreamer.value[0] = dreamer.value[0]._replace(timestamp_type=0)
    try:
        for batch in (fast, honest, dreamer):
            await shop.partition.take(batch)
        await shop.settle(fast, honest, dreamer)
    finally:
        await shop.partition.give_up()

    registry = shop.context.metrics.registry
    assert metric(registry, "events_total", topic="orders", fate="accepted") == 1 + 5
    assert metric(registry, "events_total", topic="orders", fate="late") == 0
    assert metric(registry, "dead_letters_total", topic="orders", reason="bad_timestamp") == 1
    assert shop.partition.core.clocks["orders"].bound == day(1) - 3_600_000


async def test_an_erasure_is_passed_on_before_its_batch_is_acknowledged(shop: Shop):
    buys = await shop.send("orders", event("purchase", "ada", day(0.5)))
    erasure = shop.batch("customers", event("erasure", "ada", day(0.6)))
    acked = []

    async def forget(number: int, customers: list[tuple[str, int]]) -> None:
        acked.append((number, customers, erasure.acked))

    shop.partition._forget = forget
    await shop.partition.take(erasure)
    await shop.settle(buys, erasure)

    assert acked == [(0, [("ada", day(0.6))], 0)]
    assert shop.partition.core.table.slot("ada") is None


async def test_an_erasure_that_could_not_be_passed_on_is_passed_on_after_the_partition_came_back(shop: Shop):
    async def refuse(*_: Any) -> None:
        raise RevokedError("the ledger went")

    shop.partition._forget = refuse
    erasure = await shop.send("customers", event("erasure", "ada", day(0.6)))
    await asyncio.sleep(0.01)
    await shop.partition.park()
    shop.partition._forget = shop.forget

    assert await shop.partition.resume()
    await shop.settle()

    assert shop.forgotten == [(0, [("ada", day(0.6))])]
    assert erasure.acked == 0, "its generation is over; it comes again"


async def test_a_partition_recovers_its_customers_and_skips_what_comes_again(shop: Shop, broker: FakeBroker):
    batch = await shop.send("orders", event("purchase", "ada", day(0.5)), event("purchase", "bob", day(0.6)))
    await shop.settle(batch)
    await shop.partition.close()

    shop.partition = shop.new_partition()
    await shop.partition.start()
    again = Batched("orders", batch.value)
    await shop.partition.take(again)
    await shop.settle(again)

    assert len(shop.partition.core.table) == 2
    assert metric(shop.context.metrics.registry, "events_total", topic="orders", fate="skipped") == 2


async def test_a_customer_who_outgrows_the_row_is_a_dead_letter_and_everybody_is_written(
    shop: Shop, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rows, "MAX_ROW_BYTES", 10_000)
    monkeypatch.setattr(rows, "MAX_FORKS", 10)
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    records = np.array([shop.partition.core.table.rows[0]] * 41)
    records["boundary"][1:] = [day(number) for number in range(40, 0, -1)]
    shop.partition.core.table.put("ada", records)

    await shop.settle(
        await shop.send("orders", event("purchase", "ada", day(0.6)), event("purchase", "ben", day(0.6)))
    )

    (letter,) = broker.logs["dead-letters", 0].records
    assert (letter.key, dict(letter.headers)["reason"]) == (b"ada", b"row_too_large")
    assert (
        metric(
            shop.context.metrics.registry,
            "dead_letters_total",
            topic="customers-changelog",
            reason="row_too_large",
        )
        == 1
    )
    written = {row.key: row.value for row in broker.logs["g-customers-changelog", 0].records}
    assert written.keys() >= {b"uada", b"uben"}
    assert len(written[b"uada"] or b"") < 10_000


async def test_triggers_that_are_too_many_to_wait_are_counted(shop: Shop):
    await shop.settle(await shop.send("orders", event("purchase", "ada", day(0.5))))
    shop.behind = {"customers"}

    refunds = [event("refund", "ada", day(0.6) + number) for number in range(MAX_HELD + 5)]
    await shop.settle(await shop.send("orders", *refunds))

    assert metric(shop.context.metrics.registry, "triggers_total", result="too_many") == 5
