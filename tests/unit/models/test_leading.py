"""Evidence about who leads ages, and a shock that one horizon of labels reports misleads nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.layout import DAY_MS
from models.leading import Lead, Leads
from models.progressive import ScoreCounts

HORIZON = 60
EVERY = 7
LABELS = 300


def counts(log_loss: float, labels: int = LABELS) -> ScoreCounts:
    """Of customers who all churned, each said to do so with a probability that loses `log_loss` nats."""
    return ScoreCounts.of(np.full(labels, np.exp(-log_loss)), np.ones(labels, bool))


def contest(losses: dict[str, list[float]], champion: str = "pool", labels: int = LABELS) -> list[str]:
    """Who leads after each decision time, a week apart, at which contenders lost so many nats a label."""
    leads, reigns = Leads(HORIZON, nats=40.0, margin=0.002), []
    for week, row in enumerate(zip(*losses.values(), strict=True)):
        judged = {name: counts(loss, labels) for name, loss in zip(losses, row, strict=True)}
        leads.see(champion, losses, judged, week * EVERY * DAY_MS)
        if (found := leads.challenger(champion)) is not None:
            leads.promote(found)
            champion = found
        reigns.append(champion)
    return reigns


def test_who_is_better_for_three_horizons_takes_over_and_not_a_week_before():
    reigns = contest({"pool": [0.5] * 30, "tree": [0.4] * 30})

    assert reigns.index("tree") == 26, "180 days, in weeks"


@pytest.mark.parametrize("shock", [9, 13, 17, 24])
def test_a_shock_of_up_to_almost_three_horizons_promotes_nobody(shock: int):
    """As when churn begins at once: the model without labels is the least wrong until others have learned."""
    reigns = contest({"pool": [1.5] * shock + [0.3] * 40, "still": [0.8] * shock + [0.8] * 40})

    assert set(reigns) == {"pool"}


def test_a_lead_won_long_ago_does_not_keep_anybody_on_the_throne():
    """The fault as it was found: a champion by the nats of a shock stayed for a year of worse forecasts."""
    reigns = contest({"still": [0.3] * 20 + [0.8] * 20, "pool": [1.5] * 20 + [0.3] * 20}, champion="still")

    assert reigns[19] == "still"
    assert reigns[22] == "pool", "the newest labels are enough for the pool to come back"


def test_a_small_lead_that_has_aged_away_is_enough_for_the_pool_to_come_back():
    """In a shop of few customers the newest labels never amount to much: one that leads by nothing may go."""
    reigns = contest({"still": [0.30] * 10 + [0.42] * 30, "pool": [0.40] * 40}, champion="still", labels=20)

    assert reigns[12] == "still", "the newest labels say little"
    assert reigns[-1] == "pool"


def test_a_champion_that_still_leads_over_its_time_is_not_deposed_by_one_bad_week():
    reigns = contest({"still": [0.30] * 20 + [0.42], "pool": [0.40] * 21}, champion="still", labels=20)

    assert set(reigns) == {"still"}


def test_who_led_by_far_and_now_loses_is_not_promoted_by_the_sum():
    reigns = contest({"pool": [1.0] * 26 + [0.30] * 10, "still": [0.5] * 26 + [0.35] * 10})

    assert set(reigns) == {"pool"}


def test_a_lead_of_few_nats_in_all_is_chance():
    reigns = contest({"pool": [0.5] * 40, "tree": [0.45] * 40}, labels=10)

    assert set(reigns) == {"pool"}


def test_a_lead_below_the_margin_is_none_however_many_labels_there_are():
    reigns = contest({"pool": [0.500] * 40, "tree": [0.499] * 40}, labels=100_000)

    assert set(reigns) == {"pool"}


def test_of_several_the_one_that_leads_by_most_takes_over():
    reigns = contest({"pool": [0.5] * 30, "good": [0.45] * 30, "best": [0.4] * 30})

    assert reigns[-1] == "best"
    assert "good" not in reigns


def test_who_was_not_judged_on_the_same_labels_begins_again():
    leads = Leads(HORIZON, nats=40.0, margin=0.002)
    for week in range(30):
        judged = {"pool": counts(0.5), "tree": counts(0.4, LABELS if week != 20 else 7)}
        leads.see("pool", judged, judged, week * EVERY * DAY_MS)

    assert leads.by_name["tree"].since == 21 * EVERY * DAY_MS
    assert leads.challenger("pool") is None


def test_after_a_promotion_every_lead_is_over_the_new_champion():
    leads = Leads(HORIZON, nats=40.0, margin=0.002)
    judged = {"pool": counts(0.5), "good": counts(0.45), "best": counts(0.4)}
    leads.see("pool", judged, judged, 0)
    leads.promote("best")

    leads_now = {name: lead.mean for name, lead in leads.by_name.items()}
    assert leads_now == pytest.approx({"pool": -0.1, "good": -0.05, "best": 0.0}, abs=2e-6)


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.integers(1, 1000)), min_size=1, max_size=30),
    st.integers(1, 400),
)
def test_an_aged_lead_is_the_weighted_sum_of_what_was_won(won: list[tuple[float, int]], horizon: int):
    lead = Lead()
    for week, (nats, labels) in enumerate(won):
        lead.age(week * EVERY * DAY_MS, horizon)
        lead.add(nats, labels, margin=0.0)
    weights = np.exp(-EVERY * np.arange(len(won))[::-1] / horizon)

    assert lead.nats == pytest.approx(weights @ [nats for nats, _ in won], abs=1e-9)
    assert lead.labels == pytest.approx(weights @ [labels for _, labels in won])
