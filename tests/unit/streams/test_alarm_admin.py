"""`churnwatch alarms`: what is held back, and an operator's word on it, with name and time."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec
import pytest

from models.guard import Hold
from models.version_reader import VersionReader
from models.versions import records
from models.words import ALARMS_KEY, Word
from streams.alarm_admin import say, show
from streams.model_admin import ModelsError
from streams.sending import signed_message
from tests.building import constant_models, day
from tests.shell import shop_settings

if TYPE_CHECKING:
    from pathlib import Path

    from models.versions import ModelSet
    from models.words import Verdict
    from streams.settings import Settings
    from tests.fakes import FakeBroker

HOLD = Hold(since=day(3), why="crossing", value=0.55, limit=0.08)


@pytest.fixture
def settings(broker: FakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("streams.alarm_admin.new_producer", lambda _: nullcontext(broker))
    return shop_settings(tmp_path)


def publish(broker: FakeBroker, hold: Hold | None, number: int = 3) -> None:
    models: ModelSet = msgspec.structs.replace(
        constant_models(0.5, number=number), as_of=day(number), hold=hold
    )
    for record in records(models, {}):
        broker.logs["models", 0].append(*signed_message(*record, b""))


def in_force(broker: FakeBroker) -> Hold | None:
    """What workers hold back, by all that stands on the topic."""
    reader = VersionReader()
    for each in broker.logs["models", 0].records:
        reader.read(each.key or b"", each.value)
    assert reader.latest is not None
    return reader.latest.hold


async def test_what_is_held_is_told_with_its_reason(broker: FakeBroker, settings: Settings):
    publish(broker, HOLD)

    told = await show(settings)
    assert "held back since 2022-01-11" in told
    assert "55.0% of the active customers came into risk in one step, 8.0% would be believable" in told
    assert "nobody has released or dropped them" in told


@pytest.mark.parametrize(
    ("verdict", "done", "left"),
    [("release", "released", None), ("drop", "dropped", msgspec.structs.replace(HOLD, dropped=True))],
)
async def test_an_operators_word_reaches_the_workers_with_name_and_time(
    broker: FakeBroker, settings: Settings, verdict: Verdict, done: str, left: Hold | None
):
    publish(broker, HOLD)

    told = await say(settings, verdict, "ada")

    assert f"{done} by ada on 20" in told
    (value,) = [each.value for each in broker.logs["models", 0].records if each.key == ALARMS_KEY]
    word = msgspec.json.decode(value or b"", type=Word)
    assert (word.verdict, word.since, word.said_by) == (verdict, day(3), "ada")
    assert in_force(broker) == left
    # The same hold as of the next decision time.
    publish(broker, HOLD, number=4)
    assert in_force(broker) == left


async def test_the_next_hold_is_another_and_waits_for_a_word_of_its_own(
    broker: FakeBroker, settings: Settings
):
    publish(broker, HOLD)
    await say(settings, "release", "ada")
    publish(broker, None, number=4)
    assert "no alerts are held back; the last word: released by ada" in await show(settings)

    orders = Hold(since=day(5), why="orders", value=0.02, limit=0.4)
    publish(broker, orders, number=5)
    assert in_force(broker) == orders
    assert "2.0% of the usual number of customers bought" in await show(settings)


async def test_where_nothing_is_held_there_is_nothing_to_say(broker: FakeBroker, settings: Settings):
    with pytest.raises(ModelsError, match="no model version"):
        await show(settings)
    publish(broker, None)
    with pytest.raises(ModelsError, match="no alerts are held back"):
        await say(settings, "drop")
    assert await show(settings) == "no alerts are held back"
