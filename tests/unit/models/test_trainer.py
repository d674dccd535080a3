"""The clock of learning: what is learned when, in which order, and never twice."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_logs import DAYS, USERS
from random_logs import settings as log_settings

from features.catalogue import OFFSET
from features.hashing import partition_of
from features.layout import DAY_MS, TOPICS
from features.returns import PRIOR, ReturnHistogram, fit
from models import cohorts, panel, sweeping
from models.capacity import Capacity
from models.cohorts import Cohort
from models.contenders import CONTENDERS, new_learner
from models.drift import LOSS, InputHistogram
from models.episodes import Thresholds
from models.groups import UNKNOWN, Groups
from models.learners import LEARNERS, MissingExtraError, ReturnProbability, StateMismatchError, boosted
from models.overrides import Promotion
from models.panel import Panel, PanelForm
from models.parts import Matured, Part, PartChunk, read_part_chunk
from models.record import CHAMPION
from models.trainer import SLICE, Trainer
from models.trainer_config import BESIDE_POOL, TrainerConfig
from models.versions import ADDED, COLUMNS, TREATED
from models.wire import WireError
from tests.building import core, day, event, models_by, quick_fit, record, tick
from tests.examples import examples

if TYPE_CHECKING:
    from models.versions import ModelSet

NOBODY = ReturnHistogram.from_arrays([], [], [])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.trainer.fit", quick_fit)


def matured(n: int, start: float, *, seed: int = 0, churn: float = 0.5) -> Matured:
    rng = np.random.default_rng(round(start) + 1000 * seed)
    labels = rng.random(n) < churn
    inputs = rng.normal(size=(n, len(COLUMNS))).astype(np.float32)
    inputs[:, 1] += labels
    cohort = Cohort(
        decision_time=day(start),
        contenders=("logistic",),
        champion="logistic",
        hashes=np.sort(rng.integers(0, 2**64, n, np.uint64)),
        inputs=inputs,
        issued=rng.integers(1, 10**6, (n, 1)).astype(np.uint32),
        recency=rng.integers(0, 100, n).astype(np.uint16),
    )
    return Matured(cohort, labels, rng.random(n) < 0.2)


def part(ts: float, *found: Matured, partition: int = 0) -> Part:
    return Part(partition, day(ts), found, ReturnHistogram.from_arrays([partition], [0], [30]))


def trainer(partitions: int = 1, contenders: tuple[str, ...] = ("logistic",), **changes: Any) -> Trainer:
    """Of few contenders all are in the pool unless `changes` say otherwise."""
    beside: Any = {"beside_pool": () if len(contenders) < 3 else BESIDE_POOL}
    return Trainer(TrainerConfig(partitions=partitions, contenders=contenders, **{**beside, **changes}))


def learn(target: Trainer, *parts: Part) -> list[int]:
    """Receive parts, and learn whatever is ready after each."""
    learned = []
    for each in parts:
        target.receive_part(each)
        while (ts := target.ready()) is not None:
            list(target.learn(ts))
            learned.append(ts)
    return learned


def chunks(*parts: Part) -> list[PartChunk]:
    return [read_part_chunk(message) for each in parts for message in each.messages()]


class TestWaiting:
    def test_it_waits_for_every_partition(self):
        target = trainer(3)

        assert learn(target, part(1, partition=2), part(1, partition=0)) == []
        assert learn(target, part(1, partition=1)) == [day(1)]

    def test_it_waits_for_the_last_chunk(self):
        target = trainer()
        *most, last = chunks(part(5, matured(3, 1)))
        for chunk in most:
            target.receive(chunk)
            assert target.ready() is None
        target.receive(last)

        assert target.ready() == day(5)

    def test_decision_times_are_learned_in_their_order(self):
        target = trainer(2)
        early = [part(n, partition=0) for n in (1, 2, 3)]

        assert learn(target, *early) == []
        assert learn(target, *(part(n, partition=1) for n in (1, 2, 3))) == [day(1), day(2), day(3)]
        assert target.number == 3

    def test_a_partition_that_began_later_is_not_waited_for(self):
        target = trainer(2)

        assert learn(target, part(1, partition=0), part(2, partition=0)) == []
        assert learn(target, part(3, partition=1)) == [day(1), day(2)]
        assert learn(target, part(3, partition=0)) == [day(3)]

    def test_one_chunk_of_a_later_time_is_enough_to_know(self):
        target = trainer(2)
        learn(target, part(1, partition=0))
        target.receive(chunks(part(2, matured(2, 1), partition=1))[1])

        assert target.ready() == day(1)

    def test_a_partition_that_is_behind_is_waited_for(self):
        """It has sent an earlier time, so the later one will come."""
        target = trainer(2)
        learn(target, part(1, partition=0), part(1, partition=1))

        assert learn(target, part(2, partition=0)) == []
        assert learn(target, part(2, partition=1)) == [day(2)]

    def test_a_torn_part_is_waited_for_although_nothing_else_is_missing(self):
        target = trainer(2)
        target.receive(chunks(part(2, matured(2, 1), partition=1))[0])

        assert learn(target, part(2, partition=0)) == []

    def test_a_torn_part_is_given_up_when_its_partition_has_sent_a_later_one(self):
        target = trainer()
        target.receive(chunks(part(2, matured(2, 1)))[0])

        assert learn(target, part(3, matured(3, 2))) == [day(2), day(3)]
        assert target.labels == 3

    def test_repeated_parts_change_nothing(self):
        once, again = trainer(), trainer()
        parts = [part(5, matured(9, 1)), part(6, matured(9, 2))]
        learn(once, *parts)
        learn(again, parts[0], parts[0], parts[1], parts[0], parts[1])

        assert again.snapshot() == once.snapshot()


class TestResume:
    def test_a_restart_reads_from_the_first_chunk_that_still_waits(self):
        target = trainer(2)
        first, waiting = chunks(part(1, partition=0)), chunks(part(2, matured(2, 1), partition=0))
        for offset, chunk in enumerate([*first, *waiting], start=10):
            target.receive(chunk, offset)
        alone = target.resume_offset(13)
        target.receive(chunks(part(1, partition=1))[0], 13)
        list(target.learn(target.ready() or 0))

        assert alone == 10
        assert target.resume_offset(14) == 11

    def test_with_nothing_waiting_it_is_the_next_offset(self):
        target = trainer()
        target.receive(chunks(part(1))[0], 5)
        list(target.learn(day(1)))
        target.receive(chunks(part(1))[0], 6)

        assert target.resume_offset(7) == 7

    @examples(8)
    @given(st.integers(0, 1000))
    def test_restarts_anywhere_end_with_the_same_trainer(self, seed: int):
        """snapshot → restore → read again from the resume offset; every chunk may come twice."""
        rng = random.Random(seed)
        log = [
            chunk
            for n in range(5, 9)
            for p in rng.sample(range(2), 2)
            for chunk in chunks(part(n, matured(4, n - 4, seed=p), partition=p)) * rng.choice([1, 1, 2])
        ]
        expected, target, place = trainer(2), trainer(2), 0
        for offset, chunk in enumerate(log):
            expected.receive(chunk, offset)
            list(expected.learn(ts)) if (ts := expected.ready()) is not None else None
        while place < len(log):
            target.receive(log[place], place)
            place += 1
            if (ts := target.ready()) is not None:
                list(target.learn(ts))
            if rng.random() < 0.2:
                snapshot, place = target.snapshot(), target.resume_offset(place)
                target = trainer(2)
                target.restore(snapshot)

        assert target.snapshot() == expected.snapshot()
        assert target.models() == expected.models()


class TestLearning:
    def test_whatever_the_order_of_parts_and_the_number_of_partitions_the_weights_are_the_same_bits(self):
        whole = matured(60, 1)
        results = []
        for count in (1, 2, 5):
            owner = whole.cohort.hashes % np.uint64(count)
            parts = [
                Part(
                    p,
                    day(5),
                    (
                        Matured(
                            whole.cohort.take(owner == p),
                            whole.churned[owner == p],
                            whole.treated[owner == p],
                        ),
                    ),
                    NOBODY,
                )
                for p in range(count)
            ]
            for order in (parts, parts[::-1]):
                target = trainer(count)
                assert learn(target, *order) == [day(5)]
                results.append((target.models(), target.quality, target.record.to_json()))

        assert all(result == results[0] for result in results)

    def test_cohorts_are_learned_in_the_order_of_their_decision_times(self):
        one, other = matured(40, 1), matured(40, 2)
        forth, back, apart = trainer(), trainer(), trainer()
        learn(forth, part(6, one, other))
        learn(back, part(6, other, one))
        learn(apart, part(6, one), part(7, other))

        assert forth.models() == back.models()
        assert forth.learners["logistic"].state() == apart.learners["logistic"].state()

    def test_it_learns_in_slices(self):
        target = trainer()
        target.receive_part(part(5, matured(2 * SLICE + 1, 1)))

        assert list(target.learn(day(5))) == [SLICE, 2 * SLICE, 2 * SLICE + 1]

    def test_a_treated_customer_is_learned_as_such(self):
        one = matured(500, 1)
        treated = replace(one, treated=one.churned)
        target = trainer()
        learn(target, part(5, treated))
        weights = dict(zip(COLUMNS, target.models().scorers["logistic"].weights, strict=True))

        assert weights[TREATED] > 0
        assert not one.cohort.inputs[:, COLUMNS.index(TREATED)].any() or weights[TREATED] > 0

    def test_the_version_as_of_t_knows_every_label_there_was_by_then(self):
        target = trainer()
        seen = []
        for n in range(1, 8):
            found = (matured(10, n - 4),) if n > 4 else ()
            learn(target, part(n, *found))
            seen.append((target.models().as_of, target.models().number, target.models().labels))

        assert seen == [(day(n), n, 10 * max(n - 4, 0)) for n in range(1, 8)]

    def test_the_return_model_is_fitted_from_all_partitions(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("models.trainer.fit", fit)
        histograms = [ReturnHistogram.from_arrays([x] * 50, [30 * x] * 50, [200] * 50) for x in (0, 3)]
        together, alone = trainer(2), trainer()
        learn(together, *(Part(p, day(1), (), each) for p, each in enumerate(histograms)))
        learn(alone, Part(0, day(1), (), ReturnHistogram.merge(histograms)))

        assert together.returns == alone.returns != PRIOR

    def test_the_rhythm_of_the_shop_is_that_of_all_partitions_and_travels_with_the_version(self):
        slow, fast = (ReturnHistogram.from_arrays([4] * 9, [4 * gap] * 9, [400] * 9) for gap in (20, 50))
        target = trainer(2)
        learn(target, Part(0, day(1), (), slow), Part(1, day(1), (), fast))
        other = trainer(2)
        other.go_on_from(target.models(), target.portable_states())
        restored = trainer(2)
        restored.restore(target.snapshot())

        found = target.models().rhythm
        assert found is not None
        assert (found.customers, found.usual_gap) == (18, 20.0)
        assert found == other.models().rhythm == restored.models().rhythm

    def test_a_rhythm_that_was_known_is_not_forgotten_where_a_part_tells_none(self):
        target = trainer()
        learn(target, Part(0, day(1), (), ReturnHistogram.from_arrays([4], [80], [400])))
        learn(target, part(2))

        assert target.models().rhythm is not None

    def test_what_an_older_release_left_is_learned_with_0_for_the_columns_it_did_not_have(self):
        """`examples` are kept for years: an upgrade learns them again."""
        kept = [COLUMNS.index(name) for name in COLUMNS if name not in ADDED]
        now = [matured(30, start, seed=2) for start in (1, 2)]
        for each in now:
            each.cohort.inputs[:, [COLUMNS.index(name) for name in ADDED]] = 0
        old = [replace(m, cohort=replace(m.cohort, inputs=m.cohort.inputs[:, kept].copy())) for m in now]
        target, other = trainer(min_labels=1), trainer(min_labels=1)
        for upgraded, found in ((target, old), (other, now)):
            for ts, each in zip((5, 6), found, strict=True):
                inputs = InputHistogram.of(np.ascontiguousarray(each.cohort.inputs))
                learn(upgraded, replace(part(ts, each), inputs=inputs))

        assert target.labels == 60
        assert target.models() == other.models()
        assert target.snapshot() == other.snapshot()

    @pytest.mark.parametrize("fault", ["vector", "width", "probability", "labels"])
    def test_a_message_that_cannot_be_learned_is_refused_and_the_rest_of_its_part_is_learned(
        self, fault: str
    ):
        good, bad = matured(10, 1), matured(10, 2)
        if fault == "vector":
            bad.cohort.inputs[3, 3] = np.nan
        elif fault == "width":
            bad = replace(bad, cohort=replace(bad.cohort, inputs=bad.cohort.inputs[:, :-2]))
        elif fault == "probability":
            bad.cohort.issued[3] = 10**6 + 1
        else:
            bad = replace(bad, churned=bad.churned[:-1])
        target, other = trainer(), trainer()
        refused = 0
        for chunk in chunks(part(6, good, bad)):
            try:
                target.receive(chunk)
            except WireError:
                refused += 1
        learn(other, part(6, good))
        list(target.learn(day(6)))

        assert refused == 1
        assert target.snapshot() == other.snapshot()

    @pytest.mark.parametrize(
        "histogram", [{}, {"cells": [1], "sums": [[1, 2]]}, {"cells": [1], "sums": [[0, 0, 0, 0]]}]
    )
    def test_a_histogram_that_is_none_is_refused_and_the_labels_are_learned(self, histogram: dict[str, Any]):
        target = trainer()
        head, *rest = chunks(part(6, matured(10, 1)))
        with pytest.raises(WireError, match="histogram"):
            target.receive(msgspec.structs.replace(head, histogram=histogram))
        for chunk in rest:
            target.receive(chunk)
        list(target.learn(day(6)))

        assert target.labels == 10

    def test_a_part_of_a_partition_that_there_is_not_is_refused(self):
        with pytest.raises(WireError, match="partition 7, and there are 2"):
            trainer(2).receive_part(part(6, partition=7))


class TestWatching:
    """Drift and groups: told, followed by forgetting, and the same however customers are spread."""

    @staticmethod
    @cache
    def parts(partitions: int) -> list[list[Part]]:
        """Days of parts; from day 31 on forecasts are wrong, and soon the first column is shifted."""
        found = []
        for number in range(5, 40):
            whole = matured(150, number - 4)
            right = np.where(whole.churned, 800_000, 200_000).astype(np.uint32)[:, None]
            inputs = whole.cohort.inputs.copy()
            inputs[:, 0] += 3 * (number > 31)
            people = [(("a", "b", "c")[code % 3], None) for code in whole.cohort.hashes.tolist()]
            cohort = replace(
                whole.cohort,
                issued=right if number < 31 else 10**6 - right,
                inputs=inputs,
                groups=Groups.of(("age", "place"), people),
            )
            owner = cohort.hashes % np.uint64(partitions)
            spread = [
                Matured(cohort.take(owner == p), whole.churned[owner == p], whole.treated[owner == p])
                for p in range(partitions)
            ]
            found.append(
                [
                    Part(p, day(number), (each,), NOBODY, InputHistogram.of(each.cohort.inputs))
                    for p, each in enumerate(spread)
                ]
            )
        return found

    @staticmethod
    def watcher(partitions: int = 1, **changes: object) -> Trainer:
        """A trainer whose one contender learns nothing, which takes no time."""
        return trainer(partitions, ("return_probability",), horizon_days=4, min_labels=200, **changes)

    def test_number_and_order_of_partitions_change_neither_drifts_nor_groups(self):
        told = []
        for partitions in (1, 3):
            target = self.watcher(partitions)
            for turn, parts in enumerate(self.parts(partitions)):
                learn(target, *(parts if turn % 2 else parts[::-1]))
            told.append(target)
        one, other = told

        assert {each.measure for each in one.drifts} == {"psi", "page_hinkley"}
        assert (one.drifts, one.stability) == (other.drifts, other.stability)
        assert list(one.groups["age"]) == ["a", "b", "c"]
        assert one.groups["place"][UNKNOWN].labels == one.labels == 35 * 150
        assert one.snapshot() == other.snapshot()

    @pytest.mark.parametrize(("days", "extra"), [(None, 4), (11.5, 11.5), (0, 0)])
    def test_when_the_loss_drifted_learners_forget_faster_and_nothing_is_reset(
        self, days: float | None, extra: float, monkeypatch: pytest.MonkeyPatch
    ):
        forgotten: list[float] = []
        monkeypatch.setattr(ReturnProbability, "forget", lambda _, days: forgotten.append(days))
        target = self.watcher(drift_forgets_days=days)
        learned = [day for (part,) in self.parts(1) for day in learn(target, part)]
        at = [number for number, forgot in enumerate(forgotten) if forgot > 1]
        (drift,) = [each for each in target.drifts if each.what == LOSS]

        assert forgotten[0] == 0
        assert [forgotten[number] for number in at] == ([1 + extra] if extra else [])
        assert all(learned[number] - drift.at == 4 * DAY_MS for number in at)
        assert target.labels == 35 * 150

    def test_a_restored_trainer_watches_on_as_if_nothing_had_happened(self):
        one, other = self.watcher(), self.watcher()
        for number, (part,) in enumerate(self.parts(1)):
            if number in {12, 30}:
                kept, other = other.snapshot(), self.watcher()
                other.restore(kept)
                assert other.snapshot() == kept
            learn(one, part)
            learn(other, part)

        assert other.snapshot() == one.snapshot()
        assert (other.drifts, other.stability) == (one.drifts, one.stability)
        assert other.groups["age"]["a"].to_json() == one.groups["age"]["a"].to_json()

    def test_parts_without_inputs_or_groups_are_learned_and_nothing_is_told(self):
        target = trainer()
        learn(target, part(5, matured(200, 1)), part(6, matured(200, 2)))

        assert (target.labels, target.groups, target.drifts, target.stability) == (400, {}, [], {})

    def test_forgetting_is_no_unlearning(self):
        with pytest.raises(ValueError, match="forgetting"):
            TrainerConfig(partitions=1, drift_forgets_days=-1)


class TestProgressive:
    def test_quality_and_record_judge_the_champion_as_issued(self):
        target = trainer(evaluate_from=day(2))
        learn(target, part(6, one := matured(30, 1), other := matured(20, 2)))

        assert [(q.decision_time, q.labels, q.churned) for q in target.quality] == [
            (day(1), 30, int(one.churned.sum())),
            (day(2), 20, int(other.churned.sum())),
        ]
        assert (target.record[CHAMPION].labels, target.record_from[CHAMPION].labels) == (50, 20)
        assert target.record_from[CHAMPION].auc == target.quality[1].auc

    @staticmethod
    def contest(n: int, start: float, *, better: str) -> Matured:
        """Issued probabilities of which one contender's are right and the other's are not."""
        one = matured(n, start)
        right = np.where(one.churned, 800_000, 200_000).astype(np.uint32)
        columns = [right, 10**6 - right] if better == "logistic" else [10**6 - right, right]
        cohort = replace(
            one.cohort, contenders=("logistic", "hoeffding_tree"), issued=np.stack(columns, axis=1)
        )
        return replace(one, cohort=cohort)

    def test_auto_promotes_who_has_led_for_three_horizons(self):
        target = self.contesting()
        champions = [target.champion]
        for n in range(5):
            learn(target, part(5 + n, self.contest(50, n + 1, better="hoeffding_tree")))
            champions.append(target.models().champion)

        assert champions == ["logistic"] * 4 + ["hoeffding_tree"] * 2

    def test_a_promotion_says_who_over_whom_when_and_by_what_merit(self):
        target = self.contesting()
        for n in range(4):
            assert not target.promotions
            learn(target, part(5 + n, self.contest(50, n + 1, better="hoeffding_tree")))

        (promotion,) = target.promotions
        assert target.models().promoted == promotion
        assert (promotion.champion, promotion.over) == ("hoeffding_tree", "logistic")
        # Labels age with a horizon, which is a day here.
        assert (promotion.as_of, promotion.labels) == (day(8), round(50 * np.exp(-np.arange(4)).sum()))
        # Right with 0.8 against right with 0.2, for every label.
        assert promotion.lead == pytest.approx(np.log(0.8 / 0.2))
        assert promotion.in_words == "hoeffding_tree over logistic, 1.3863 nats a label better over 78 labels"

    def test_a_lead_that_the_newest_labels_deny_does_not_count(self):
        target = self.contesting()
        for n, better in enumerate((*["hoeffding_tree"] * 3, "logistic", "logistic")):
            learn(target, part(5 + n, self.contest(50, n + 1, better=better)))

        assert target.champion == "logistic"

    def contesting(self, **changes: Any) -> Trainer:
        """A trainer of two whose champion is chosen by merit, the first of them to begin with."""
        target = trainer(
            contenders=("logistic", "hoeffding_tree"), **{"champion": "auto", "horizon_days": 1, **changes}
        )
        target.champion = "logistic"
        return target

    @pytest.mark.parametrize("changes", [{"promotion_margin": 9.0}, {"promotion_nats": 200.0}])
    def test_a_small_lead_is_no_reason_to_change(self, changes: dict[str, float]):
        target = self.contesting(**changes)
        for n in range(5):
            learn(target, part(5 + n, self.contest(50, n + 1, better="hoeffding_tree")))

        assert target.champion == "logistic"

    def test_a_named_champion_stays(self):
        target = self.contesting(champion="logistic")
        for n in range(5):
            learn(target, part(5 + n, self.contest(50, n + 1, better="hoeffding_tree")))

        assert target.champion == "logistic"

    def test_who_stands_beside_the_pool_contends_and_is_not_averaged(self):
        target = trainer(contenders=("logistic", "second_order", "hoeffding_tree"))

        assert target.config.names == ("logistic", "second_order", "hoeffding_tree", "pool", "calibrated")
        assert target.pool.members == ("logistic", "second_order")

    def test_of_one_learner_that_is_not_beside_it_there_is_no_pool(self):
        target = trainer(contenders=("logistic", "hoeffding_tree"), beside_pool=("hoeffding_tree",))
        learn(target, part(5, matured(30, 1)))

        assert target.models().contenders == ("logistic", "hoeffding_tree")
        assert target.champion == "logistic"


class TestSnapshot:
    @pytest.mark.parametrize("contenders", [("logistic",), ("logistic", "hoeffding_tree")])
    def test_a_restored_trainer_goes_on_as_if_nothing_had_happened(self, contenders: tuple[str, ...]):
        one, other = trainer(contenders=contenders), trainer(contenders=contenders)
        learn(one, part(5, matured(30, 1)))
        other.restore(one.snapshot())
        for target in (one, other):
            learn(target, part(6, matured(30, 2)))

        assert one.models() == other.models()
        assert msgspec.msgpack.encode(one.quality) == msgspec.msgpack.encode(other.quality), "NaN and all"
        assert one.record.to_json() == other.record.to_json()
        assert one.portable_states() == other.portable_states()

    def test_one_that_goes_on_from_a_published_version_learns_what_it_would_have_learned(self):
        names = ("second_order", "logistic")
        one, other = trainer(contenders=names), trainer(contenders=names)
        learn(one, part(5, matured(30, 1)))
        other.go_on_from(one.models(), one.portable_states())
        for target in (one, other):
            learn(target, part(6, matured(30, 2)))

        assert other.models() == one.models()
        assert other.cold == {}

    def test_one_learner_alone_goes_on_from_a_version_of_several(self):
        """It needs no pool, and that of the others is not in its way."""
        one, other = trainer(contenders=("second_order", "logistic")), trainer(contenders=("second_order",))
        learn(one, part(5, matured(30, 1)))
        other.go_on_from(one.models(), one.portable_states())

        assert other.learners["second_order"].state() == one.learners["second_order"].state()
        assert other.cold == {}

    def test_a_learner_whose_state_did_not_travel_is_cold_and_begins_anew(self):
        names = ("logistic", "hoeffding_tree")
        one, other = trainer(contenders=names), trainer(contenders=names)
        learn(one, part(5, matured(30, 1)))
        other.go_on_from(one.models(), one.portable_states())

        assert other.cold == {"hoeffding_tree": 30}
        assert other.learners["hoeffding_tree"].labels == 0
        assert (other.labels, other.as_of, other.number) == (30, one.as_of, one.number)
        again = trainer(contenders=names)
        again.restore(other.snapshot())
        assert again.cold == other.cold

    def test_other_contenders_do_not_fit(self):
        kept = trainer(contenders=("logistic", "hoeffding_tree")).snapshot()

        with pytest.raises(StateMismatchError):
            trainer().restore(kept)

    def test_bytes_that_are_no_snapshot_are_refused(self):
        with pytest.raises(msgspec.MsgspecError):
            trainer().restore(b"\x00")

    def test_a_champion_named_in_the_settings_beats_the_one_in_the_snapshot(self):
        both = ("logistic", "hoeffding_tree")
        kept = trainer(contenders=both, champion="logistic").snapshot()
        target = trainer(contenders=both, champion="hoeffding_tree")
        target.restore(kept)
        auto = trainer(contenders=both, champion="auto")
        auto.restore(kept)

        assert (target.champion, auto.champion) == ("hoeffding_tree", "logistic")

    def test_promotions_are_remembered_but_not_against_the_settings(self):
        both = ("logistic", "hoeffding_tree")
        one = trainer(contenders=both, champion="auto")
        one.promotions.append(Promotion(champion="logistic", over="pool", as_of=day(1), lead=0.1, labels=9))
        auto, named = (trainer(contenders=both, champion=name) for name in ("auto", "pool"))
        for target in (auto, named):
            target.restore(one.snapshot())

        assert (auto.promotions, named.promotions) == (one.promotions, [])


class TestConfig:
    @pytest.mark.parametrize("bad", [{"contenders": ()}, {"contenders": ("oracle",)}, {"champion": "oracle"}])
    def test_who_does_not_exist_cannot_contend(self, bad: dict[str, object]):
        with pytest.raises(ValueError, match=r"learners|champion"):
            TrainerConfig(partitions=1, **bad)

    def test_every_learner_can_be_made(self):
        made = [new_learner(name) for name in CONTENDERS]

        assert {type(learner) for learner in made} == set(LEARNERS)
        assert all(learner.columns == COLUMNS for learner in made)
        assert all(learner.columns[learner.offset] == OFFSET for learner in made)
        with pytest.raises(KeyError):
            new_learner("oracle")

    def test_a_learner_whose_extra_is_missing_cannot_contend(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(boosted, "find_spec", lambda _: None)

        TrainerConfig(partitions=1, contenders=("logistic",))
        with pytest.raises(MissingExtraError, match=r"pip install '\.\[lightgbm\]'"):
            TrainerConfig(partitions=1, contenders=("logistic", "lightgbm"))


# ---- from logs to weights


def trained(partitions: int, found: list[dict[str, object]], rng: random.Random) -> list[ModelSet]:
    """Every version from `found`, spread over partitions that run ahead of each other at random."""
    config = log_settings(partitions=partitions, min_labels=10**9)
    cores = [core(config, partition=p) for p in range(partitions)]
    target = trainer(partitions)
    before = models_by({1: 0.2, 8: 0.7})
    for p, each in enumerate(cores):
        mine = [m for m in found if partition_of(str(m["user_id"]).encode(), partitions) == p]
        for topic in TOPICS:
            kinds = {"orders": "purchase", "clickstream": "view_item"}.get(topic)
            log = [m for m in mine if m["type"] == kinds]
            records = [record(offset, m) for offset, m in enumerate(log)]
            each.observe(topic, [*records, record(len(log), tick(day(DAYS)))])
    versions = []
    while ahead := [each for each in cores if each.due(day(DAYS))]:
        each = rng.choice(ahead)
        ts = each.due(day(DAYS))
        assert ts is not None
        for chunk in chunks(sweeping.mature(each, ts, before)):
            target.receive(chunk)
        sweeping.sweep(each, ts, before)
        while (ready := target.ready()) is not None:
            list(target.learn(ready))
            versions.append(target.models())
    return versions


@pytest.mark.parametrize("seed", range(2))
def test_partition_count_and_interleaving_do_not_change_a_single_bit_of_any_version(
    seed: int,
):
    rng = random.Random(seed)
    found = [
        event(rng.choice(["purchase", "purchase", "view_item"]), rng.choice(USERS), day(rng.uniform(0, DAYS)))
        for _ in range(80)
    ]
    found.sort(key=lambda each: int(each["ts"]))
    expected = trained(1, found, rng)

    assert expected[-1].labels > 20
    assert expected[-1].thresholds not in (None, expected[-2].thresholds)
    for count in (2, 5):
        assert trained(count, found, rng) == expected


def silent(*days: int, ts: float = 1, partition: int = 0) -> Part:
    """A part with one active customer for each number of days since the last of two purchases."""
    rhythm = np.array([(1, 10, 10 + since) for since in days], np.uint16).reshape(-1, 3)
    inputs = np.zeros((len(days), len(COLUMNS)), np.float32)
    inputs[:, 1] = days
    panel = Panel(len(days), inputs, rhythm, np.zeros(len(days), bool))
    return replace(part(ts, partition=partition), panel=panel)


def tiers(target: Trainer, *days: int) -> list[int]:
    """The tiers of customers as `silent` has them."""
    models = target.models()
    assert models.thresholds is not None
    issued = silent(*days).panel.probabilities(models, target.config.horizon_days)
    return models.thresholds.tiers(issued[models.champion]).tolist()


class TestThresholds:
    ALONE = ("return_probability",)

    @pytest.fixture(autouse=True)
    def _published_prior(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("models.trainer.fit", lambda *_: PRIOR)

    def test_they_hold_the_capacity_of_all_partitions_at_this_very_decision_time(self):
        capacity = Capacity(critical=0.1, high=0.3, medium=0.5)
        target = trainer(2, contenders=self.ALONE, capacity=capacity)
        learn(target, silent(90, 80, 10, 20), silent(50, 30, 40, 60, partition=1))

        assert tiers(target, 40, 50, 60, 80, 90) == [0, 1, 1, 2, 2]

    def test_every_contender_has_its_own(self):
        target = trainer(contenders=("logistic", "return_probability"))
        learn(target, silent(*range(1, 100)))

        models = target.models()
        assert set(models.tiers) == set(models.contenders)
        # The untrained logistic regression says the same of everybody but for the return probability.
        assert models.thresholds == models.tiers[models.champion]

    def test_they_stay_while_nobody_is_active(self):
        target = trainer(contenders=self.ALONE)
        learn(target, silent(*range(1, 100)))
        before = target.models().thresholds
        learn(target, part(2))

        assert target.models().thresholds == before
        assert before is not None

    def test_there_are_none_in_a_version_where_they_are_fixed(self):
        fixed = Thresholds(0.1, 0.2, 0.3)
        target = trainer(contenders=self.ALONE, thresholds=fixed)
        learn(target, silent(1, 2))

        assert target.models().thresholds is None
        assert target.thresholds == fixed

    def test_a_restored_trainer_and_one_that_goes_on_have_them(self):
        target, restored, successor = (trainer(contenders=self.ALONE) for _ in range(3))
        learn(target, silent(*range(1, 100)))
        restored.restore(target.snapshot())
        successor.go_on_from(target.models(), target.portable_states())
        assert successor.models().thresholds == target.models().thresholds

        for each in (target, restored):
            learn(each, silent(*range(1, 50), ts=2))
        assert restored.models().thresholds == target.models().thresholds

    def test_a_large_shop_is_known_by_a_sample(self):
        target = trainer(contenders=self.ALONE)
        crowd = silent(*range(1, 100))
        learn(target, replace(crowd, panel=replace(crowd.panel, active=100_000)))

        assert target.models().panel == panel.SIZE / 100_000

    @pytest.mark.parametrize(
        "broken",
        [
            PanelForm(b"", b"", bytes(2)),
            PanelForm(np.full(len(COLUMNS), np.nan, np.float32).tobytes(), bytes(6), bytes(1)),
        ],
    )
    def test_a_panel_that_is_none_is_refused_and_the_rest_of_its_part_is_learned(self, broken: PanelForm):
        target = trainer(contenders=self.ALONE)
        head, members = chunks(silent(1, 2, 3))
        target.receive(head)
        with pytest.raises(WireError, match="a panel"):
            target.receive(msgspec.structs.replace(members, panel=broken))

        assert target.ready() == day(1)
        list(target.learn(day(1)))
        assert target.models().thresholds is None


def test_chunks_of_any_size_make_the_same_model(monkeypatch: pytest.MonkeyPatch):
    results = []
    for size in (1000, 7, 1):
        monkeypatch.setattr(cohorts, "CHUNK_MEMBERS", size)
        target = trainer()
        learn(target, part(5, matured(30, 1)))
        results.append(target.snapshot())

    assert results[0] == results[1] == results[2]
