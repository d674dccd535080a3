"""Groups for audits: few, the same however customers are spread, and gone with who is erased."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.layout import DAY_MS
from models import cohorts, groups
from models.cohorts import Cohort, read_chunk
from models.config import CoreConfig
from models.fairness import audit
from models.groups import OTHER, UNKNOWN, Groups
from models.parts import Matured
from models.progressive import ScoreCounts
from models.record import judge_groups, merged_groups
from models.versions import COLUMNS
from models.wire import WireError, pack, unpack
from tests.building import Feed, config, constant_models, core, day, event
from tests.examples import examples

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from models.core import PartitionCore

NAMES = ("age", "place")
known = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "d", "e", UNKNOWN, OTHER]))
people = st.lists(st.tuples(known, known), max_size=20)


@pytest.fixture(autouse=True)
def _few_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST", 3)
    monkeypatch.setattr(cohorts, "CHUNK_MEMBERS", 3)


def cohort(members: Sequence[Sequence[str | None]], names: tuple[str, ...] = NAMES, seed: int = 0) -> Cohort:
    rng = np.random.default_rng(seed)
    return Cohort(
        decision_time=day(1),
        contenders=("a", "b"),
        champion="b",
        hashes=np.sort(rng.integers(0, 2**64, len(members), np.uint64)),
        inputs=np.zeros((len(members), 2), np.float32),
        issued=rng.integers(0, 10**6 + 1, (len(members), 2)).astype(np.uint32),
        recency=np.zeros(len(members), np.uint16),
        groups=Groups.of(names, members),
    )


def labelled(found: Cohort, seed: int = 0) -> Matured:
    churned = np.random.default_rng(seed).random(len(found)) < 0.5
    return Matured(found, churned, np.zeros(len(found), bool))


def told(found: Groups | None) -> list[tuple[str, ...]]:
    """The group of each member by every attribute."""
    assert found is not None
    columns = [[values[code] for code in codes.tolist()] for _, values, codes in found.columns()]
    return list(zip(*columns, strict=True))


def plain(counts: dict[str, dict[str, ScoreCounts]]) -> object:
    return {name: {value: each.to_json() for value, each in by.items()} for name, by in counts.items()}


class TestCodes:
    def test_beyond_so_many_values_those_first_in_the_alphabet_are_told_apart(self):
        found = Groups.of(("age",), [("d",), ("a",), (None,), ("c",), ("b",), ("e",)])

        assert told(found) == [(OTHER,), ("a",), (UNKNOWN,), ("c",), ("b",), (OTHER,)]

    @examples(50)
    @given(people)
    def test_a_cohort_comes_back_from_its_chunks_with_its_groups(self, members: list[tuple[str | None, ...]]):
        sent = cohort(members)
        if chunks := [read_chunk(chunk) for chunk in sent.chunks()]:
            assert told(Cohort.join(chunks).groups) == told(sent.groups)

    @examples(50)
    @given(people, st.randoms(use_true_random=False))
    def test_who_is_chosen_keeps_the_group_and_a_value_that_nobody_has_is_forgotten(
        self, members: list[tuple[str | None, ...]], rng: random.Random
    ):
        whole = Groups.of(NAMES, members)
        keep = np.array([rng.random() < 0.5 for _ in members], bool)
        rest = whole.take(keep)

        assert told(rest) == [each for each, kept in zip(told(whole), keep, strict=True) if kept]
        for values, column in zip(
            rest.values, zip(*told(rest), strict=True) if keep.any() else (), strict=False
        ):
            assert set(values) == set(column) - {UNKNOWN}
        assert keep.any() or rest.values == ((), ())

    @examples(50)
    @given(people, people)
    def test_pieces_with_other_dictionaries_are_joined_as_if_they_were_one(
        self, first: list[tuple[str | None, ...]], second: list[tuple[str | None, ...]]
    ):
        joined = Groups.join([Groups.of(NAMES, first), Groups.of(NAMES, second)])

        assert told(joined) == told(Groups.of(NAMES, [*first, *second]))

    def test_chunks_of_an_older_release_have_none(self):
        (chunk,) = replace(cohort([("a", "b")]), groups=None).chunks()
        fields = unpack(chunk, dict)
        del fields["groups"]
        old = chunk[:1] + _deflated(fields)

        assert read_chunk(old).groups is None
        assert judge_groups([labelled(read_chunk(old))]) == {}

    @pytest.mark.parametrize("bad", [{"codes": b"\x00"}, {"codes": b"\x09\x09"}, {"values": ((),)}])
    def test_codes_that_do_not_fit_are_refused(self, bad: dict[str, object]):
        (chunk,) = cohort([("a", "b")]).chunks()
        form = unpack(chunk, cohorts._Chunk)
        assert form.groups is not None
        broken = msgspec.structs.replace(form, groups=msgspec.structs.replace(form.groups, **bad))

        with pytest.raises(WireError, match="do not fit"):
            read_chunk(pack(broken))


def _deflated(fields: dict[str, object]) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(fields))


class TestCounts:
    @examples(50)
    @given(people, st.lists(st.integers(0, 3), min_size=20, max_size=20), st.randoms(use_true_random=False))
    def test_however_members_are_spread_and_in_whatever_order_they_come_the_counts_are_the_same(
        self, members: list[tuple[str | None, ...]], owners: list[int], rng: random.Random
    ):
        """Each partition cuts its own values; the first of all in the alphabet survive in every one."""
        whole = labelled(cohort(members))
        alone = []
        for owner in range(4):
            mine = [i for i in range(len(members)) if owners[i] == owner]
            part = cohort([members[i] for i in mine])
            spread = replace(part, hashes=whole.cohort.hashes[mine], issued=whole.cohort.issued[mine])
            alone.append(Matured(spread, whole.churned[mine], whole.treated[mine]))
        rng.shuffle(alone)
        expected = plain(judge_groups([whole])) if members else {}

        assert plain(judge_groups([each for each in alone if len(each.cohort)])) == expected
        one_by_one: dict[str, dict[str, ScoreCounts]] = {}
        for each in alone:
            one_by_one = merged_groups((one_by_one, judge_groups([each] if len(each.cohort) else [])))
        assert plain(one_by_one) == expected

    def test_the_champion_is_judged_and_everybody_is_in_one_group(self):
        whole = labelled(cohort([("a", None), ("b", "x"), ("a", "x"), (None, "y")] * 25))
        found = judge_groups([whole])

        assert {value: each.labels for value, each in found["age"].items()} == {"a": 50, "b": 25, UNKNOWN: 25}
        together = merged_groups([{"all": {"all": each}} for each in found["place"].values()])["all"]["all"]
        exact = ScoreCounts.of(whole.cohort.issued[:, 1] / 1e6, whole.churned)
        assert (together.labels, together.base_rate) == (exact.labels, exact.base_rate)
        assert together.log_loss == pytest.approx(exact.log_loss, abs=0.05)

    def test_a_threshold_of_whole_thousandths_calls_the_same_customers(self):
        members = cohort([("a", None)] * 6)
        issued = np.array([0, 799_999, 800_000, 800_001, 999_999, 1_000_000], np.uint32)
        whole = labelled(replace(members, issued=np.stack((issued, issued), axis=1)))
        counts = judge_groups([whole])["age"]

        (group,) = audit(counts, 0.8, minimum=1).groups
        assert group.selection_rate is not None
        assert group.selection_rate.value == pytest.approx(4 / 6)

    def test_a_group_stays_small_however_many_labels_come(self):
        members = labelled(cohort([("a", None)] * 5000))

        assert len(judge_groups([members])["age"]["a"].points) <= 1000

    def test_partitions_that_were_asked_for_different_attributes_are_judged_by_what_they_have(self):
        found = judge_groups(
            [labelled(cohort([("a",)] * 3, ("age",))), labelled(cohort([("x",)] * 2, ("place",)))]
        )

        assert {name: list(by) for name, by in found.items()} == {"age": ["a"], "place": ["x"]}


class TestSweep:
    @staticmethod
    def fed(**changes: object) -> Feed:
        target = core(config(**changes))
        feed = Feed(target)
        feed(event("profile", "anna", day(0.1), attributes={"age": "30-39", "place": "Bonn"}))
        feed(event("profile", "bert", day(0.1), consent={"email": True}))
        for user in ("anna", "bert", "carl"):
            feed.buys(user, 0.5)
        feed.decide(day(1), constant_models(0.5))
        return feed

    def swept(self, **changes: object) -> PartitionCore:
        return self.fed(**changes).core

    @staticmethod
    def by_user(target: PartitionCore) -> dict[str, tuple[str, ...]]:
        found = target.cohorts[day(1)]
        users = {target.hash(user): user for user in ("anna", "bert", "carl")}
        names = [users[code] for code in found.hashes.tolist()]
        return dict(zip(names, told(found.groups), strict=True))

    def test_a_cohort_holds_the_groups_that_were_asked_for(self):
        assert self.by_user(self.swept(audit=("age",))) == {
            "anna": ("30-39",),
            "bert": (UNKNOWN,),
            "carl": (UNKNOWN,),
        }

    def test_unasked_nothing_is_stored(self):
        target = self.swept()

        assert target.cohorts[day(1)].groups is None
        assert not any(b"30-39" in value for value in target.cohorts[day(1)].chunks())

    def test_no_model_sees_a_group(self):
        asked, unasked = self.swept(audit=("age", "place")).cohorts[day(1)], self.swept().cohorts[day(1)]

        np.testing.assert_array_equal(asked.inputs, unasked.inputs)
        np.testing.assert_array_equal(asked.issued, unasked.issued)
        assert asked.inputs.shape[1] == len(COLUMNS)
        assert not set(COLUMNS) & {"age", "place"}

    def test_an_erasure_takes_the_group_along(self):
        feed = self.fed(audit=("age",))
        feed(event("erasure", "anna", day(1.2)))
        left = feed.core.cohorts[day(1)].groups

        assert left is not None
        assert left.values == ((),)

    @pytest.mark.parametrize("bad", [("age", "age"), ("",)])
    def test_an_attribute_is_named_and_named_once(self, bad: tuple[str, ...]):
        with pytest.raises(ValueError, match="audited attribute"):
            CoreConfig(lateness_ms=DAY_MS, audit=bad)
