from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.quality.__main__ import settings_for
from benchmarks.quality.cases import simulated
from benchmarks.quality.cohorts import collect, labels_of
from benchmarks.quality.seasonal import Seasonal
from features.decoding import EventDecoder
from models.progressive import ScoreCounts

SHOP = Seasonal("shop", (11, 12), 0.02, customers=60, years=2)


def test_a_shop_is_the_same_in_every_run_and_in_order_of_time():
    events = list(SHOP)

    assert events == list(SHOP)
    assert all(one.ts <= other.ts for one, other in pairwise(events))
    assert events != list(replace(SHOP, seed=2))


def test_its_events_are_valid_purchases_of_their_customer():
    decoder = EventDecoder("orders")
    for event in SHOP:
        assert decoder.decode(event.value).user_id == event.user_id


def test_nine_in_ten_purchases_fall_into_a_season_of_two_months():
    months = np.array([datetime.fromtimestamp(event.ts / 1000, UTC).month for event in SHOP])

    assert 0.9 < np.isin(months, SHOP.months).mean() < 1


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(simulated()))
def test_a_shop_with_a_season_is_judged_better_than_by_recency(name: str):
    case = simulated()[name]
    cohorts = collect(case.source, settings_for(case, None))
    cohorts = cohorts[len(cohorts) // 2 :]
    churned = labels_of(cohorts)
    recency = np.concatenate([cohort.recency for cohort in cohorts])

    learner, pool = (
        ScoreCounts.of(np.concatenate([cohort.issued[who] for cohort in cohorts]), churned)
        for who in ("second_order", "pool")
    )
    rule = ScoreCounts.of(recency / (recency.max() + 1), churned)

    assert learner.auc > rule.auc + 0.05
    assert learner.log_loss < learner.base_rate_log_loss
    assert pool.auc > rule.auc
