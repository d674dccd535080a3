"""`churnwatch models`: an operator's word is one record; what cannot be done is one line."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.console import Console

from features.layout import DAY_MS
from models.overrides import OVERRIDE_KEY, Override, Promotion
from models.pool import Pool
from models.versions import ModelSet, champion_key, records
from streams.model_admin import ModelsError, promote, release, rollback, sentence, show
from streams.sending import signed_message
from tests.building import START, constant_models
from tests.shell import shop_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from streams.settings import Settings
    from tests.fakes import FakeBroker

    Word = Callable[..., Awaitable[object]]

NAMES = ("logistic", "additive")


@pytest.fixture
def settings(broker: FakeBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of a shop whose operator writes to the broker that everybody reads."""
    monkeypatch.setattr("streams.model_admin.new_producer", lambda _: nullcontext(broker))
    return shop_settings(tmp_path)


def models(number: int, **changes: object) -> ModelSet:
    """The set of a day: two contenders and their pool, which leads."""
    one = constant_models(0.5, number=number, labels=1000 * number)
    scorers = dict.fromkeys(NAMES, one.scorers["logistic"])
    pool = Pool(NAMES).scorer(scorers)  # type: ignore[arg-type]
    found = msgspec.structs.replace(
        one, as_of=START + number * DAY_MS, champion="pool", scorers={**scorers, "pool": pool}
    )
    return msgspec.structs.replace(found, **changes)


def publish(broker: FakeBroker, *sets: ModelSet, secret: bytes = b"") -> None:
    for found in sets:
        for record in records(found, {}):
            broker.logs["models", 0].append(*signed_message(*record, secret))


def said(broker: FakeBroker) -> Override | None:
    """What stands under the key of the override."""
    values = [each.value for each in broker.logs["models", 0].records if each.key == OVERRIDE_KEY]
    return msgspec.json.decode(values[-1], type=Override) if values and values[-1] else None


async def listed(settings: Settings) -> str:
    console = Console(file=io.StringIO(), width=240)
    await show(settings, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


async def test_a_rollback_brings_the_version_before_back_and_again_the_one_before_that(
    broker: FakeBroker, settings: Settings
):
    publish(broker, *(models(number) for number in (1, 2, 3)))

    assert (await rollback(settings, None)).models == models(2)
    assert (await rollback(settings, None)).models == models(1)
    with pytest.raises(ModelsError, match="no version before 1 is kept"):
        await rollback(settings, None)

    found = said(broker)
    assert found is not None
    assert (found.number, found.champion) == (1, None)


async def test_a_rollback_to_a_number_brings_it_back_whole(broker: FakeBroker, settings: Settings):
    publish(broker, models(1, champion="logistic"), models(2), models(3))
    await promote(settings, "additive")

    found = await rollback(settings, 1)

    assert found.models == models(1, champion="logistic")
    assert sentence(found).startswith("version 1 is in force, led by logistic, by override since 20")
    assert sentence(found).endswith("; the trainer's is 3, led by pool (`churnwatch models release`)")


async def test_a_promotion_holds_in_later_versions_and_in_the_one_that_was_rolled_back_to(
    broker: FakeBroker, settings: Settings
):
    publish(broker, models(1), models(2))
    await promote(settings, "additive")
    publish(broker, models(3))
    assert "version 3 is in force, led by additive" in await listed(settings)

    await rollback(settings, 2)
    found = await promote(settings, "logistic")

    assert (found.models.number, found.models.champion) == (2, "logistic")


async def test_a_release_gives_back_to_the_trainer_and_can_be_repeated(
    broker: FakeBroker, settings: Settings
):
    publish(broker, models(1), models(2))
    await rollback(settings, 1)

    for _ in range(2):
        found = await release(settings)
        assert sentence(found) == "version 2 is in force, led by pool, as the trainer says"
    assert said(broker) is None


async def test_a_promotion_ends_a_rollback_to_a_version_that_is_gone(broker: FakeBroker, settings: Settings):
    publish(broker, models(1), models(2))
    await rollback(settings, 1)
    broker.logs["models", 0].append(champion_key(1), None)
    assert "which cannot be followed: version 1 is not kept" in await listed(settings)

    found = await promote(settings, "additive")

    assert (found.models.number, found.models.champion, found.unheeded) == (2, "additive", "")


@pytest.mark.parametrize(
    ("word", "why"),
    [
        (
            lambda s: promote(s, "oracle"),
            "no contender 'oracle' in version 2; there are logistic, additive, pool",
        ),
        (lambda s: rollback(s, 9), "version 9 is not kept; kept are 1, 2"),
    ],
)
async def test_what_does_not_exist_is_one_line_and_nothing_is_written(
    broker: FakeBroker, settings: Settings, word: Word, why: str
):
    publish(broker, models(1), models(2))
    before = len(broker.logs["models", 0].records)

    with pytest.raises(ModelsError) as error:
        await word(settings)

    assert str(error.value) == why
    assert len(broker.logs["models", 0].records) == before


@pytest.mark.parametrize(
    "word", [show, promote, rollback, release], ids=["list", "promote", "rollback", "release"]
)
async def test_before_the_first_version_there_is_nothing_to_say(settings: Settings, word: Word):
    arguments = {show: (Console(),), promote: ("pool",), rollback: (None,), release: ()}[word]

    with pytest.raises(ModelsError, match="no version stands on models yet"):
        await word(settings, *arguments)


async def test_a_version_that_is_dropped_at_the_same_moment_is_told(broker: FakeBroker, settings: Settings):
    publish(broker, models(1), models(2))
    broker.meanwhile = lambda _: broker.logs["models", 0].append(champion_key(1), None)

    with pytest.raises(ModelsError, match="cannot be followed any more: version 1 is not kept"):
        await rollback(settings, 1)


class TestSigned:
    @pytest.fixture
    def signing(self, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
        monkeypatch.setenv("CHURNWATCH_SIGNING_KEY", "of the shop")
        return shop_settings(tmp_path)

    async def test_what_is_said_is_signed_so_that_workers_take_it(
        self, broker: FakeBroker, signing: Settings
    ):
        publish(broker, models(1), models(2), secret=signing.secret)

        assert (await rollback(signing, 1)).models == models(1)
        assert (await release(signing)).models == models(2)

    async def test_without_the_key_nothing_is_said(self, broker: FakeBroker, settings: Settings):
        publish(broker, models(1), models(2), secret=b"of the shop")

        with pytest.raises(ModelsError, match="set CHURNWATCH_SIGNING_KEY"):
            await rollback(settings, 1)
        assert said(broker) is None
        assert "version 2 is in force" in await listed(settings)

    async def test_with_another_key_there_is_nothing_to_use(self, broker: FakeBroker, signing: Settings):
        publish(broker, models(1), secret=b"of somebody else")

        with pytest.raises(ModelsError, match="can be used: the signature does not match the record"):
            await rollback(signing, 1)


async def test_the_list_says_of_each_version_what_it_is_and_which_speaks(
    broker: FakeBroker, settings: Settings
):
    promoted = Promotion(
        champion="pool", over="additive", as_of=START + 2 * DAY_MS, lead=0.0031, labels=24_000
    )
    publish(
        broker, models(1, champion="additive"), models(2, promoted=promoted), models(3, promoted=promoted)
    )
    await rollback(settings, 2)

    shown = await listed(settings)

    one, two, three = (line for line in shown.splitlines() if "2022-01-" in line and "│" in line)
    assert "2022-01-09 00:00 │  1,000 │ additive" in one
    assert "logistic 0.500, additive 0.500, pool " in one
    assert "→ 2" in two
    assert "→" not in one + three
    assert (
        shown.count("promoted 2022-01-10 00:00: pool over additive, 0.0031 nats a label better over 24,000")
        == 1
    )


async def test_the_list_shows_who_leads_by_override_and_who_would(broker: FakeBroker, settings: Settings):
    publish(broker, models(1), models(2))
    await promote(settings, "additive")

    shown = await listed(settings)

    assert shown.count("additive (not pool)") == 1
    assert "→ 2" in shown
