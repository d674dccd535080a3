"""The trainer keeps its own place: signed, resumed, and learned again where it cannot be trusted."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from models.drift import LOSS, Drift
from models.overrides import OVERRIDE_KEY, Override, Promotion
from models.parts import read_part_chunk
from models.version_reader import VersionReader
from models.versions import CHAMPION_KEY, COLUMNS, SHOP_WIDE, ChampionRecord
from models.waiting import KEPT_TIMES
from models.watching import Watches
from streams.recovery import RecoveryError
from streams.sending import SendError
from streams.training import Training
from tests.building import Feed, config, constant_models, core, day, event
from tests.fakes import Batched, FakeBroker, Stored, metric
from tests.shell import MODEL, context_of

if TYPE_CHECKING:
    from pathlib import Path

    from models.progressive import ScoreCounts
    from models.versions import ModelSet

DAYS = 8


def parts() -> list[tuple[bytes, bytes]]:
    """`examples` of two partitions over some days, labels after four; some customers buy less and less."""
    messages: list[tuple[int, bytes]] = []
    for partition in range(2):
        target = core(config(partitions=1), partition)
        feed = Feed(target)
        for number in range(DAYS):
            buyers = [user for user in range(8) if number % (user + 1) == 0]
            feed(*(event("purchase", f"p{partition}u{user}", day(number + 0.5)) for user in buyers))
            for part, _ in feed.decide(day(number + 1), constant_models(0.5)):
                messages += [(part.ts, value) for value in part.messages()]
    return [(str(ts).encode(), value) for ts, value in sorted(messages, key=lambda message: message[0])]


PARTS = parts()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    """The return model is not what this is about, and fitting it takes most of the time."""
    monkeypatch.setattr("models.trainer.fit", lambda _, before: before)


def fill(broker: FakeBroker, start: int = 0, end: int | None = None) -> None:
    for message in PARTS[start:end]:
        broker.logs["examples", 0].append(*message)


async def training(broker: FakeBroker, folder: Path, *, start: bool = True, **model: Any) -> Training:
    """A trainer on a worker that has read the models there are; `model` are settings."""
    context = context_of(broker, folder, kafka={"partitions": 2}, model=MODEL | model)
    for record in broker.logs["models", 0].records:
        context.models._take(record.key or b"", record.value)
    context.models.loaded.set()
    found = Training(context)
    if start:
        await found.start()
    return found


def newest(broker: FakeBroker) -> ModelSet:
    reader = VersionReader()
    for record in broker.logs["models", 0].records:
        reader.read(record.key or b"", record.value)
    assert reader.latest is not None
    return reader.latest


def follow(broker: FakeBroker, found: Training) -> None:
    """Show the trainer's worker what stands on `models`, once more from the beginning."""
    for record in broker.logs["models", 0].records:
        found._context.models._take(record.key or b"", record.value)


def newest_published(broker: FakeBroker) -> int:
    """As of when the newest version on the topic is."""
    champions = [each.value for each in broker.logs["models", 0].records if each.key == CHAMPION_KEY]
    return msgspec.json.decode(champions[-1] or b"", type=ChampionRecord).as_of


def weights(models: ModelSet) -> Any:
    return models.as_of, models.number, models.labels, models.scorers["logistic"].weights


async def test_a_new_trainer_learns_what_there_is_and_publishes_every_decision_time(
    broker: FakeBroker, tmp_path: Path
):
    fill(broker)

    found = await training(broker, tmp_path)

    assert found.trainer.labels > 10
    assert newest(broker).as_of == day(DAYS)
    assert newest(broker).number == DAYS
    registry = found._context.metrics.registry
    assert metric(registry, "labels_total") == found.trainer.labels
    assert metric(registry, "learn_seconds_count") == DAYS


async def test_batches_are_learned_as_they_come_and_acknowledged(broker: FakeBroker, tmp_path: Path):
    found = await training(broker, tmp_path)
    fill(broker)
    batch = Batched("examples", broker.logs["examples", 0].records)

    await found.take(batch)

    assert batch.acked == 1
    assert newest(broker).as_of == day(DAYS)


async def test_a_batch_that_was_learned_already_changes_nothing(broker: FakeBroker, tmp_path: Path):
    fill(broker)
    found = await training(broker, tmp_path)
    published = len(broker.logs["models", 0].records)

    await found.take(Batched("examples", broker.logs["examples", 0].records))

    assert len(broker.logs["models", 0].records) == published


async def test_what_another_worker_learned_from_meanwhile_is_learned_here_too(
    broker: FakeBroker, tmp_path: Path
):
    """`examples` was taken away and came back, and begins where the other one has committed."""
    found = await training(broker, tmp_path / "here")
    fill(broker)
    there = await training(broker, tmp_path / "there")
    follow(broker, found)
    published = len(broker.logs["models", 0].records)

    await found.take(Batched("examples", broker.logs["examples", 0].records[-1:]))

    assert weights(found.trainer.models()) == weights(there.trainer.models())
    assert len(broker.logs["models", 0].records) == published


@pytest.mark.parametrize("cut", [1, len(PARTS) // 2, len(PARTS) - 1])
async def test_a_trainer_that_resumes_from_its_checkpoint_learns_the_same(
    broker: FakeBroker, tmp_path: Path, cut: int
):
    fill(broker)
    await training(broker, tmp_path / "at once")
    expected = weights(newest(broker))

    broker.logs.clear()
    fill(broker, 0, cut)
    await training(broker, tmp_path / "resumed")
    fill(broker, cut)
    await training(broker, tmp_path / "resumed")

    assert weights(newest(broker)) == expected


async def test_a_trainer_on_a_new_host_learns_again_and_publishes_only_what_is_new(
    broker: FakeBroker, tmp_path: Path
):
    fill(broker)
    first = await training(broker, tmp_path / "one")
    published = len(broker.logs["models", 0].records)

    second = await training(broker, tmp_path / "other")

    assert second.trainer.labels == first.trainer.labels
    assert second.trainer.number == first.trainer.number
    assert len(broker.logs["models", 0].records) == published


@pytest.mark.parametrize("damage", ["one bit", "another key", "cut off", "foreign", "another contender"])
async def test_a_checkpoint_that_cannot_be_trusted_is_learned_again(
    broker: FakeBroker, tmp_path: Path, damage: str
):
    fill(broker)
    first = await training(broker, tmp_path)
    path = tmp_path / "trainer.checkpoint"
    data = path.read_bytes()
    if damage == "one bit":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "another key":
        (tmp_path / "signing.key").write_bytes(b"guessed")
    elif damage == "cut off":
        path.write_bytes(data[:30])
    elif damage == "foreign":
        path.write_bytes(b"hello")
    again = await training(broker, tmp_path, start=False)
    if damage == "another contender":
        again.trainer.learners["hoeffding_tree"] = again.trainer.learners["logistic"]

    await again.start()

    assert weights(again.trainer.models()) == weights(first.trainer.models())


async def test_the_key_is_made_once_for_this_disk_and_nobody_else_may_read_it(
    broker: FakeBroker, tmp_path: Path
):
    await training(broker, tmp_path)
    path = tmp_path / "signing.key"
    key = path.read_bytes()

    await training(broker, tmp_path)

    assert path.read_bytes() == key
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_key_of_the_environment_is_used_and_none_is_made(
    broker: FakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHURNWATCH_SIGNING_KEY", "pepper")

    found = await training(broker, tmp_path)

    assert found._key == b"pepper"
    assert not (tmp_path / "signing.key").exists()


async def test_examples_that_end_before_our_place_say_that_the_topic_was_recreated(
    broker: FakeBroker, tmp_path: Path
):
    fill(broker)
    await training(broker, tmp_path)
    broker.logs["examples", 0] = type(broker.logs["examples", 0])()

    with pytest.raises(RecoveryError, match=r"the topic was recreated\. Delete the state directory"):
        await training(broker, tmp_path)


async def test_who_was_mute_for_long_is_learned_with_what_others_have_sent_meanwhile(
    broker: FakeBroker, tmp_path: Path
):
    """That stands in the log: of most of it the trainer has kept no more than that it came."""
    fill(broker)
    in_step = await training(broker, tmp_path / "one")
    broker.logs["examples", 0] = type(broker.logs["examples", 0])()
    broker.logs["models", 0] = type(broker.logs["models", 0])()
    found = await training(broker, tmp_path / "other")
    ours = [[m for m in PARTS if read_part_chunk(m[1]).partition == number] for number in (0, 1)]
    broker.logs["examples", 0].append(b"k", b"nonsense")
    for message in [*ours[0], *ours[1]]:
        broker.logs["examples", 0].append(*message)

    await found.take(Batched("examples", broker.logs["examples", 0].records[: len(ours[0]) + 1]))
    assert found.trainer.as_of is None
    assert sum(bool(each.left_out) for each in found.trainer._waiting._times.values()) == DAYS - KEPT_TIMES
    await found.take(Batched("examples", broker.logs["examples", 0].records[len(ours[0]) + 1 :]))

    assert found.trainer.as_of == day(DAYS)
    assert found.trainer.labels == in_step.trainer.labels
    assert msgspec.json.encode(found.trainer.models()) == msgspec.json.encode(in_step.trainer.models())
    assert metric(found._context.metrics.registry, "broken_rows_total", table="examples") == 1


async def test_an_example_that_cannot_be_read_is_left_out_and_counted(broker: FakeBroker, tmp_path: Path):
    broker.logs["examples", 0].append(b"k", b"nonsense")
    fill(broker)

    found = await training(broker, tmp_path)
    await found.take(Batched("examples", broker.logs["examples", 0].records))

    assert newest(broker).as_of == day(DAYS)
    assert metric(found._context.metrics.registry, "broken_rows_total", table="examples") == 1


async def test_the_last_versions_are_kept_and_the_one_that_is_pinned(broker: FakeBroker, tmp_path: Path):
    found = await training(broker, tmp_path, keep_versions=2)
    override = msgspec.json.encode(Override(said_at=1, number=2))
    for place, message in enumerate(PARTS):
        # As the worker follows the topic while it learns.
        follow(broker, found)
        await found.take(Batched("examples", [Stored(place, *message)]))
        if found.trainer.number == 2 and not found._context.models._reader.override:
            broker.logs["models", 0].append(OVERRIDE_KEY, override)
    follow(broker, found)

    reader = found._context.models._reader
    assert list(reader.kept) == [2, DAYS - 1, DAYS]
    assert found._context.models.current.number == 2
    assert newest_published(broker) == day(DAYS)

    found._context.models._take(OVERRIDE_KEY, None)
    assert set(reader.outdated(DAYS, 2)) == {b"champion/2", b"version/logistic/2"}


async def test_a_trainer_that_starts_under_a_rollback_publishes_nothing_again(
    broker: FakeBroker, tmp_path: Path
):
    fill(broker)
    await training(broker, tmp_path / "one")
    broker.logs["models", 0].append(OVERRIDE_KEY, msgspec.json.encode(Override(said_at=1, number=3)))
    published = len(broker.logs["models", 0].records)

    again = await training(broker, tmp_path / "other")

    assert again._context.models.current.number == 3
    assert again.trainer.as_of == day(DAYS)
    assert len(broker.logs["models", 0].records) == published


async def test_a_promotion_is_counted_once_when_it_is_published(broker: FakeBroker, tmp_path: Path):
    found = await training(broker, tmp_path)
    found.trainer.promotions.append(
        Promotion(champion="logistic", over="pool", as_of=day(2), lead=0.01, labels=9)
    )
    fill(broker)

    await found.take(Batched("examples", broker.logs["examples", 0].records))

    assert metric(found._context.metrics.registry, "promotions_total") == 1
    assert newest(broker).promoted == found.trainer.promotions[0]


async def test_a_version_that_cannot_be_published_is_told_to_the_worker(broker: FakeBroker, tmp_path: Path):
    found = await training(broker, tmp_path)
    broker.trouble = lambda topic: "refuse" if topic == "models" else None
    batch = Batched("examples", [Stored(n, *message) for n, message in enumerate(PARTS)])

    with pytest.raises(SendError):
        await found.take(batch)
    assert batch.acked == 0


async def test_nothing_is_learned_before_the_models_there_are_were_read(broker: FakeBroker, tmp_path: Path):
    fill(broker)
    found = await training(broker, tmp_path, start=False)
    found._context.models.loaded.clear()
    starting = asyncio.create_task(found.start())
    await asyncio.sleep(0)

    assert found.trainer.as_of is None
    found._context.models.loaded.set()
    await starting
    assert found.trainer.as_of == day(DAYS)


async def test_progressive_metrics_appear_when_they_are_asked_for(broker: FakeBroker, tmp_path: Path):
    fill(broker)
    found = await training(broker, tmp_path)

    found.measure()

    registry = found._context.metrics.registry
    assert 0 < metric(registry, "progressive_auc", model="champion", record="all") <= 1
    assert metric(registry, "base_rate_log_loss", record="all") > 0
    assert metric(registry, "progressive_auc", model="champion", record="evaluated") == 0
    assert 0 < metric(registry, "progressive_pr_auc", model="champion", record="all") <= 1
    assert 0 <= metric(registry, "progressive_ece", model="champion", record="all") <= 1
    weights = [metric(registry, "pool_weight", model=name) for name in found.trainer.config.pooled]
    assert sum(weights) == pytest.approx(1)
    champion = found.trainer.record["champion"]
    gap = float(champion.probabilities @ (champion.positives + champion.negatives)) / champion.labels
    assert metric(registry, "calibration_gap", tier="none") == pytest.approx(gap - champion.base_rate)
    assert found.trainer.stability == {}, "it is warming up"


async def test_the_stability_of_every_input_is_measured_once_it_is_known(broker: FakeBroker, tmp_path: Path):
    fill(broker)
    found = await training(broker, tmp_path, horizon_days=1)

    found.measure()

    index = found.trainer.stability
    assert index.keys() == set(COLUMNS) - SHOP_WIDE
    registry = found._context.metrics.registry
    told = {name: metric(registry, "input_stability", feature=name) for name in index}
    assert told == index
    assert any(told.values())


async def test_drifts_are_counted_and_logged_once_also_by_who_learns_them_again(
    broker: FakeBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    def see(self: Watches, decision_time: int, champion: ScoreCounts) -> None:
        self._tell(
            [Drift(at=decision_time, since=0, what=LOSS, measure="page_hinkley", strength=0.5, level="large")]
            if champion.labels
            else []
        )

    monkeypatch.setattr(Watches, "see_loss", see)
    fill(broker)
    first = await training(broker, tmp_path / "one")
    lines = [record for record in caplog.records if "loss of forecasts rose" in record.message]
    second = await training(broker, tmp_path / "other")

    assert first.trainer.drifts == second.trainer.drifts != []
    told = [
        metric(found._context.metrics.registry, "drifts_total", measure="page_hinkley")
        for found in (first, second)
    ]
    assert told == [len(first.trainer.drifts), 0]
    assert len(lines) == told[0]
    assert lines[0].fields["forgets_days"] == first.trainer.config.horizon_days
    assert len(lines) == len([each for each in caplog.records if "loss of forecasts rose" in each.message])


async def test_where_examples_were_deleted_a_new_host_goes_on_from_the_newest_version(
    broker: FakeBroker, tmp_path: Path
):
    known = len(PARTS) * 3 // 4
    fill(broker, end=known)
    first = await training(broker, tmp_path / "one")
    log = broker.logs["examples", 0]
    log.cut(known // 2)
    fill(broker, start=known)
    second = await training(broker, tmp_path / "two")
    await first.take(Batched("examples", log.records))

    assert first.trainer.labels == second.trainer.labels > 0
    assert weights(second.trainer.models()) == weights(first.trainer.models())
    assert second.trainer.cold == {}
