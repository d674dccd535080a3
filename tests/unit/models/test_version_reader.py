"""Which models are in force: read in full or after compaction, with and without an operator's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.layout import DAY_MS
from models.episodes import Thresholds
from models.guard import Hold
from models.overrides import OVERRIDE_KEY, Override, Promotion
from models.signing import SignatureError, signature
from models.version_reader import VersionReader
from models.versions import CHAMPION_KEY, ModelSet, champion_key, records, version_key
from models.words import ALARMS_KEY, Word
from tests.building import START, constant_models

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.words import Verdict

    Record = tuple[bytes, bytes | None]

NAMES = ("logistic", "additive", "pool")


def models(number: int, names: tuple[str, ...] = ("logistic", "additive")) -> ModelSet:
    """The set of a day; each number scores otherwise, and the first of `names` leads."""
    one = constant_models(number / 1000, number=number)
    scorers = dict.fromkeys(names, one.scorers["logistic"])
    return msgspec.structs.replace(one, as_of=START + number * DAY_MS, champion=names[0], scorers=scorers)


def published(found: ModelSet) -> list[Record]:
    return list(records(found, {}))


def said(champion: str | None = None, number: int | None = None) -> Record:
    return OVERRIDE_KEY, msgspec.json.encode(Override(said_at=1, champion=champion, number=number))


def reading(log: Iterable[Record], reader: VersionReader | None = None) -> VersionReader:
    reader = reader or VersionReader()
    for key, value in log:
        reader.read(key, value)
    return reader


def compacted(log: Iterable[Record]) -> list[Record]:
    """What a log compacts to: the last value of each key, in the order in which these stand there."""
    last = {key: (place, value) for place, (key, value) in enumerate(log)}
    return [(key, value) for key, (_, value) in sorted(last.items(), key=lambda each: each[1][0]) if value]


def held_models(number: int, since: int) -> ModelSet:
    return msgspec.structs.replace(models(number), hold=msgspec.structs.replace(HOLD, since=since))


def word(verdict: Verdict, since: int) -> Record:
    return ALARMS_KEY, msgspec.json.encode(Word(verdict=verdict, since=since, said_at=1, said_by="ada"))


HOLD = Hold(since=0, why="orders", value=0.1, limit=0.4)
RELEASE: Record = (OVERRIDE_KEY, None)
THREE = [record for number in (1, 2, 3) for record in published(models(number))]


class TestTheTrainersWord:
    def test_a_champion_record_completes_a_set_and_nothing_else_does(self):
        reader = VersionReader()
        found = published(constant_models(0.3))

        assert [reader.read(*each) is not None for each in found] == [False, True, False]

    def test_a_champion_that_names_a_version_nobody_read_is_refused(self):
        _, kept, champion = published(constant_models(0.3, number=1))
        reader = reading([*published(constant_models(0.4, number=0)), kept])

        with pytest.raises(KeyError):
            reader.read(*champion)
        assert reader.latest == constant_models(0.4, number=0)

    def test_without_a_version_of_it_a_set_is_gone_and_the_one_before_speaks(self):
        reader = reading([*THREE, (version_key("additive", 3), None)])

        assert reader.latest == models(2)
        assert list(reader.kept) == [1, 2]

    def test_the_last_models_stay_when_every_version_is_taken_away(self):
        reader = reading([*THREE, *((key, None) for key, _ in THREE)])

        assert reader.latest == models(3)

    def test_a_set_of_an_earlier_decision_time_does_not_speak_for_a_later_one(self):
        """A trainer that was thought dead."""
        reader = reading([*published(models(3)), *published(models(2))])

        assert reader.latest == models(3)

    def test_versions_of_two_lives_of_the_trainer_are_never_mixed(self):
        reborn = msgspec.structs.replace(models(2), as_of=START + 9 * DAY_MS)
        *begun, kept, newest = published(reborn)

        reader = reading([*THREE, *begun[:1]])
        assert reader.latest == models(3)
        assert list(reader.kept) == [1, 3]
        assert reading([*begun[1:], kept, newest], reader).latest == reborn

    def test_who_was_promoted_last_travels_along(self):
        promoted = Promotion(champion="additive", over="logistic", as_of=START, lead=0.004, labels=21_000)
        found = msgspec.structs.replace(models(3), champion="additive", promoted=promoted)

        assert reading(published(found)).latest == found

    def test_a_topic_of_an_older_release_which_kept_no_champions_is_read(self):
        reader = reading(each for each in THREE if not each[0].startswith(b"champion/"))

        assert reader.latest == models(3)
        assert reader.kept == {}

    @pytest.mark.parametrize(
        "broken",
        [
            b"",
            b"{}",
            b"\xff\xfe",
            b"null",
            b'{"name":"logistic","number":2,"as_of":1,"labels":1,"scorer":{"type":"linear"}}',
        ],
    )
    @pytest.mark.parametrize("key", [CHAMPION_KEY, champion_key(2), version_key("logistic", 2), OVERRIDE_KEY])
    def test_a_broken_record_is_refused_and_the_models_in_force_stay(self, broken: bytes, key: bytes):
        reader = reading([*THREE, said(number=2)])

        with pytest.raises(msgspec.DecodeError):
            reader.read(key, broken)
        assert reader.latest == models(2)

    @pytest.mark.parametrize("number", ["null", "1e999", "NaN"])
    def test_a_weight_that_is_not_finite_is_refused(self, number: str):
        (key, value), *_ = published(constant_models(0.3))
        poisoned = (value or b"").replace(b'"weights":[0.0', b'"weights":[' + number.encode())
        assert poisoned != value

        with pytest.raises(msgspec.DecodeError):
            VersionReader().read(key, poisoned)

    def test_a_version_of_another_catalogue_is_refused(self):
        (key, value), *_ = published(constant_models(0.3))
        other = (value or b"").replace(b'"gap_mean"', b'"gap_median"')

        with pytest.raises(msgspec.ValidationError, match="another catalogue"):
            VersionReader().read(key, other)

    def test_with_a_secret_only_signed_records_are_read_and_others_change_nothing(self):
        secret = b"of the trainer"
        reader = VersionReader(secret)
        for key, value in [*published(models(1)), *published(models(2)), said(number=1)]:
            reader.read(key, value, signature(key, value, secret))
        for key, value in (
            *published(models(3)),
            said(number=2),
            RELEASE,
            (version_key("logistic", 1), None),
        ):
            for signed in (None, b"", signature(key, value, b"of somebody else")):
                with pytest.raises(SignatureError):
                    reader.read(key, value, signed)

        assert reader.latest == models(1)


class TestAnOperatorsWord:
    def test_a_promoted_contender_leads_in_this_version_and_in_those_that_follow(self):
        reader = reading([*THREE, said(champion="additive")])

        assert reader.latest == msgspec.structs.replace(models(3), champion="additive")
        assert reading(published(models(4)), reader).latest == msgspec.structs.replace(
            models(4), champion="additive"
        )

    def test_a_version_that_was_rolled_back_to_speaks_whole_while_the_trainer_goes_on(self):
        reader = reading([*THREE, said(number=2), *published(models(4))])

        assert reader.in_force is not None
        assert (reader.in_force.models, reader.in_force.newest) == (models(2), models(4))

    def test_tiers_begin_where_the_version_and_the_contender_that_speak_have_them(self):
        low, high = Thresholds(0.3, 0.4, 0.5, 0.01), Thresholds(0.6, 0.7, 0.8, 0.01)
        newest = msgspec.structs.replace(models(4), tiers={"logistic": low, "additive": high})
        reader = reading([*THREE, *published(newest)])
        assert reader.latest == newest
        assert newest.thresholds == low

        for word, thresholds in ((said(number=2), None), (said(champion="additive"), high)):
            found = reading([word], reader).latest
            assert found is not None
            assert found.thresholds == thresholds

    def test_of_a_hold_that_an_operator_releases_nothing_is_left_in_force_until_the_next_one(self):
        held = [held_models(4, since=4), held_models(5, since=4), held_models(6, since=6)]
        reader = reading([*published(held[0]), word("release", since=4)])
        assert reader.in_force is not None
        assert (reader.in_force.models.hold, reader.in_force.newest) == (None, held[0])
        assert reading(published(held[1]), reader).latest == msgspec.structs.replace(held[1], hold=None)

        assert reading(published(held[2]), reader).latest == held[2]

    def test_a_hold_whose_customers_an_operator_drops_says_so(self):
        reader = reading([word("drop", since=4), *published(held_models(4, since=4))])

        assert reader.latest is not None
        assert reader.latest.hold == msgspec.structs.replace(HOLD, since=4, dropped=True)

    def test_a_version_that_is_brought_back_is_held_as_the_newest_is(self):
        reader = reading([*THREE, *published(held_models(4, since=4)), said(number=2)])

        assert reader.latest == msgspec.structs.replace(
            models(2), hold=msgspec.structs.replace(HOLD, since=4)
        )

    def test_a_promotion_in_a_version_that_was_rolled_back_to_is_both(self):
        reader = reading([*THREE, said("additive", 1)])

        assert reader.latest == msgspec.structs.replace(models(1), champion="additive")

    def test_a_release_brings_the_newest_back(self):
        reader = reading([*THREE, said(number=1), *published(models(4)), RELEASE])

        assert reader.in_force is not None
        assert (reader.latest, reader.in_force.override) == (models(4), None)

    @pytest.mark.parametrize(
        ("word", "why"),
        [
            (said(number=9), "version 9 is not kept"),
            (said(champion="nobody"), "'nobody' does not contend in version 3"),
            (said("nobody", 9), "version 9 is not kept, 'nobody' does not contend in version 3"),
        ],
    )
    def test_what_cannot_be_followed_is_left_to_the_trainer_and_said(self, word: Record, why: str):
        reader = reading([*THREE, word])

        assert reader.in_force is not None
        assert (reader.latest, reader.in_force.unheeded) == (models(3), why)

    def test_of_two_things_said_the_one_that_can_be_followed_is(self):
        reader = reading([*THREE, said("additive", 9)])

        assert reader.latest == msgspec.structs.replace(models(3), champion="additive")

    def test_an_override_that_came_before_its_version_is_followed_when_that_is_there(self):
        """So it stands on a log whose versions were published again."""
        assert reading([said(number=2), *THREE]).latest == models(2)

    def test_an_override_that_says_nothing_is_none(self):
        with pytest.raises(ValueError, match="names a champion, a version or both"):
            Override(said_at=1)


class TestWhatGoes:
    def test_the_last_versions_are_kept_and_everything_older_goes(self):
        reader = reading(THREE)

        assert reader.outdated(4, keep=4) == []
        gone = {key for key, value in published(models(1)) if key != CHAMPION_KEY}
        assert set(reader.outdated(4, keep=3)) == gone
        assert len(reader.outdated(4, keep=1)) == 3 * len(gone)

    def test_a_version_that_is_pinned_stays_until_it_is_released(self):
        reader = reading([*THREE, said(number=1)])

        assert reader.outdated(4, keep=3) == []
        assert champion_key(2) in reader.outdated(4, keep=2)
        assert champion_key(1) in reading([RELEASE], reader).outdated(5, keep=2)

    def test_versions_of_contenders_that_are_no_more_go_with_their_set(self):
        reader = reading(published(models(1, ("logistic", "pool"))))

        assert version_key("pool", 1) in reader.outdated(2, keep=1)

    def test_versions_that_an_older_release_left_without_champion_go(self):
        reader = reading(each for each in THREE if not each[0].startswith(b"champion/"))

        assert version_key("logistic", 1) in reader.outdated(4, keep=9)

    def test_a_set_that_is_just_being_published_by_somebody_else_stays(self):
        """This trainer was taken for dead, and another one is ahead of it."""
        reader = reading([*THREE, *published(models(4))[:2]])

        assert not [key for key in reader.outdated(3, keep=2) if key.endswith(b"/4")]

    def test_a_trainer_that_counts_from_one_again_lets_its_former_life_go(self):
        reborn = msgspec.structs.replace(models(1), as_of=START + 9 * DAY_MS)
        reader = reading([*THREE, *published(reborn)])

        gone = {key for key in reader.outdated(2, keep=2) if key.startswith(b"champion")}
        assert gone == {champion_key(3)}


class Shop:
    """A trainer and an operator who write one log; the trainer knows of it what a reader knows."""

    def __init__(self, keep: int) -> None:
        self.log: list[Record] = []
        self.number = 0
        self.keep = keep
        self.reader = VersionReader()

    def writes(self, *found: Record) -> None:
        self.log += found
        reading(found, self.reader)

    def publishes(self, names: tuple[str, ...]) -> None:
        self.number += 1
        outdated = self.reader.outdated(self.number, self.keep)
        self.writes(*published(models(self.number, names)), *((key, None) for key in outdated))


steps = st.lists(
    st.one_of(
        st.permutations(NAMES).flatmap(lambda names: st.sampled_from([tuple(names), tuple(names[:1])])),
        st.integers(0, 9).map(lambda number: said(number=number)),
        st.sampled_from(NAMES).map(lambda name: said(champion=name)),
        st.tuples(st.sampled_from(NAMES), st.integers(0, 9)).map(lambda both: said(*both)),
        st.just(RELEASE),
        st.tuples(st.sampled_from(NAMES), st.integers(1, 9)).map(lambda it: (version_key(*it), None)),
    ),
    max_size=20,
)


@given(steps, st.integers(1, 4), st.data())
def test_a_log_and_what_compaction_leaves_of_it_put_the_same_models_in_force(
    steps: list[Any], keep: int, data: st.DataObject
):
    shop = Shop(keep)
    shop.publishes(NAMES)
    for step in steps:
        if isinstance(step[0], str):
            shop.publishes(step)
        else:
            shop.writes(step)
        # Not everything is taken away.
        if not shop.reader.kept:
            shop.publishes(NAMES)
    # Compaction takes the older part of a log.
    cut = data.draw(st.integers(0, len(shop.log)), label="cut")
    for log in (compacted(shop.log), [*compacted(shop.log[:cut]), *shop.log[cut:]]):
        again = VersionReader()
        for record in log:
            try:
                again.read(*record)
            except KeyError:
                assert record[0] == CHAMPION_KEY

        assert again.in_force == shop.reader.in_force
        assert again.kept == shop.reader.kept
        assert again.outdated(shop.number + 1, keep) == shop.reader.outdated(shop.number + 1, keep)


@given(steps, st.integers(1, 4))
def test_a_version_is_kept_while_it_is_one_of_the_last_or_an_operator_holds_it(steps: list[Any], keep: int):
    shop = Shop(keep)
    held: int | None = None
    for step in steps:
        if isinstance(step[0], str):
            shop.publishes(step)
        elif step[0] == OVERRIDE_KEY:
            shop.writes(step)
            override = shop.reader.override
            number = override.number if override is not None else None
            held = number if number in shop.reader.kept else None
        last = set(range(max(1, shop.number - keep + 1), shop.number + 1))

        assert last <= set(shop.reader.kept)
        assert held is None or held in shop.reader.kept
        if held is not None:
            assert shop.reader.latest is not None
            assert shop.reader.latest.number == held
        else:
            assert len(shop.reader.kept) <= keep + 1
