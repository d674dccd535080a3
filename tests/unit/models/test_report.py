"""The figures of a report, on hand-made counts: what is counted, compared, and left out."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from features.catalogue import CATALOGUE, NAMES
from features.layout import DAY_MS
from models.episodes import Thresholds
from models.guard import Hold
from models.hindsight import Hindsight, Moment
from models.importance import importance
from models.journal import Journal
from models.record import CHAMPION, Record
from models.report import RISK_BINS
from models.trainer_config import TrainerConfig
from models.trust import trust
from models.versions import COLUMNS
from streams.report.sections import sections
from streams.report.words import WORDS
from tests.building import day, models_by
from tests.reports import CONFIG, JUDGED, TIMES, counts, nothing_yet, report, trainer, warming_up, warned


class TestJournal:
    def test_counts_the_customers_of_each_tier_and_their_mean_forecast(self):
        journal = Journal(Thresholds(0.6, 0.8, 0.9, 0.1))

        journal.issued(day(2), np.array([0.1, 0.6, 0.7, 0.85, 0.95]))

        (moment,) = journal.moments
        assert moment.tiers == (1, 2, 1, 1)
        assert moment.forecast == pytest.approx(0.64)
        assert (moment.judged, moment.at_risk, moment.share_at_risk) == (5, 4, 0.8)

    def test_adds_up_pieces_in_any_order_and_takes_each_once(self):
        journal = Journal(Thresholds(0.6, 0.8, 0.9, 0.1))

        journal.issued(day(3), np.array([0.1]), piece=0)
        journal.issued(day(2), np.array([0.7]), piece=1)
        journal.issued(day(2), np.array([0.9, 0.1]), piece=0)
        journal.issued(day(2), np.array([0.1, 0.1]), piece=0)

        assert [(m.ts, m.tiers) for m in journal.moments] == [(day(2), (2, 1, 0, 0)), (day(3), (1, 0, 0, 0))]

    def test_does_not_remember_a_decision_time_at_which_nobody_was_judged(self):
        journal = Journal(Thresholds())

        journal.issued(day(1), np.zeros(0))

        assert journal.moments == ()

    def test_knows_no_standing_before_anything_was_learned(self):
        journal = Journal(Thresholds())

        journal.learned(trainer(as_of=None))  # type: ignore[arg-type]

        assert journal.standings == ()


class TestTrust:
    def test_says_what_became_of_the_warned(self):
        found = trust(warned(JUDGED))

        assert found is not None
        assert found.precision is not None
        assert found.recall is not None
        assert found.warned is not None
        assert found.precision.value == 300 / 400
        assert found.recall.value == 300 / 440
        assert found.base_rate.value == 440 / 1000
        assert found.warned.forecast == pytest.approx((280 * 0.7 + 120 * 0.9) / 400)

    @pytest.mark.parametrize(
        ("outcomes", "verdict"),
        [
            ({0.1: (10, 90), 0.8: (160, 40)}, "good"),
            # a forecast that lies outside the interval by less than anybody acts upon
            ({0.1: (1000, 9000), 0.8: (7800, 2200)}, "good"),
            ({0.1: (10, 90), 0.9: (120, 80)}, "bold"),
            ({0.1: (10, 90), 0.7: (190, 10)}, "timid"),
            ({0.1: (50, 50), 0.8: (100, 100)}, "useless"),
            # too few warnings, though all were right
            ({0.1: (10, 990), 0.8: (80, 19)}, "early"),
            ({0.1: (10, 990)}, "early"),
        ],
    )
    def test_comes_to_a_verdict(self, outcomes: dict[float, tuple[int, int]], verdict: str):
        found = trust(warned(counts(outcomes)))

        assert found is not None
        assert found.verdict == verdict

    def test_needs_labels(self):
        assert trust(warned(counts({}))) is None

    def test_is_less_sure_where_labels_repeat_each_other(self):
        sure, unsure = trust(warned(JUDGED)), trust(warned(JUDGED), 10.0)

        assert sure is not None
        assert unsure is not None
        assert sure.base_rate.value == unsure.base_rate.value
        assert unsure.base_rate.low < sure.base_rate.low


class TestImportance:
    #: Risk rises with days since the last purchase, and hangs on nothing else.
    SCORER = models_by({1: 0.2, 30: 0.8}).scorers["logistic"]
    SILENCE = NAMES.index("days_since_purchase")

    def vectors(self, *silence: float) -> np.ndarray:
        found = np.ones((len(silence), len(COLUMNS)), np.float32)
        found[:, self.SILENCE] = silence
        return found

    def test_is_the_mean_absolute_share_of_each_feature_under_its_theme(self):
        inputs = self.vectors(0, 1, 5)
        shares = self.SCORER.contributions(inputs)[:, self.SILENCE]

        first, *rest = importance(self.SCORER, inputs)

        assert first.theme == "rhythm"
        assert first.features[0].name == "days_since_purchase"
        assert first.features[0].weight == pytest.approx(np.abs(shares).mean())
        assert first.weight == pytest.approx(first.features[0].weight)
        assert all(theme.weight == 0 for theme in rest)
        assert {each.theme for each in (first, *rest)} == {feature.theme for feature in CATALOGUE}

    def test_tells_which_way_a_feature_works(self):
        directions = {
            each.name: each.direction
            for theme in importance(self.SCORER, self.vectors(0, 1, 5))
            for each in theme.features
        }

        assert directions["days_since_purchase"] == pytest.approx(1)
        assert directions["orders"] == 0

    def test_activity_is_rhythm_where_a_shop_sees_nothing_but_orders(self):
        def themes(activity: float) -> set[str]:
            inputs = self.vectors(0, 1)
            inputs[:, NAMES.index("activity_90d")] = np.log1p(activity)
            inputs[:, NAMES.index("orders_90d")] = np.log1p(2)
            inputs[:, NAMES.index("days_since_activity")] = inputs[:, self.SILENCE]
            return {
                theme.theme
                for theme in importance(self.SCORER, inputs)
                if any(each.name == "active_days_30d" for each in theme.features)
            }

        assert themes(2) == {"rhythm"}
        assert themes(2.6) == {"browsing"}

    def test_shares_that_cancel_out_within_a_theme_do_not_count(self):
        class Contrary:
            columns = COLUMNS

            def contributions(self, X: np.ndarray) -> np.ndarray:
                shares = np.zeros(X.shape)
                shares[:, NAMES.index("orders")] = 1
                shares[:, NAMES.index("order_days")] = -1
                return shares

        by_theme = {each.theme: each for each in importance(Contrary(), self.vectors(0, 1))}  # type: ignore[arg-type]

        assert by_theme["rhythm"].weight == 0
        assert [each.weight for each in by_theme["rhythm"].features[:2]] == [1, 1]

    def test_of_nobody_is_nothing(self):
        assert importance(self.SCORER, self.vectors()) == ()


class TestReport:
    def test_spreads_customers_over_bins_by_millionths_and_puts_certainty_into_the_last(self):
        found = report(probabilities=np.array([0.0, 0.049999, 0.05, 0.15, 0.999999, 1.0]))

        assert len(found.risk) == RISK_BINS
        assert (found.risk[0], found.risk[1], found.risk[3], found.risk[-1]) == (2, 1, 1, 2)

    def test_compares_now_with_the_newest_decision_time_of_four_weeks_ago_or_more(self):
        found = report()

        assert found.now is not None
        assert found.before is not None
        assert (found.now.ts, found.before.ts) == (TIMES[11], TIMES[4])
        assert (found.now.at_risk, found.before.at_risk) == (3, 2)

    def test_counts_as_one_as_many_labels_as_decision_times_see_the_same_days(self):
        assert report().design_effect == CONFIG.horizon_days / CONFIG.grid.every_days == 4

    def test_judges_the_test_half_alone_when_there_is_one(self):
        half = counts({0.3: (1, 2)})
        knowing = trainer(
            config=TrainerConfig(partitions=1, evaluate_from=day(8)), record_from=Record({CHAMPION: half})
        )

        found = report(knowing)

        assert found.judged_from == day(8)
        assert found.judged[CHAMPION].labels == 3

    def test_counts_the_warnings_of_the_test_half_alone(self):
        moments = [Moment(day(4 * i), warned(JUDGED), JUDGED) for i in range(4)]
        knowing = trainer(hindsight=Hindsight(moments))
        since = trainer(
            hindsight=knowing.hindsight,
            config=TrainerConfig(partitions=1, evaluate_from=day(8)),
            record_from=Record({CHAMPION: JUDGED}),
        )

        assert report(knowing).warned_from == (day(0), day(12))
        assert report(since).warned_from == (day(8), day(12))

    def test_judges_all_labels_while_the_test_half_has_none(self):
        found = report(trainer(config=TrainerConfig(partitions=1, evaluate_from=day(8))))

        assert found.judged_from is None
        assert found.judged[CHAMPION].labels == 1000

    def test_sets_every_outcome_beside_its_forecast(self):
        found = report()

        assert sum(each.labels for each in found.reliability) == 1000
        assert [each.forecast for each in found.reliability] == pytest.approx([0.1, 0.4, 0.7, 0.9])
        assert [each.churn_rate.value for each in found.reliability] == [
            40 / 300,
            1 / 3,
            200 / 280,
            100 / 120,
        ]

    def test_says_what_a_budget_reaches(self):
        share, calls = report().capacities[1]

        assert share == 0.1
        assert (calls.called, calls.precision) == (100, pytest.approx(100 / 120))

    def test_tells_when_the_shop_was_closed_and_what_was_not_believable(self):
        knowing = trainer(as_of=TIMES[-1])
        today = TIMES[-1] // DAY_MS
        knowing.outlook.closed = ((today - 9, today - 5), (today + 20, today + 22))
        hold = Hold(since=TIMES[5], why="crossing", value=0.5, limit=0.1)
        knowing.outlook.guard.held.append(hold)

        found = report(knowing)
        assert (found.closed, found.held, found.hold) == (((today - 9, today - 5),), (hold,), None)
        for language in WORDS.values():
            held, closings = sections(found, language)[0].tables
            assert held.rows == ((language.date(hold.since), language("held.crossing"), "50", "10"),)
            assert [row[2] for row in closings.rows] == ["5"]

    def test_proposes_thresholds_with_what_each_would_have_caught(self):
        found = report(trainer())

        assert [each.threshold for each in found.proposals] == [0.9]
        (caught,) = [each.calls for each in found.proposals]
        assert (caught.called, caught.precision, caught.recall) == (120, 100 / 120, 100 / 440)

    def test_lists_drift_newest_first_and_the_least_stable_input_first(self):
        found = report()

        assert [drift.what for drift in found.drifts] == ["loss", "gap_mean"]
        assert [name for name, _ in found.stability] == ["spend_7d", "gap_mean", "orders"]

    def test_only_the_last_weeks_are_recent(self):
        found = report()
        ages = [(found.as_of - drift.at) / (TIMES[1] - TIMES[0]) for drift in found.drifts]

        assert ages == [2, 3]
        assert found.recent_drifts == found.drifts
        old = msgspec.structs.replace(found.drifts[0], at=TIMES[0])
        assert report(trainer(drifts=[*found.drifts, old])).recent_drifts == found.drifts

    def test_knows_when_another_model_took_the_lead(self):
        (promotion,) = report().promotions

        assert (promotion.ts, promotion.champion) == (TIMES[6], "additive")

    def test_audits_each_attribute_and_names_groups_that_are_too_small_without_judging_them(self):
        found = report().fairness["region"]

        assert {group.name: group.too_few for group in found.groups} == {
            "<south> & $x$": False,
            "north": False,
            "west": True,
        }

    def test_before_the_first_label_tells_who_is_at_risk_and_nothing_that_it_cannot_know(self):
        found = warming_up()

        assert found.now_by_tier == {"none": 7, "medium": 0, "high": 3, "critical": 0}
        assert found.trust is None
        assert (found.capacities, found.reliability, found.quality) == ((), (), ())
        assert not any(found.tiers.values())

    def test_before_the_first_decision_time_is_empty(self):
        found = nothing_yet()

        assert (found.as_of, found.now, found.before, found.moments) == (0, None, None, ())
        assert sum(found.risk) == 0
        assert not any(math.isnan(theme.weight) for theme in found.importance)
